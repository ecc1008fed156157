"""The analysis of an experiment: every metric of every arm, corrected for multiple comparisons."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import polars as pl

from flyball.core import BadInput
from flyball.experiments.comparison import (
    AnalysisPlan,
    Compared,
    Flags,
    compare,
    more_units,
    verdict_of,
)
from flyball.experiments.exposures import ExposedUnits
from flyball.experiments.result import WITHHELD, ExperimentResult, MetricResult, Ramp
from flyball.experiments.unit_values import UnitValues
from flyball.policy import ExperimentMetric
from flyball.statistics import (
    SAMPLE_RATIO_ALPHA,
    SampleRatio,
    benjamini_hochberg,
    holm,
    sample_ratio,
    sample_ratio_log_e,
)

MOST_VALUES = 20
"""The number of values of a slice that are reported, the most frequent first."""
_SWITCHED = 0.01
_BY_DESIGN = ", as shares changed; each counts for its first one, so effects look smaller than they are"
_UNEXPECTED = ": effects look smaller than they are, and an A/B test must not do that"


def analyze(
    experiment: str,
    exposed: ExposedUnits,
    metrics: Mapping[str, ExperimentMetric],
    values: Mapping[str, UnitValues],
    plan: AnalysisPlan,
    as_of_us: int,
    slices: Sequence[str] = (),
) -> ExperimentResult:
    """The conclusions at `as_of_us`, and what is missing for others.

    `values`: {metric: values of the units in `exposed.frame`}. Guardrails, which act automatically, are corrected by
    Holm's method; all other metrics and all slices by that of Benjamini and Hochberg, with weights. If the units are
    not split as declared, all verdicts are withheld. A ranked metric, whose numbers depend on all units of an arm, has
    no slices. Raises `BadInput` for a ranked metric at planned looks, which are of some of the units.
    """
    if plan.method == "group_sequential" and any(metric.is_ranked for metric in metrics.values()):
        raise BadInput("method of an analysis of AUC", '"anytime" or "fixed"', plan.method)
    units = exposed.counts()
    ratio = _sample_ratio(exposed, units)
    withheld = ratio is not None and ratio.alarm
    results = [
        _compared(name, metric, values[name], exposed, arm, plan, None)
        for arm in exposed.arms[1:]
        for name, metric in metrics.items()
    ]
    sliced = [
        _compared(name, metric, values[name], exposed, arm, plan, (field, value))
        for field in slices
        for value in _frequent(exposed.frame, field)
        for arm in exposed.arms[1:]
        for name, metric in metrics.items()
        if not metric.is_ranked and _big_enough(exposed, values[name], arm, (field, value), plan.fewest)
    ]
    return ExperimentResult(
        experiment=experiment,
        as_of_us=as_of_us,
        arms=exposed.arms,
        units={arm: sum(counts[arm] for counts in units.values()) for arm in exposed.arms},
        switched=exposed.switched,
        steps=tuple(Ramp(name, shares, units[name]) for name, shares in exposed.shares.items()),
        sample_ratio=ratio,
        metrics=_corrected(results, metrics, plan, withheld),
        slices=_corrected_slices(sliced, plan, withheld),
        constants=plan.constants(),
        warnings=() if plan.ramp else _switched(exposed, _UNEXPECTED),
        notes=_switched(exposed, _BY_DESIGN) if plan.ramp else (),
    )


def _sample_ratio(exposed: ExposedUnits, units: Mapping[str, Mapping[str, int]]) -> SampleRatio | None:
    """The test of the declared split over all strata, whose independent e-values are multiplied."""
    arms = exposed.arms
    split = {name: shares for name, shares in exposed.shares.items() if sum(share > 0 for share in shares.values()) > 1}
    if not split:
        return None
    counts = {name: [units[name][arm] for arm in arms] for name in split}
    if len(split) == 1:
        ((name, shares),) = split.items()
        return sample_ratio(counts[name], [shares[arm] for arm in arms])
    log_e = sum(
        float(sample_ratio_log_e(counts[name], [shares[arm] for arm in arms])) for name, shares in split.items()
    )
    expected = [sum(sum(counts[name]) * shares[arm] for name, shares in split.items()) for arm in arms]
    total = [sum(counts[name][index] for name in split) for index in range(len(arms))]
    return SampleRatio(tuple(total), tuple(expected), min(1.0, float(np.exp(-log_e))), SAMPLE_RATIO_ALPHA, True)


def _switched(exposed: ExposedUnits, meaning: str) -> tuple[str, ...]:
    """A sentence if many units were seen in several arms."""
    units = exposed.frame.height
    if not units or exposed.switched <= _SWITCHED * units:
        return ()
    return (f"{exposed.switched:,} of {units:,} units were later seen in another arm than their first one{meaning}",)


def _flags(exposed: ExposedUnits, arm: str, part: tuple[str, str] | None) -> list[tuple[Flags, Flags]]:
    """(control, arm) as flags of units, for each stratum with units of both."""
    frame, control = exposed.frame, exposed.arms[0]
    chosen = np.ones(frame.height, dtype=bool) if part is None else (frame[part[0]] == part[1]).to_numpy()
    pairs = []
    for stratum, shares in exposed.shares.items():
        if not (shares.get(control, 0) > 0 and shares.get(arm, 0) > 0):
            continue
        own = (frame["stratum"] == stratum).to_numpy() & chosen
        pairs.append((own & (frame["arm"] == control).to_numpy(), own & (frame["arm"] == arm).to_numpy()))
    return pairs


def _share(exposed: ExposedUnits, arm: str) -> float:
    """The arm's declared share among the units of both arms, in the first stratum with both."""
    control = exposed.arms[0]
    for shares in exposed.shares.values():
        if shares.get(control, 0) > 0 and shares.get(arm, 0) > 0:
            return shares[arm] / (shares[arm] + shares[control])
    return 0.5


