"""The gates that a candidate must pass before it may serve, each with its reason and metrics."""

from collections.abc import Sequence

import msgspec

from flyball.core import format_second
from flyball.evaluation.choice import metric_words
from flyball.evaluation.report import Evaluated, Report
from flyball.evaluation.resampling import Estimate
from flyball.policy import Gates, MetricGate

_ONE_SIDED_90, _WIDTH_95 = 1.2816, 3.9199
"""Of a normal distribution, in standard deviations: the distance of the 10 % quantile from the mean, and the width of
the central 95 %."""


class GateResult(msgspec.Struct, frozen=True):
    """The result of one gate: whether it passed, the reason as text, and the metrics that decided."""

    name: str
    passed: bool
    reason: str
    metrics: dict[str, float] = {}


class Rivals(msgspec.Struct, frozen=True):
    """The challengers that a candidate is compared with, by name.

    `champion`: None if there is none. `must_beat`: the baseline that it must beat significantly, "" if none could be
    evaluated. `must_beat_by`: the metric for that, if the baseline lacks the metric to choose by. `own_recipe`: whether
    the candidate is the champion's recipe, fitted on newer data. `same_model`: not "" where it is also fitted on the
    same data as the champion is compared with, so that the two are one model; what is compared instead, in words.
    """

    champion: str | None = None
    must_beat: str = ""
    must_beat_label: str = "random"
    must_beat_by: str = ""
    own_recipe: bool = False
    same_model: str = ""


def check_gates(
    gates: Gates,
    task_gates: Sequence[MetricGate],
    report: Report,
    candidate: str,
    rivals: Rivals,
    metric: str,
    served: Report | None = None,
) -> list[GateResult]:
    """The results of all gates for `candidate`, in order; of a candidate that could not be evaluated, the first only.

    `task_gates`: the gates of the task; a bound in `gates` on the same metric replaces the task's. `served`: a report
    on the candidate and the champion as it serves, on requests that neither has seen. Raises `NotFound` for a name that
    is not in a report.
    """
    evaluated = report.of(candidate)
    if evaluated.failed:
        return [GateResult("ran", False, f"it failed: {evaluated.failed}")]
    replaced = {gate.metric for gate in gates.metrics}
    own = [gate for gate in task_gates if gate.metric not in replaced]
    results = [
        GateResult("ran", True, "it fitted and answered with usable scores"),
        _examples(gates, report),
        _beats(report, candidate, rivals, metric),
        *(_bound(gate, report, candidate) for gate in (*own, *gates.metrics)),
    ]
    if rivals.champion is not None and rivals.champion != candidate:
        if rivals.same_model:
            results.append(GateResult("holds_champion", True, _same_model(rivals)))
        else:
            results.append(_holds_champion(gates, report, candidate, rivals.champion, metric, rivals.own_recipe))
        if served is not None:
            against = _holds_champion(gates, served, candidate, rivals.champion, metric, rivals.own_recipe)
            where = f"on {served.size_text} since {format_second(served.start_us)}, which neither has seen"
            reason = f"{where}: {against.reason}"
            results.append(msgspec.structs.replace(against, name="holds_served_champion", reason=reason))
    results.append(_in_time(gates, evaluated))
    leaks = {"refuse": report.leaks, "certain": report.certain_leaks}.get(gates.leaks, ())
    if leaks or gates.leaks == "refuse":
        results.append(GateResult("no_leaks", not leaks, "; ".join(leaks) or "no input gives the outcome away"))
    return [_advised(result) if result.name.startswith(gates.advisory) else result for result in results]


def _same_model(rivals: Rivals) -> str:
    return (
        f"{rivals.champion} had learned from part of the test window and is compared by its recipe, which is this "
        f"model when fitted on the same data; {rivals.same_model}"
    )


NOT_REQUIRED = " (not required here)"
"""At the end of the reason of a gate that is only reported, and failed."""


def _advised(result: GateResult) -> GateResult:
    if result.passed:
        return result
    return msgspec.structs.replace(result, passed=True, reason=f"{result.reason}{NOT_REQUIRED}")


