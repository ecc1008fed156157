"""Tests of one look whether two samples have the same distribution, for rows that depend on each other too.

The rows of a window are often alike: those of one user, one hour or one season. A sample then says as little as a
smaller one of independent rows; how much smaller is its design effect (Kish, "Survey Sampling", 1965), estimated from
how far the shares of many earlier windows lie apart, compared with independent rows. Dividing the statistic by it is
the first-order correction of Rao and Scott (JASA 1981). Seasons within the earlier windows count as variation, too.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_positive, doubles

_CAUTION = 0.25
_FEWEST_EXPECTED = 5.0


def design_effect(shares: ArrayLike, counts: ArrayLike, seasons: ArrayLike | None = None) -> float:
    """How many dependent rows count as one, from `shares`, shape (windows, categories), of windows of `counts` rows.

    The categories may overlap, such as "at most x" for several x. `seasons`: an integer for each window, such as its
    day of the week; windows are then held against the mean of their season alone. At least 1. It is an estimate from
    few windows, so the upper end of an interval of one side is taken, at the level of 75 %. Raises `BadInput` for fewer
    than 3 windows, or fewer than 3 more than seasons.

    >>> design_effect([[0.5], [0.5], [0.5], [0.5]], [10, 10, 10, 10])
    1.0
    """
    table, rows = doubles("shares", shares, 0.0, 1.0), doubles("counts", counts, 0.0)
    if table.ndim != 2 or rows.shape != table.shape[:1]:
        raise BadInput("shares", "of shape (windows, categories), with a count for each window", table.shape)
    season = np.zeros(len(rows)) if seasons is None else np.asarray(seasons)
    if season.shape != rows.shape:
        raise BadInput("seasons", f"one for each of {len(rows)} windows", season.shape)
    filled = rows > 0
    table, rows = table[filled], rows[filled]
    names, season = np.unique(season[filled], return_inverse=True)
    free = len(rows) - len(names)
    if len(rows) < 3 or (len(names) > 1 and free < 3):
        raise BadInput("windows with rows", "3 or more" if len(names) <= 1 else "3 more than seasons", len(rows))
    mean = (table * rows[:, None]).sum(axis=0) / rows.sum()
    varied = (mean > 0) & (mean < 1)
    if not varied.any():
        return 1.0
    mean, table = mean[varied], table[:, varied]
    sums = np.zeros((len(names), table.shape[1]))
    np.add.at(sums, season, table * rows[:, None])
    expected = (sums / np.bincount(season, rows)[:, None])[season]
    spread = (rows[:, None] * (table - expected) ** 2).sum(axis=0) / (mean * (1 - mean))
    return max(1.0, float(spread.mean() / stats.chi2.ppf(_CAUTION, free)))


def kolmogorov_smirnov_p(
    distance: float, count_a: float, count_b: float, effect_a: float = 1.0, effect_b: float = 1.0
) -> float:
    """The probability of `distance` or more where both samples are from one distribution.

    `effect_a`, `effect_b`: their design effects. The p-value is that of the limit for many rows; up to 0.1 it is too
    high with few rows or ties, never too low. Raises `BadInput` for a distance outside [0, 1], or an empty sample.
    """
    if not 0 <= distance <= 1:
        raise BadInput("distance", "from 0 to 1", distance)
    check_positive(count_a=count_a, count_b=count_b, effect_a=effect_a, effect_b=effect_b)
    a, b = count_a / effect_a, count_b / effect_b
    return float(stats.kstwobign.sf(distance * np.sqrt(a * b / (a + b))))


def homogeneity_p(a: ArrayLike, b: ArrayLike, effect: float = 1.0) -> float:
    """The p-value of the test that two samples have the same shares of the same categories.

    `a`, `b`: counts, shape (categories,); both are samples, unlike in a test of goodness of fit. It is the chi-square
    test, with categories put together of which fewer than 5 would be expected in either sample; where less than two
    are left, Fisher's exact test of the most frequent category and all others. `effect`: the design effect.

    >>> round(homogeneity_p([50, 50], [70, 30]), 4)
    0.0039
    """
    check_positive(effect=effect)
    table = np.stack([doubles("counts of a", a, 0.0), doubles("counts of b", b, 0.0)])
    if table.ndim != 2 or not (table.sum(axis=1) > 0).all():
        raise BadInput("counts", "one for each category, with a sum above 0", table.sum(axis=1).tolist())
    filled = table[:, table.sum(axis=0) > 0]
    table = _with_rare_together(filled)
    if table.shape[1] < 2:
        most = filled[:, filled.sum(axis=0).argmax()]
        pair = np.floor(np.stack([most, filled.sum(axis=1) - most]) / effect).astype(np.int64)
        return float(stats.fisher_exact(pair).pvalue)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic / effect, table.shape[1] - 1))


def _with_rare_together(table: Doubles) -> Doubles:
    """The table with the rarest categories added up until enough are expected of each."""
    smaller = float(table.sum(axis=1).min() / table.sum())
    order = np.argsort(table.sum(axis=0), kind="stable")
    table = table[:, order]
    totals = np.cumsum(table.sum(axis=0)) * smaller
    rare = int((table.sum(axis=0) * smaller < _FEWEST_EXPECTED).sum())
    if rare:
        together = max(rare, int(np.searchsorted(totals, _FEWEST_EXPECTED)) + 1)
        table = np.concatenate([table[:, :together].sum(axis=1, keepdims=True), table[:, together:]], axis=1)
    return table
