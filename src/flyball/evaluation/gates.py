"""What a candidate must pass before it may serve, each with its reason and figures."""

from collections.abc import Sequence

import msgspec

from flyball.evaluation.report import LOWER_IS_BETTER, Judged, Report
from flyball.models import Random, kind_of
from flyball.policy import Gates

_ONE_SIDED_90, _WIDTH_95 = 1.2816, 3.9199
"""In standard deviations: where the lowest tenth of a normal distribution ends, the width of its middle 95 %."""


class GateResult(msgspec.Struct, frozen=True):
    """One gate: passed or not, why in words, and the figures that decided."""

    name: str
    passed: bool
    reason: str
    figures: dict[str, float] = {}


def check_gates(
    gates: Gates,
    report: Report,
    candidate: str,
    champion: str | None,
    baselines: Sequence[str],
    metric: str,
    *,
    same_recipe: bool = False,
) -> list[GateResult]:
    """All gates for `candidate`, in order; a failed candidate stops at the first.

    `champion`, `baselines`: names in the report. Among `baselines` the random one must be beaten significantly: the
    paired interval of the difference lies above 0. `same_recipe`: the candidate is the champion's recipe, learned from
    newer data. Raises `NotFound` for a name that is not in the report.
    """
    judged = report.of(candidate)
    if judged.failed:
        return [GateResult("ran", False, f"it failed: {judged.failed}")]
    found = [
        GateResult("ran", True, "it fitted and answered with usable scores"),
        _examples(gates, report),
        _full_lists(gates, judged),
        _beats_random(report, candidate, baselines, metric),
        _own_lists(judged),
    ]
    if champion is not None and champion != candidate:
        found.append(_holds_champion(gates, report, candidate, champion, metric, same_recipe))
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


def _own_lists(judged: Judged) -> GateResult:
    """A model that scores nothing has the figures of the fallback, which the popular list has without a model."""
    if judged.scored is None:
        return GateResult("own_lists", True, "it is not known what of its lists its own scores filled")
    reason = f"its own scores filled {judged.scored:.1%} of the places, the rest came from the fallback lists"
    if judged.scored == 0:
        reason = "it scored no item for any user: its lists and figures are the fallback's, not its own"
    return GateResult("own_lists", judged.scored > 0, reason, {"scored": judged.scored, "personal": judged.personal})


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


def _holds_champion(
    gates: Gates, report: Report, candidate: str, champion: str, metric: str, same_recipe: bool
) -> GateResult:
    """Another recipe must prove that it loses no more than allowed; the same one, on newer data, that is refuted only.

    A recipe that served has proved itself, and newer data is the reason to learn again: to ask of few users that they
    prove it each time would keep old data in service for ever.
    """
    gate, rival = "holds_champion", report.of(champion)
    if rival.failed:
        return GateResult(gate, True, f"the champion cannot be compared: {rival.failed}")
    gain = report.fair_difference(metric, candidate, champion)
    if gain is None or gain.low is None or gain.high is None:
        return GateResult(gate, False, f"{metric} cannot be compared with the champion {champion}")
    own = report.fair_value(metric, champion)
    allowed = gates.max_loss * own
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    worst = sign * gain.value - _ONE_SIDED_90 * (gain.high - gain.low) / _WIDTH_95
    best = -gain.low if metric in LOWER_IS_BETTER else gain.high
    weighed = " (targets weighed by the chance of finding them)" if report.weighs(metric) else ""
    told = f"{metric} minus the champion's {own:.4f} is {gain.text()}{weighed}"
    figures = {
        "difference": gain.value, "low": gain.low, "high": gain.high, "champion": own, "allowed": allowed,
        "worst": worst,
    }  # fmt: skip
    if same_recipe:
        told = f"{told}; the champion's own recipe on newer data must not be significantly worse"
        return GateResult(gate, best >= 0 or worst >= -allowed, told, figures)
    told = f"{told}; with 90 % confidence it loses at most {max(-worst, 0.0):.4f}, {allowed:.4f} is allowed"
    return GateResult(gate, worst >= -allowed, told, figures)


def _in_time(gates: Gates, judged: Judged) -> GateResult:
    took, most = judged.cost.answer_us, gates.max_answer_us
    reason = f"one answer takes {took:.0f} us, at most {most} us are allowed"
    return GateResult("answers_in_time", took <= most, reason, {"answer_us": took, "most": most})
