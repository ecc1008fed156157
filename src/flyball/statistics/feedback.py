"""Does what was shown come back? Effects of random draws on later counts, and how shares follow past counts.

Random draws have no reason: whatever follows them more often than it follows the same rows without a draw is their
effect. The test permutes the draws among rows that were alike beforehand, which needs no distribution.
"""

from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles, SignedInts
from flyball.statistics.checks import doubles, whole_number, whole_numbers

_CHUNK_CELLS = 2_000_000
_Z = 1.959963984540054
_STEPS = 50


class RandomizedEffect(Struct, frozen=True):
    """What one draw adds to the later count of its row, with a 95 % interval.

    `p`: of no effect, against one above 0. `e_value`: its expectation is 1 if no draw has an effect, so those of other
    draws may be multiplied. `smallest`: the effect that would have been seen nine times in ten, at 5 %.
    """

    effect: float
    low: float
    high: float
    p: float
    e_value: float
    smallest: float


class ShareSlope(Struct, frozen=True):
    """Shares are proportional to `offered * past ** value`; 1: they stay as they were. With a 95 % interval.

    `influence`: of each unit on the value, (units,): the variance is the sum of their squares.
    """

    value: float
    low: float
    high: float
    influence: Doubles

    def minus(self, other: "ShareSlope") -> "ShareSlope":
        """The difference of slopes of the same units."""
        return _with_interval(self.value - other.value, self.influence - other.influence)