def _compared(
    name: str,
    metric: ExperimentMetric,
    values: UnitValues,
    exposed: ExposedUnits,
    arm: str,
    plan: AnalysisPlan,
    part: tuple[str, str] | None,
) -> MetricResult:
    pairs = _flags(exposed, arm, part)
    names = (exposed.arms[0], arm)
    blank = MetricResult(
        metric=name,
        arm=arm,
        role=metric.role,
        kind=metric.kind,
        better=metric.better,
        margin=metric.margin,
        within_us=metric.within_us,
        slice="" if part is None else f"{part[0]}={part[1]}",
    )
    if not pairs:
        return msgspec.structs.replace(blank, missing=_no_data(dict.fromkeys(names, 0)))
    units = {side: sum(int((pair[i] & values.closed).sum()) for pair in pairs) for i, side in enumerate(names)}
    waiting = {side: sum(int((pair[i] & ~values.closed).sum()) for pair in pairs) for i, side in enumerate(names)}
    if not min(units.values()):
        return msgspec.structs.replace(blank, units=units, waiting=waiting, missing=values.missing or _no_data(units))
    at, share = exposed.frame["at"].to_numpy(), _share(exposed, arm)
    compared = compare(metric, plan, values, pairs, share, at)
    abort = None
    if plan.abort_alpha and part is None and name in plan.aborting:
        strict = msgspec.structs.replace(plan, alpha=plan.abort_alpha)
        abort = compare(metric, strict, values, pairs, share, at).inference
    return msgspec.structs.replace(
        blank,
        control=compared.control,
        arm_mean=compared.arm_mean,
        inference=compared.inference,
        relative=compared.relative,
        p=compared.p,
        p_zero=compared.p_zero,
        adjusted_by=compared.adjusted_by,
        units=units,
        waiting=waiting,
        missing=compared.missing,
        warnings=_metric_warnings(compared, plan),
        abort=abort,
    )


def _no_data(units: Mapping[str, int]) -> str:
    arms = " and ".join(name for name, count in units.items() if not count)
    return f"no data yet of {arms}, units whose window has closed are missing"


def _metric_warnings(compared: Compared, plan: AnalysisPlan) -> tuple[str, ...]:
    if compared.pre_p is None or compared.pre_p >= plan.pre_alpha:
        return ()
    return (
        f"the arms differed before their exposure (p = {compared.pre_p:.2g}): units are not assigned at random, or the "
        "exposure is logged after it had an effect",
    )


