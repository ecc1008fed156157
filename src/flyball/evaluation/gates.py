"""What a candidate must pass before it may serve, each with its reason and figures."""

from collections.abc import Sequence

import msgspec

from flyball.evaluation.report import LOWER_IS_BETTER, Judged, Report
from flyball.models import Random, kind_of
from flyball.policy import Gates


class GateResult(msgspec.Struct, frozen=True):
    """One gate: passed or not, why in words, and the figures that decided."""

    name: str
    passed: bool
    reason: str
    figures: dict[str, float] = {}


def check_gates(
    gates: Gates, report: Report, candidate: str, champion: str | None, baselines: Sequence[str], metric: str
) -> list[GateResult]:
    """All gates for `candidate`, in order; a failed candidate stops at the first.

    `champion`, `baselines`: names in the report. Among `baselines` the random one must be beaten significantly: the
    paired interval of the difference lies above 0. Raises `NotFound` for a name that is not in the report.
    """
    judged = report.of(candidate)
    if judged.failed:
        return [GateResult("ran", False, f"it failed: {judged.failed}")]
    found = [
        GateResult("ran", True, "it fitted and answered with usable scores"),
        _examples(gates, report),
        _full_lists(gates, judged),
        _beats_random(report, candidate, baselines, metric),
    ]
    if champion is not None and champion != candidate:
        found.append(_holds_champion(gates, report, candidate, champion, metric))
    found.append(_in_time(gates, judged))
    return found


def _examples(gates: Gates, report: Report) -> GateResult:
    users, least = report.users, gates.min_examples
    reason = f"{users} users in the test window, at least {least} are needed to say anything"
    return GateResult("enough_examples", users >= least, reason, {"users": users, "least": least})


def _full_lists(gates: Gates, judged: Judged) -> GateResult:
    share, least = judged.full_lists, gates.min_full_lists
    reason = f"{share:.1%} of users got a full list, at least {least:.1%} must"
    return GateResult("full_lists", share >= least, reason, {"share": share, "least": least})


def _beats_random(report: Report, candidate: str, baselines: Sequence[str], metric: str) -> GateResult:
    gate = "beats_random"
    kind = kind_of(Random())
    name = next((each for each in baselines if report.of(each).kind == kind and not report.of(each).failed), None)
    if name is None:
        return GateResult(gate, False, "there is no random baseline to compare with")
    if name == candidate:
        return GateResult(gate, False, "it is the random baseline")
    # ratings are predicted by no random baseline: lists decide then
    used = f"ndcg@{report.k}" if metric in LOWER_IS_BETTER else metric
    gain = report.difference(used, candidate, name)
    if gain is None or gain.low is None or gain.high is None:
        return GateResult(gate, False, f"{used} cannot be compared with {name}")
    figures = {"difference": gain.value, "low": gain.low, "high": gain.high}
    return GateResult(
        gate, gain.low > 0, f"{used} minus that of {name} is {gain.text()}, all of it must be above 0", figures
    )


def _holds_champion(gates: Gates, report: Report, candidate: str, champion: str, metric: str) -> GateResult:
    gate, rival = "holds_champion", report.of(champion)
    if rival.failed:
        return GateResult(gate, True, f"the champion cannot be compared: {rival.failed}")
    gain = report.difference(metric, candidate, champion)
    if gain is None or gain.low is None or gain.high is None:
        return GateResult(gate, False, f"{metric} cannot be compared with the champion {champion}")
    own = rival.figures[metric].value
    allowed = gates.max_loss * own
    worst = -gain.high if metric in LOWER_IS_BETTER else gain.low
    reason = f"{metric} minus the champion's {own:.4f} is {gain.text()}; it may lose at most {allowed:.4f}"
    figures = {"difference": gain.value, "low": gain.low, "high": gain.high, "champion": own, "allowed": allowed}
    return GateResult(gate, worst >= -allowed, reason, figures)


def _in_time(gates: Gates, judged: Judged) -> GateResult:
    took, most = judged.cost.answer_us, gates.max_answer_us
    reason = f"one answer takes {took:.0f} us, at most {most} us are allowed"
    return GateResult("answers_in_time", took <= most, reason, {"answer_us": took, "most": most})
