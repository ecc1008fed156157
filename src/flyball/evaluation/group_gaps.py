"""Quality per group, and gaps between groups with intervals that hold for all pairs of groups together.

An interval of a gap has the level 1 - 0.05 / pairs, so that all intervals of a metric contain their true gap with a
probability of 95 % (Bonferroni; for five groups it is 3 % wider than Tukey's, and it needs no independence). Shares of
units have Wilson intervals, and gaps of shares the hybrid of two of them, which are right for few units and for shares
of 0 and 1, where a bootstrap shows no uncertainty. Other metrics have the bootstrap's standard error and a quantile of
Student's t. Sources: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
Medicine 1998; Katz et al., "Obtaining confidence intervals for the risk ratio", Biometrics 1978; Korn and Graubard,
"Confidence intervals for proportions with small expected number of positive counts", Survey Methodology 1998, for the
effective number of units; equal opportunity and equalized odds: Hardt, Price and Srebro, NeurIPS 2016.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np
from scipy import special

from flyball.core import Doubles
from flyball.evaluation.report import GroupComparison, GroupGap, GroupMetrics, LargestGap
from flyball.evaluation.resampling import Estimate, Resamples, resample
from flyball.tasks import RatioOfSums, Resampled

FEWEST_UNITS, FEWEST_COUNTED = 30, 10
"""A group of fewer units, or a metric of it that rests on fewer (such as positives), is reported and not compared."""

MOST_GROUPS = 20
"""The largest groups are compared; the others are reported."""

TRUE_POSITIVES, FALSE_POSITIVES, SELECTED = "true_positive_rate", "false_positive_rate", "selection_rate"
EQUALIZED_ODDS = "equalized_odds"
"""The larger of the gaps of `TRUE_POSITIVES` and `FALSE_POSITIVES`."""

_ALPHA = 0.05
_MOST_UNDEFINED = 0.001
"""Of resamples without a value: a metric that has more of them rests on too few units of a kind."""


class GroupInput(msgspec.Struct, frozen=True):
    """What is known of one group: how many requests of how many units, and its metrics as functions of unit weights.

    `missing`: {metric: why it has none}.
    """

    requests: int
    units: int
    metrics: Mapping[str, Resampled]
    missing: Mapping[str, str] = {}


class _Value(msgspec.Struct, frozen=True):
    """A metric of a group. `counted`: the effective number of units; `share`: whether each of them is 0 or 1."""

    drawn: Resamples
    error: float
    counted: float
    share: bool

    @property
    def value(self) -> float:
        return self.drawn.value

    def estimate(self) -> Estimate:
        """The value with its own 95 % interval; without one where it rests on few units."""
        if self.share:
            return Estimate(self.value, *self.interval(_ALPHA))
        return self.drawn.estimate() if self.counted >= FEWEST_COUNTED else Estimate(self.value)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The interval with the level 1 - `alpha`."""
        if not self.share:
            half = _quantile(alpha, self.counted) * self.error
            return self.value - half, self.value + half
        z, n = float(special.ndtri(1 - alpha / 2)), self.counted
        middle = (self.value + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(self.value * (1 - self.value) / n + z * z / (4 * n * n))
        return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def compare_groups(
    by: str, groups: Mapping[str, GroupInput], units: int, seed: int, resamples: int = 1_000, attributes: int = 1
) -> GroupComparison:
    """The groups of `by`, the largest first, each pair compared by each metric.

    All metrics are functions of the same `units`, whose weights are drawn by `seed`. `attributes`: how many there are
    whose groups are compared in the same report; what is certain counts all of their comparisons.
    """
    names = sorted(groups, key=lambda name: (-groups[name].requests, name))
    functions = {(name, metric): function for name in names for metric, function in groups[name].metrics.items()}
    drawn = resample(functions, units, seed, resamples) if functions else {}
    values = {key: _value_of(functions[key], drawn[key], groups[key[0]].units) for key in functions}
    reported = [_reported(name, groups[name], values, name in names[:MOST_GROUPS]) for name in names]
    gaps, largest = list[GroupGap](), dict[str, LargestGap]()
    able = {
        metric: [(group.group, values[group.group, metric]) for group in reported if metric not in group.not_compared]
        for metric in dict.fromkeys(metric for _, metric in functions)
    }
    comparisons = attributes * sum(len(compared) > 1 for compared in able.values())
    for metric, compared in able.items():
        pairs = _pairs(metric, compared, _ALPHA)
        gaps += pairs
        if pairs:
            certain = any(_excludes_0(pair.difference) for pair in _pairs(metric, compared, _ALPHA / comparisons))
            ratio = _smallest_ratio(compared) if metric == SELECTED else None
            largest[metric] = _largest(metric, pairs, certain, ratio)
    odds = [_pairs(metric, able.get(metric, []), _ALPHA / 2) for metric in (TRUE_POSITIVES, FALSE_POSITIVES)]
    if all(odds):
        certain = any(largest[metric].certain for metric in (TRUE_POSITIVES, FALSE_POSITIVES))
        largest[EQUALIZED_ODDS] = _largest(EQUALIZED_ODDS, [pair for pairs in odds for pair in pairs], certain, None)
    return GroupComparison(by, reported, gaps, largest)


def _value_of(function: Resampled, drawn: Resamples, units: int) -> _Value:
    usable = drawn.drawn[~np.isnan(drawn.drawn)]
    error = float(usable.std(ddof=1)) if len(usable) > 1 else float("nan")
    if not isinstance(function, RatioOfSums):
        return _Value(drawn, error, float(units), False)
    counts = function.below > 0
    below = function.below[counts]
    counted = float(below.sum() ** 2 / (below**2).sum()) if len(below) else 0.0
    share = len(below) > 0 and bool(np.isin(function.above[counts] / below, (0.0, 1.0)).all())
    return _Value(drawn, error, counted, share)


def _reported(
    name: str, group: GroupInput, values: Mapping[tuple[str, str], _Value], among_largest: bool
) -> GroupMetrics:
    not_compared = dict(group.missing)
    metrics, counted = dict[str, Estimate](), dict[str, int]()
    for metric in group.metrics:
        known = values[name, metric]
        counted[metric] = round(known.counted)
        if np.isnan(known.value):
            not_compared[metric] = "it is 0 divided by 0 here"
            continue
        metrics[metric] = known.estimate()
        if group.units < FEWEST_UNITS:
            not_compared[metric] = f"{group.units} units are too few, {FEWEST_UNITS} are needed"
        elif known.counted < FEWEST_COUNTED:
            not_compared[metric] = f"it rests on {known.counted:.0f} units, {FEWEST_COUNTED} are needed"
        elif np.isnan(known.drawn.drawn).mean() > _MOST_UNDEFINED:
            not_compared[metric] = "too few of its requests are of one of the classes"
        elif not among_largest:
            not_compared[metric] = f"only the {MOST_GROUPS} largest groups are compared"
    return GroupMetrics(name, group.requests, group.units, metrics, counted, not_compared)


def _pairs(metric: str, compared: Sequence[tuple[str, _Value]], alpha: float) -> list[GroupGap]:
    pairs = list(combinations(compared, 2))
    return [
        GroupGap(metric, name, other, _difference(value, others, alpha / len(pairs)))
        for (name, value), (other, others) in pairs
    ]


def _difference(own: _Value, others: _Value, alpha: float) -> Estimate:
    gap = own.value - others.value
    if own.share and others.share:
        (low, high), (other_low, other_high) = own.interval(alpha), others.interval(alpha)
        below = np.hypot(own.value - low, other_high - others.value)
        above = np.hypot(high - own.value, others.value - other_low)
        return Estimate(gap, float(gap - below), float(gap + above))
    error = float(np.nanstd(own.drawn.minus(others.drawn).drawn, ddof=1))
    half = _quantile(alpha, min(own.counted, others.counted)) * error
    return Estimate(gap, gap - half, gap + half)


def _quantile(alpha: float, counted: float) -> float:
    return float(special.stdtrit(max(counted - 1, 1), 1 - alpha / 2))


def _excludes_0(difference: Estimate) -> bool:
    return (difference.low or 0.0) > 0 or (difference.high or 0.0) < 0


def _largest(metric: str, pairs: Sequence[GroupGap], certain: bool, ratio: Estimate | None) -> LargestGap:
    """The largest difference of two groups, whatever its sign, with the interval that all pairs allow."""
    worst = max(pairs, key=lambda pair: abs(pair.difference.value))
    ends = [(pair.difference.low or 0.0, pair.difference.high or 0.0) for pair in pairs]
    low = max(max(low, -high, 0.0) for low, high in ends)
    high = max(max(abs(low), abs(high)) for low, high in ends)
    rising = worst.difference.value >= 0
    return LargestGap(
        metric=metric,
        high_group=worst.group if rising else worst.other,
        low_group=worst.other if rising else worst.group,
        difference=Estimate(abs(worst.difference.value), low, high),
        pairs=len(pairs),
        certain=certain,
        ratio=ratio,
    )


def _smallest_ratio(compared: Sequence[tuple[str, _Value]]) -> Estimate | None:
    """The smallest ratio of the shares of two groups, with its interval; None where a share is 0."""
    pairs = list(combinations((value for _, value in compared), 2))
    if not all(value.share and value.value > 0 for pair in pairs for value in pair):
        return None
    z = float(special.ndtri(1 - _ALPHA / len(pairs) / 2))
    ratios: list[Doubles] = []
    for pair in pairs:
        low, high = sorted(pair, key=lambda value: value.value)
        error = np.sqrt(sum((1 - value.value) / (value.counted * value.value) for value in pair))
        ratio = low.value / high.value
        ratios.append(ratio * np.exp([0.0, -z * error, z * error]))
    smallest = np.min(ratios, axis=0)
    return Estimate(float(smallest[0]), float(smallest[1]), float(min(1.0, smallest[2])))