def randomized_effect(
    drawn: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    stratum: ArrayLike,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> RandomizedEffect | None:
    """The effect of a draw on the count `after` it; None where no two rows of a stratum differ in their draws.

    Arrays have the shape (rows,). `drawn`: how often a row was drawn, by chance alone among the rows of its `stratum`.
    `before`, `after`: its counts before and after the draws; the count before is taken off, by its ratio in the
    stratum. A stratum counts the less, the more its rows vary. The interval is that of the draws too: counts may depend
    on each other as they like. `permutations`: 0 for the effect and its interval alone. Raises `BadInput` for arrays of
    different shapes.

    The p-value and the e-value are exact: both compare the statistic with `permutations` of the draws within strata.
    The e-value is a bet on a statistic of one standard error, exp(z), divided by its mean over all permutations and
    itself; it is one bet and not a mixture, because a mixture loses its weights again at each of many small looks.
    Sources: Rosenbaum, "Observational Studies", 2002, chapter 2 (randomization tests); Ramdas, Grünwald, Vovk and
    Shafer, "Game-theoretic Statistics and Safe Anytime-valid Inference", Statistical Science 2023 (e-values).
    """
    permutations, seed = whole_number("permutations", permutations), whole_number("seed", seed)
    counts = [doubles(name, values, 0.0) for name, values in (("draws", drawn), ("before", before), ("after", after))]
    strata = np.asarray(stratum)
    if len({array.shape for array in (*counts, strata)}) != 1:
        raise BadInput("rows", "as many in each array", [len(array) for array in (*counts, strata)])
    order = np.argsort(strata, kind="stable")
    draws, early, late = (array[order] for array in counts)
    _, number, sizes = np.unique(strata[order], return_inverse=True, return_counts=True)
    d, r, weight = _centered(draws, early, late, number, sizes)
    information = float((weight * d * d).sum())
    if information <= 0:
        return None
    statistic = float((weight * d * r).sum())
    scale = float(
        np.sqrt((_sums(weight * d * d, number) * _sums(weight * r * r, number) / np.maximum(sizes - 1, 1)).sum())
    )
    effect, error = statistic / information, scale / information
    if scale <= 0:
        return RandomizedEffect(effect, effect, effect, 1.0, 1.0, 0.0)
    under_null = np.concatenate([np.zeros(0), *_permuted(d, weight * r, sizes, permutations, seed)])
    z = np.append(under_null, statistic) / scale
    e_value = float(np.exp(z[-1] - special.logsumexp(z) + np.log(len(z))))
    p = float((1 + (under_null >= statistic * (1 - 1e-12)).sum()) / (permutations + 1))
    return RandomizedEffect(effect, effect - _Z * error, effect + _Z * error, p, e_value, (1.6449 + 1.2816) * error)


def share_slope(
    counts: ArrayLike, past: ArrayLike, group: ArrayLike, unit: ArrayLike, offered: ArrayLike | None = None
) -> ShareSlope | None:
    """How the shares of a group's counts follow past numbers: proportional to `offered * past ** slope`.

    Arrays have the shape (rows,). `past`: above 0. `group`: such as the period; shares are within it. `offered`: how
    often a row could have been counted, 1 by default. `unit`: numbers from 0, such as the item; rows of a unit are not
    independent. It is the Poisson regression of the counts on log(past) with an intercept for each group, whose slope
    is consistent whatever the distribution of counts (Gourieroux, Monfort and Trognon, Econometrica 1984). None where
    nothing was counted, or where past numbers do not differ. Raises `BadInput` for a number that may not be.
    """
    y, x = doubles("counts", counts, 0.0), np.log(doubles("past numbers", past, 1e-300))
    weight = np.ones(len(y)) if offered is None else doubles("offers", offered, 0.0)
    groups, units = np.asarray(group), whole_numbers("units", unit)
    if not y.ndim == 1 or not y.shape == x.shape == weight.shape == groups.shape == units.shape:
        raise BadInput("rows", "as many in each array", [values.shape for values in (y, x, weight, groups, units)])
    number = np.unique(groups, return_inverse=True)[1]
    slope, mean, fitted, information = 0.0, np.zeros(0), np.zeros(0), 0.0
    for _ in range(_STEPS):
        mean, fitted = _fitted(slope, y, x, weight, number)
        information = float((fitted * (x - mean[number]) ** 2).sum())
        if not information > 1e-12:
            return None
        step = float(((y - fitted) * (x - mean[number])).sum()) / information
        slope += float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-10:
            break
    influence = np.bincount(units, (y - fitted) * (x - mean[number])) / information
    return _with_interval(slope, influence)


def _with_interval(value: float, influence: Doubles) -> ShareSlope:
    half = _Z * float(np.sqrt((influence**2).sum()))
    return ShareSlope(value, value - half, value + half, influence)


def _fitted(slope: float, y: Doubles, x: Doubles, weight: Doubles, group: SignedInts) -> tuple[Doubles, Doubles]:
    """(the mean of x of each group by fitted counts, the fitted counts, whose sum in each group is that of `y`)."""
    terms = weight * np.exp(slope * (x - x.max()))
    totals = np.maximum(_sums(terms, group), 1e-300)
    fitted = terms / totals[group] * _sums(y, group)[group]
    return _sums(terms * x, group) / totals, fitted


def _centered(
    drawn: Doubles, before: Doubles, after: Doubles, stratum: SignedInts, sizes: SignedInts
) -> tuple[Doubles, Doubles, Doubles]:
    """(draws, later counts less those expected by the count before, weight), without their means by stratum."""
    ratio = _sums(after, stratum) / np.maximum(_sums(before, stratum), 1e-300)
    grown = after - np.minimum(ratio, 1e6)[stratum] * before
    d, r = (values - (_sums(values, stratum) / sizes)[stratum] for values in (drawn, grown))
    variance = _sums(r * r, stratum) / np.maximum(sizes - 1, 1)
    return d, r, (1.0 / (1.0 + variance))[stratum]


def _permuted(d: Doubles, r: Doubles, sizes: SignedInts, permutations: int, seed: int) -> Iterator[Doubles]:
    """The statistic under permutations of `d` within strata, which follow each other, in parts."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum(sizes)
    parts = [(end - size, end) for end, size in zip(ends, sizes, strict=True) if size > 1 and d[end - size : end].any()]
    rows = max(1, _CHUNK_CELLS // max((end - start for start, end in parts), default=1))
    for first in range(0, permutations, rows):
        count = min(rows, permutations - first)
        total = np.zeros(count)
        for start, end in parts:
            total += rng.permuted(np.tile(d[start:end], (count, 1)), axis=1) @ r[start:end]
        yield total


def _sums(values: Doubles, group: SignedInts) -> Doubles:
    return np.asarray(np.bincount(group, values), np.float64)
