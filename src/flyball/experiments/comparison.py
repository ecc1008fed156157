"""One metric of one arm against control: sums by stratum, a contrast, an inference, a verdict."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from flyball.core import BadInput, SignedInts
from flyball.experiments.unit_values import UnitValues
from flyball.policy import ExperimentMetric
from flyball.statistics import (
    BURN_IN,
    Contrast,
    Inference,
    Sums,
    adjusted_contrast,
    adjusted_ratio_contrast,
    anytime,
    group_sequential,
    mean_contrast,
    plan_looks,
    rate_difference,
    rate_difference_log_e,
    ratio_contrast,
    sequence_p,
    sequence_r2,
    stratified_contrast,
    welch,
)

Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Pair = tuple[Sums, Sums]
Method = Literal["anytime", "group_sequential", "fixed"]
MOST_MORE = 100
"""No number of further units is estimated above so many times the present ones: the estimated effect is then noise."""


class AnalysisPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All constants of an analysis, fixed before the start of an experiment and stored with its results.

    `n_best`: the number of units of both arms at which intervals are narrowest. `method`: "anytime" is valid at every
    look; "group_sequential" at `looks` planned looks up to `n_best` units; "fixed" at one look, with `n_best` units.
    `ramp`: whether the split changes during the experiment. `burn_in`: units in the smaller arm before an asymptotic
    interval is given. `pre_alpha`: of the test that arms did not differ before their exposure. `fewest`: units that
    each arm of a slice must have. `primary_share`: share of the false discovery budget for primary metrics, by default.
    `abort_alpha`: the error of each of the metrics `aborting` when a release is aborted by it; 0 for that of `alpha`.
    """

    alpha: float = 0.05
    n_best: float = 10_000
    method: Method = "anytime"
    looks: int = 20
    ramp: bool = False
    burn_in: int = BURN_IN
    pre_alpha: float = 0.001
    fewest: int = 100
    primary_share: float = 0.5
    abort_alpha: float = 0.0
    aborting: tuple[str, ...] = ()

    def constants(self) -> dict[str, float]:
        """The constants as numbers, to store with results."""
        named = {name: getattr(self, name) for name in self.__struct_fields__ if name not in ("method", "aborting")}
        return {name: float(value) for name, value in named.items()}


class Compared(msgspec.Struct, frozen=True):
    """The result of `compare`. `p_zero`: the p-value of no effect, which equals `p` without a margin. `pre_p`: the
    p-value of no difference before the exposure, None without data from before or with too few units. Other fields:
    as in `MetricResult`."""

    inference: Inference | None
    relative: tuple[float, float, float] | None
    control: float | None
    arm_mean: float | None
    p: float | None
    adjusted_by: float | None
    pre_p: float | None
    missing: str = ""
    p_zero: float | None = None


def compare(
    metric: ExperimentMetric,
    plan: AnalysisPlan,
    values: UnitValues,
    strata: Sequence[tuple[Flags, Flags]],
    share: float,
    exposed_us: SignedInts,
) -> Compared:
    """The comparison of an arm with control, over units with closed windows.

    `strata`: for each stratum, (control, arm) as flags, (units,). `share`: the arm's declared share among the units of
    both, for a single stratum. `exposed_us`: (units,). Asymptotic intervals are two-sided, also with a margin: that the
    loss is acceptable and that it is not can both be concluded.
    """
    both = at_last_look(plan, values, strata, exposed_us)
    columns = values.columns()
    sums = [(Sums.of(columns[a]), Sums.of(columns[b])) for a, b in both]
    control, arm_mean = (_overall(metric, [pair[side] for pair in sums]) for side in (0, 1))
    exact = metric.is_share and not values.adjusted and not plan.ramp and plan.method == "anytime"
    contrast, relative, missing = _contrasts(metric, values, sums)
    within = None if relative is None else _relative(plan, relative)
    if exact:
        inference = _exact(metric, plan, sums[0], share)
        p, p_zero = (_exact_p(inference, sums[0], share, null) for null in (_null(metric), 0.0))
        return Compared(inference, within, control, arm_mean, p, None, None, p_zero=p_zero)
    if contrast is None:
        return Compared(None, None, control, arm_mean, None, None, None, values.missing or missing)
    inference = _infer(metric, plan, contrast)
    plain = _stratified([_plain(metric, *pair) for pair in sums])
    variance_removed = None if not values.adjusted or plain is None else 1 - (contrast.se / plain.se) ** 2
    pre_p = _pre_p(metric, plan, values, both)
    p, p_zero = (_p(metric, plan, contrast, inference, null) for null in (_null(metric), 0.0))
    return Compared(inference, within, control, arm_mean, p, variance_removed, pre_p, p_zero=p_zero)