def holds(gate: MetricGate, estimate: Estimate | None) -> bool:
    """Whether the estimate passes the gate.

    The value must be on the right side of the bound; for a `certain` gate the whole interval, for a `refuted` gate any
    part of the interval.
    """
    if gate.refuted and estimate is not None and estimate.low is not None and estimate.high is not None:
        at_best = gate.at_least is None or estimate.high >= gate.at_least
        return at_best and (gate.at_most is None or estimate.low <= gate.at_most)
    if estimate is None:
        return False
    low = estimate.low if gate.certain and estimate.low is not None else estimate.value
    high = estimate.high if gate.certain and estimate.high is not None else estimate.value
    return (
        (gate.at_least is None or low >= gate.at_least)
        and (gate.at_most is None or high <= gate.at_most)
        and (gate.above is None or estimate.value > gate.above)
    )


def _examples(gates: Gates, report: Report) -> GateResult:
    units, least = report.units, gates.min_examples
    counted = " ".join(filter(None, (report.units_text, report.counted)))
    reason = f"{counted} in the test window, at least {least} are needed for a decision"
    return GateResult("enough_examples", units >= least, reason, {"units": units, "least": least})


def _bound(gate: MetricGate, report: Report, candidate: str) -> GateResult:
    estimate = report.estimate(gate.metric, candidate)
    if estimate is None and gate.metric.partition("/")[2] in {groups.by for groups in report.of(candidate).groups}:
        return GateResult(gate.name, False, _not_compared(gate.metric, report.of(candidate)))
    if estimate is None:
        return GateResult(
            gate.name, False, f"it has no {gate.metric}: the gate names a metric that is not in the report"
        )
    passed = holds(gate, estimate)
    if not passed and gate.why:
        reason = gate.why
    else:
        bounds = [
            f"{words} {bound:g}"
            for words, bound in (("at least", gate.at_least), ("at most", gate.at_most), ("above", gate.above))
            if bound is not None
        ]
        interval_words = ", the whole interval" if gate.certain and estimate.low is not None else ""
        if gate.refuted and estimate.low is not None:
            interval_words = ", some of the interval"
        what = _gap_words(report, gate.metric, candidate) or f"{gate.metric} is"
        reason = f"{what} {estimate.text()}, it must be {' and '.join(bounds)}{interval_words}"
    numbers = {"value": estimate.value}
    if estimate.low is not None and estimate.high is not None:
        numbers |= {"low": estimate.low, "high": estimate.high}
    return GateResult(gate.name, passed, reason, numbers)


def _gap_words(report: Report, metric: str, candidate: str) -> str:
    """The largest gap of a metric between groups, in words; "" for a metric that is none."""
    gap = report.largest_gap(metric, candidate)
    if gap is None:
        return ""
    name, _, by = metric.partition("/")
    return f"{name} differs most between {by}={gap.high_group} (more) and {by}={gap.low_group}, by"


def _not_compared(metric: str, evaluated: Evaluated) -> str:
    """Why no two groups are compared by a metric."""
    name, _, by = metric.partition("/")
    groups = next(groups.groups for groups in evaluated.groups if groups.by == by)
    reasons = "; ".join(f"{group.group}: {group.not_compared.get(name, 'enough')}" for group in groups)
    return f"{name} cannot be compared between groups of {by}, more requests of each are needed: {reasons}"


def _beats(report: Report, candidate: str, rivals: Rivals, metric: str) -> GateResult:
    gate, rival = f"beats_{rivals.must_beat_label}", rivals.must_beat
    if not rival:
        return GateResult(gate, False, f"there is no {rivals.must_beat_label} baseline to compare with")
    if rival == candidate:
        return GateResult(gate, False, f"it is the {rivals.must_beat_label} baseline")
    used = metric if report.estimate(metric, rival) is not None or not rivals.must_beat_by else rivals.must_beat_by
    gap = report.difference(used, candidate, rival)
    if gap is None or gap.low is None or gap.high is None:
        return GateResult(gate, False, f"{used} cannot be compared with {rival}")
    gain = _gain(report, used, candidate, rival, gap)
    numbers = {"difference": gap.value, "low": gap.low, "high": gap.high}
    side = "above" if report.better.get(used, "high") != "low" else "below"
    reason = f"{used} minus that of {rival} is {gap.text()}, all of it must be {side} 0"
    return GateResult(gate, gain is not None and gain.low is not None and gain.low > 0, reason, numbers)