def _corrected(
    results: Sequence[MetricResult], metrics: Mapping[str, ExperimentMetric], plan: AnalysisPlan, withheld: bool
) -> tuple[MetricResult, ...]:
    guards = [index for index, result in enumerate(results) if result.role == "guardrail"]
    others = [index for index, result in enumerate(results) if result.role != "guardrail"]
    weights = _weights([results[index] for index in others], metrics, plan) if others else []

    def adjusted(p: Sequence[float]) -> dict[int, float]:
        """`p` of all results, corrected within the guardrails and within the others."""
        of_guards = holm([p[index] for index in guards]).tolist() if guards else []
        of_others = benjamini_hochberg([p[index] for index in others], weights).tolist() if others else []
        return _by_index(guards, of_guards) | _by_index(others, of_others)

    return _with_verdicts(results, adjusted, plan, withheld)


def _with_verdicts(
    results: Sequence[MetricResult],
    adjusted: Callable[[Sequence[float]], Mapping[int, float]],
    plan: AnalysisPlan,
    withheld: bool,
) -> tuple[MetricResult, ...]:
    """`adjusted`: a function of the p-values of all results, which corrects them. A result without data counts as
    p = 1, so that the correction is the same at every look.

    It is applied to the p-values of the margins, and to those of no effect, which "better" and "worse" rest on.
    """
    at_margin = adjusted([1.0 if result.p is None else result.p for result in results])
    at_zero = adjusted([_p_zero(result) for result in results])
    return tuple(
        _with_verdict(result, at_margin.get(index), at_zero.get(index), plan, withheld)
        for index, result in enumerate(results)
    )


def _p_zero(result: MetricResult) -> float:
    p = result.p if result.p_zero is None else result.p_zero
    return 1.0 if p is None else p


def _by_index(indexes: Sequence[int], values: Sequence[float]) -> dict[int, float]:
    return dict(zip(indexes, values, strict=True))


def _weights(
    results: Sequence[MetricResult], metrics: Mapping[str, ExperimentMetric], plan: AnalysisPlan
) -> list[float]:
    """The declared weights; by default primary metrics get `primary_share` of the budget, the others what remains."""
    primary = sum(result.role == "primary" for result in results)
    secondary = len(results) - primary
    usual = {"primary": plan.primary_share / max(primary, 1), "secondary": (1 - plan.primary_share) / max(secondary, 1)}
    mean = 1 / len(results)
    declared = [metrics[result.metric].weight for result in results]
    return [
        usual[result.role] if weight is None else weight * mean
        for result, weight in zip(results, declared, strict=True)
    ]


def _corrected_slices(results: Sequence[MetricResult], plan: AnalysisPlan, withheld: bool) -> tuple[MetricResult, ...]:
    """The results of slices, corrected for all slices together, because among many some differ by chance."""
    tested = [index for index, result in enumerate(results) if result.p is not None]

    def adjusted(p: Sequence[float]) -> dict[int, float]:
        return _by_index(tested, benjamini_hochberg([p[index] for index in tested]).tolist()) if tested else {}

    return _with_verdicts(results, adjusted, plan, withheld)


def _with_verdict(
    result: MetricResult, adjusted: float | None, zero: float | None, plan: AnalysisPlan, withheld: bool
) -> MetricResult:
    adjusted = None if result.p is None else adjusted
    verdict = WITHHELD if withheld else verdict_of(result.inference, adjusted, plan.alpha, zero)
    more = more_units(result.inference, verdict, result.units)
    return msgspec.structs.replace(result, p_adjusted=adjusted, verdict=verdict, more_units=more)


def _frequent(frame: pl.DataFrame, field: str) -> list[str]:
    counts = frame.filter(pl.col(field) != "").group_by(field).len().sort(["len", field], descending=[True, False])
    return [str(value) for value in counts[field].head(MOST_VALUES)]


def _big_enough(exposed: ExposedUnits, values: UnitValues, arm: str, part: tuple[str, str], fewest: int) -> bool:
    pairs = _flags(exposed, arm, part)
    return bool(pairs) and all(
        sum(int((pair[side] & values.closed).sum()) for pair in pairs) >= fewest for side in (0, 1)
    )