def look_sizes(plan: AnalysisPlan) -> list[int]:
    """The number of units of both arms at each planned look."""
    if plan.method == "anytime":
        return []
    looks = plan.looks if plan.method == "group_sequential" else 1
    return [int(np.ceil(plan.n_best * look / looks - 1e-9)) for look in range(1, looks + 1)]


def at_last_look(
    plan: AnalysisPlan, values: UnitValues, strata: Sequence[tuple[Flags, Flags]], exposed_us: SignedInts
) -> list[tuple[Flags, Flags]]:
    """The units with closed windows; with planned looks, those that were included at the last look.

    Units are included in the order of their first exposure, so a look gives the same result whenever it is computed.
    """
    both = [(a & values.closed, b & values.closed) for a, b in strata]
    unit_rows = np.flatnonzero(np.logical_or.reduce([flags for pair in both for flags in pair]))
    reached = [size for size in look_sizes(plan) if size <= len(unit_rows)]
    if not reached:
        return both
    first = np.zeros(len(values.closed), dtype=bool)
    first[unit_rows[np.argsort(exposed_us[unit_rows], kind="stable")][: reached[-1]]] = True
    return [(a & first, b & first) for a, b in both]


def _overall(metric: ExperimentMetric, arms: Sequence[Sums]) -> float | None:
    merged = arms[0]
    for other in arms[1:]:
        merged = merged.merge(other)
    if not merged.count:
        return None
    if not metric.is_ratio:
        return merged.mean()
    below = merged.mean(1)
    return merged.mean(0) / below if below else None


def _contrasts(
    metric: ExperimentMetric, values: UnitValues, sums: Sequence[Pair]
) -> tuple[Contrast | None, Contrast | None, str]:
    """(absolute contrast, relative contrast, why there is none), each computed within strata."""
    parts = [contrast_of(metric, values.adjusted, *pair) for pair in sums]
    absolute = _stratified(parts)
    if absolute is None:
        return None, None, "two units with closed windows and different values in each arm"
    shares = [
        None if part is None else contrast_of(metric, values.adjusted, *pair, relative=True)
        for part, pair in zip(parts, sums, strict=True)
    ]
    undefined = any(part is not None and share is None for part, share in zip(parts, shares, strict=True))
    return absolute, None if undefined else _stratified(shares), ""


def _stratified(parts: Sequence[Contrast | None]) -> Contrast | None:
    usable_parts = [part for part in parts if part is not None]
    return stratified_contrast(usable_parts) if usable_parts else None


def contrast_of(metric: ExperimentMetric, adjusted: bool, a: Sums, b: Sums, relative: bool = False) -> Contrast | None:
    """The contrast b - a, or b / a - 1 if `relative`; None with too few units, no variance or a division by zero."""
    if min(a.count, b.count) < 2:
        return None
    make: Callable[..., Contrast] = mean_contrast
    if metric.is_ratio:
        if not a.totals[1] or not b.totals[1]:
            return None
        usable = adjusted and a.totals[3] != 0 and b.totals[3] != 0
        make = adjusted_ratio_contrast if usable else ratio_contrast
    elif adjusted:
        make = adjusted_contrast
    try:
        return make(a, b, relative)
    except BadInput as error:  # no variance, or a baseline of zero: reported as a missing contrast
        if "variance" in str(error) or "relative" in str(error):
            return None
        raise


def _plain(metric: ExperimentMetric, a: Sums, b: Sums) -> Contrast | None:
    return contrast_of(metric, False, a, b)


def _infer(metric: ExperimentMetric, plan: AnalysisPlan, contrast: Contrast) -> Inference:
    high = metric.better == "high"
    if plan.method == "anytime":
        inference = anytime(contrast, plan.n_best, plan.alpha, burn_in=plan.burn_in, higher_is_better=high)
    elif plan.method == "group_sequential":
        looks = plan_looks(plan.n_best, plan.looks, plan.alpha)
        earlier = [units for units in look_sizes(plan) if units < contrast.count] or None
        inference = group_sequential(contrast, looks, higher_is_better=high, looks=earlier)
    else:
        inference = welch(contrast, plan.alpha, higher_is_better=high)
        waiting = plan.n_best - contrast.count
        missing = f"{waiting:,.0f} more units, then one look" if waiting > 0 else ""
        inference = msgspec.structs.replace(inference, missing=missing)
    constants = {**inference.constants, "margin": metric.margin}
    return msgspec.structs.replace(inference, margin=metric.margin, constants=constants)


