"""Tests of one look whether two samples have the same distribution, for rows that depend on each other too.

The rows of a window are often alike: those of one user, one hour or one season. A sample then says as little as a
smaller one of independent rows; how much smaller is its design effect (Kish, "Survey Sampling", 1965), estimated from
how far the shares of many earlier windows lie apart, compared with independent rows. Dividing the statistic by it is
the first-order correction of Rao and Scott (JASA 1981). Seasons within the earlier windows count as variation, too.

What all rows of a window share, its weather or its rush, is one draw however many rows there are, and a storm a month
is not normal: a normal tail from a few dozen windows is too thin. `shared_tail_p` gives that part the tail of a t
distribution.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_positive, check_vector, doubles, finite

_CAUTION = 0.25
_TAIL_DEGREES = 5.0
_SMALLEST = 1e-300
_FEWEST_EXPECTED = 5.0
_MOST_PAIRS = 10_000
"""Pairs of a row of a and one of b up to which the Kolmogorov-Smirnov test is exact."""
_MOST_TERMS = 400
_TIE = 1e-10
"""Difference of the logs of two probabilities up to which they are equal."""
_MOST_COUNTED = 2.0**53
"""Up to which doubles are exact."""


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


@finite("p", "shared")
def shared_tail_p(p: float, effect: float, shared: float) -> float:
    """The p-value of a test with a design effect of `effect`, of which `shared` is what rows of a window share.

    The normal deviation that `p` stands for is put down to that part alone, as a t with 5 degrees of freedom; the
    result is no less than `p`. Raises `BadInput` for an effect that is not positive.

    >>> shared_tail_p(1e-6, 1.2, 0.0), round(shared_tail_p(1e-6, 4.0, 3.0), 4)
    (1e-06, 0.0024)
    """
    check_positive(effect=effect)
    if shared <= 0 or p >= 1:
        return p
    deviation = float(stats.norm.isf(max(p, _SMALLEST) / 2)) * np.sqrt(max(effect, shared) / shared)
    return max(p, float(2 * stats.t.sf(deviation, _TAIL_DEGREES)))


@finite("distance")
def kolmogorov_smirnov_p(
    distance: float, count_a: float, count_b: float, effect_a: float = 1.0, effect_b: float = 1.0
) -> float:
    """The probability of `distance` or more where both samples are from one distribution.

    `effect_a`, `effect_b`: their design effects, by which the counts are divided. Where both quotients are whole and
    their product is at most 10,000 the p-value is exact without ties, and too high with them (Hodges, "The Significance
    Probability of the Smirnov Two-Sample Test", 1958). Otherwise it is that of the limit for many rows, which up to 0.1
    is too high for whole quotients above that product. Raises `BadInput` for a distance outside [0, 1], or an empty
    sample.

    >>> round(kolmogorov_smirnov_p(1.0, 3, 3), 12)
    0.1
    """
    if not 0 <= distance <= 1:
        raise BadInput("distance", "from 0 to 1", distance)
    check_positive(count_a=count_a, count_b=count_b, effect_a=effect_a, effect_b=effect_b)
    a, b = count_a / effect_a, count_b / effect_b
    if a * b <= _MOST_PAIRS and a == int(a) and b == int(b):
        return _exact_smirnov(distance, min(int(a), int(b)), max(int(a), int(b)))
    return float(stats.kstwobign.sf(distance * np.sqrt(a * b / (a + b))))


def _exact_smirnov(distance: float, fewer: int, more: int) -> float:
    """The share of all orders of the rows with `distance` or more, counted as lattice paths that reach it."""
    divisor = int(np.gcd(fewer, more))
    steps = int(np.ceil(distance * (fewer // divisor) * more - 1e-9))  # less for what the division rounded
    if steps <= 0:
        return 1.0
    column, reached = np.arange(more + 1), np.zeros(more + 1)
    for row in range(fewer + 1):
        total = special.binom(row + column, row)
        inside = np.flatnonzero(np.abs(row * (more // divisor) - column * (fewer // divisor)) < steps)
        if len(inside):
            first, end = int(inside[0]), int(inside[-1]) + 1
            before = total[first - 1] if first else 0.0
            total[first:end] = before + np.cumsum(reached[first:end])
        reached = total
    return min(1.0, float(reached[-1] / special.binom(fewer + more, fewer)))


def homogeneity_p(a: ArrayLike, b: ArrayLike, effect: float = 1.0) -> float:
    """The p-value of the test that two samples have the same shares of the same categories.

    `a`, `b`: counts, shape (categories,); both are samples, unlike in a test of goodness of fit. It is the chi-square
    test, with categories put together of which fewer than 5 would be expected in either sample; where less than two
    are left, Fisher's exact test of the most frequent category and all others, a sum of at most 401 probabilities.
    `effect`: the design effect. Raises `BadInput` for other categories in b than in a, and for a sum above 2^53, up to
    which doubles are exact.

    >>> round(homogeneity_p([50, 50], [70, 30]), 4)
    0.0039
    """
    check_positive(effect=effect)
    first, second = (
        check_vector(what, doubles(what, values, 0.0, _MOST_COUNTED))
        for what, values in (("counts of a", a), ("counts of b", b))
    )
    if first.shape != second.shape:
        raise BadInput("number of categories of b", f"{len(first)}, as of a", len(second))
    table = np.stack([first, second])
    sums = table.sum(axis=1)
    if not ((sums > 0) & (sums <= _MOST_COUNTED)).all():
        raise BadInput("counts", "one for each category, with a sum above 0 and at most 2^53", sums.tolist())
    filled = table[:, table.sum(axis=0) > 0]
    table = _with_rare_together(filled)
    if table.shape[1] < 2:
        most = filled[:, filled.sum(axis=0).argmax()]
        pair = np.floor(np.stack([most, filled.sum(axis=1) - most]) / effect).astype(np.int64)
        return _fisher_p(*pair.tolist())
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic / effect, table.shape[1] - 1))


def _fisher_p(first: list[int], second: list[int]) -> float:
    """The p-value of Fisher's exact test of two sides, for a smallest expected count of less than 5.

    The probabilities of counts in that cell follow from their ratios, so that sums up to 2^53 are no larger than
    small ones. Of a count above 400, and of all of these together, it is below 1e-500, so the sum ends there.
    """
    rows = (sum(first), sum(second))
    columns = (first[0] + second[0], first[1] + second[1])
    row, column = int(rows[1] <= rows[0]), int(columns[1] <= columns[0])
    units, events, total = rows[row], columns[column], sum(rows)
    seen = (first, second)[row][column]
    if seen > _MOST_TERMS:
        return 0.0
    count = np.arange(min(units, events, _MOST_TERMS))
    ratios = (float(units) - count) * (float(events) - count) / ((count + 1.0) * (total - units - events + count + 1.0))
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    chances = np.exp(logs - special.logsumexp(logs))
    return min(1.0, float(chances[logs <= logs[seen] + _TIE].sum()))


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