def _gain(report: Report, metric: str, candidate: str, rival: str, gap: Estimate) -> Estimate | None:
    """How much better the candidate is: the difference, with the opposite sign if lower is better."""
    better = report.better.get(metric.partition("/")[0], "high")
    if better == "high":
        return gap
    if better == "low":
        return Estimate(-gap.value, None if gap.high is None else -gap.high, None if gap.low is None else -gap.low)
    own, others = report.estimate(metric, candidate), report.estimate(metric, rival)
    if own is None or others is None or gap.low is None or gap.high is None:
        return None
    value = report.goodness(metric, own.value) - report.goodness(metric, others.value)
    half = (gap.high - gap.low) / 2
    if not _same_side(better, own, others):
        # With the target between the two values, the gain's interval is at most as wide as both intervals together.
        half = max(half, _half(own) + _half(others))
    return Estimate(value, value - half, value + half)


def _same_side(target: float, own: Estimate, others: Estimate) -> bool:
    """Whether both intervals lie entirely above `target`, or both entirely below it."""
    ends = [end for estimate in (own, others) for end in (estimate.low, estimate.high)]
    known = [end for end in ends if end is not None]
    return len(known) == len(ends) and (all(end > target for end in known) or all(end < target for end in known))


def _half(estimate: Estimate) -> float:
    """Half the width of the interval; infinite if there is no interval."""
    return float("inf") if estimate.low is None or estimate.high is None else (estimate.high - estimate.low) / 2


def _holds_champion(
    gates: Gates, report: Report, candidate: str, champion: str, metric: str, own_recipe: bool
) -> GateResult:
    """Non-inferiority to the champion.

    Another recipe must show, with 90 % confidence, that it loses no more than allowed. The champion's own recipe on
    newer data must only not be significantly worse: with few users a stricter test could rarely be passed, and a model
    of old data would serve forever.
    """
    gate, rival = "holds_champion", report.of(champion)
    if rival.failed:
        return GateResult(gate, True, f"the champion cannot be compared: {rival.failed}")
    used, words = report.deciding(metric), metric_words(report, metric)
    own, gap = report.estimate(used, champion), report.difference(used, candidate, champion)
    gain = None if gap is None else _gain(report, used, candidate, champion, gap)
    if own is None or gap is None or gain is None or gain.low is None or gain.high is None:
        return GateResult(gate, False, f"{words} cannot be compared with the champion {champion}")
    allowed = gates.max_loss * abs(own.value)
    worst, best = gain.value - _ONE_SIDED_90 * (gain.high - gain.low) / _WIDTH_95, gain.high
    reason = f"{words} minus the champion's {own.value:.4f} is {gap.text()}"
    numbers = {
        "difference": gap.value,
        "low": gap.low or 0.0,
        "high": gap.high or 0.0,
        "champion": own.value,
        "allowed": allowed,
        "worst": worst,
    }
    if own_recipe:
        reason = f"{reason}; the champion's own recipe on newer data must not be significantly worse"
        return GateResult(gate, best >= 0 or worst >= -allowed, reason, numbers)
    reason = f"{reason}; with 90 % confidence it loses at most {max(-worst, 0.0):.4f}, {allowed:.4f} is allowed"
    return GateResult(gate, worst >= -allowed, reason, numbers)


def _in_time(gates: Gates, evaluated: Evaluated) -> GateResult:
    took, most = evaluated.cost.answer_us, gates.max_answer_us
    reason = f"one response takes {took:.0f} us, at most {most} us are allowed"
    return GateResult("answers_in_time", took <= most, reason, {"answer_us": took, "most": most})