def _p(metric: ExperimentMetric, plan: AnalysisPlan, contrast: Contrast, inference: Inference, null: float) -> float:
    """The two-sided p-value of an effect of `null`."""
    if plan.method == "anytime":
        r2 = sequence_r2(plan.alpha, plan.n_best)
        p = float(sequence_p(contrast.effect - null, contrast.se, contrast.count, r2))
    else:
        moved = msgspec.structs.replace(contrast, effect=contrast.effect - null)
        p = _infer(msgspec.structs.replace(metric, margin=0.0), plan, moved).p
    return 1.0 if inference.missing else p


def _null(metric: ExperimentMetric) -> float:
    return -metric.margin if metric.better == "high" else metric.margin


def _exact(metric: ExperimentMetric, plan: AnalysisPlan, pair: Pair, share: float) -> Inference:
    (events_a, units_a), (events_b, units_b) = _rates(pair)
    high = metric.better == "high"
    return rate_difference(events_a, units_a, events_b, units_b, plan.n_best, plan.alpha, metric.margin, high, share)


def _rates(pair: Pair) -> list[tuple[int, int]]:
    """(units with value 1, units) of each arm."""
    return [(round(sums.mean() * sums.count) if sums.count else 0, sums.count) for sums in pair]


def _exact_p(inference: Inference, pair: Pair, share: float, null: float) -> float:
    if inference.missing:
        return 1.0
    (events_a, units_a), (events_b, units_b) = _rates(pair)
    n_best = inference.constants["n_best"]
    log_e = rate_difference_log_e(events_a, units_a, events_b, units_b, null, n_best, inference.alpha, share)
    return min(1.0, float(np.exp(-log_e)))


def _relative(plan: AnalysisPlan, contrast: Contrast) -> tuple[float, float, float] | None:
    if min(contrast.count_a, contrast.count_b) < plan.burn_in:
        return None
    inference = anytime(contrast, plan.n_best, plan.alpha, burn_in=0)
    return inference.effect, inference.low, inference.high


def _pre_p(
    metric: ExperimentMetric, plan: AnalysisPlan, values: UnitValues, strata: Sequence[tuple[Flags, Flags]]
) -> float | None:
    """The p-value of no difference before the exposure. A low one means that units are not assigned at random, or that
    the covariate is not from before the exposure."""
    if values.value_before is None:
        return None
    before = UnitValues(values.closed, values.value_before, values.per_before)
    columns = before.columns()
    sums = [(Sums.of(columns[a]), Sums.of(columns[b])) for a, b in strata]
    contrast = _stratified([_plain(metric, *pair) for pair in sums])
    if contrast is None or min(contrast.count_a, contrast.count_b) < plan.burn_in:
        return None
    r2 = sequence_r2(plan.pre_alpha, plan.n_best)
    return float(sequence_p(contrast.effect, contrast.se, contrast.count, r2))


def verdict_of(
    inference: Inference | None, p_adjusted: float | None, alpha: float, p_zero_adjusted: float | None = None
) -> str:
    """The verdict, corrected for multiple comparisons.

    `p_adjusted`: of the hypothesis that a margin states. `p_zero_adjusted`: of no effect, which must be rejected before
    an arm is called better or worse; `p_adjusted` if None.
    """
    if inference is None:
        return "too early"
    verdict = inference.verdict
    if verdict in ("too early", "undecided") or p_adjusted is None:
        return verdict
    zero = p_adjusted if p_zero_adjusted is None else p_zero_adjusted
    if (zero if verdict in ("better", "worse") else p_adjusted) < alpha:
        return verdict
    if verdict == "better" and inference.margin > 0 and p_adjusted < alpha:
        return "not worse than the margin"
    return "undecided after correction"


def more_units(inference: Inference | None, verdict: str, units: Mapping[str, int]) -> int | None:
    """Roughly how many more units of both arms would decide, if the effect is as estimated.

    The half width of an interval falls with the square root of the number of units.
    """
    if inference is None or verdict != "undecided" or inference.missing:
        return None
    half = (inference.high - inference.low) / 2
    goal = max(abs(inference.effect), abs(inference.effect + inference.margin) if inference.margin else 0.0)
    count = sum(units.values())
    if not goal or not np.isfinite(half) or half <= goal:
        return None
    more = count * ((half / goal) ** 2 - 1)
    return int(np.ceil(more)) if more < MOST_MORE * count else None
