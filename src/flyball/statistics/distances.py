"""Distances of two distributions: of numbers, given as weighted values, and of categories, given as counts.

Those of categories take two arrays of counts or shares of the same categories, shape (categories,); each is divided by
its sum. Those of numbers take two samples (values in ascending order, weights), such as `QuantileSketch.weighted`.
"""

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import doubles, finite

Weighted = tuple[ArrayLike, ArrayLike]
_LARGE = 1e300


def shares_of(counts: ArrayLike) -> Doubles:
    """`counts`, shape (categories,), divided by their sum. Raises `BadInput` for a negative count or a sum of 0."""
    numbers = doubles("counts", counts, 0.0)
    if numbers.ndim != 1 or not (numbers > 0).any():
        raise BadInput("counts", "one for each category, with a sum above 0", counts)
    return _divided(numbers)


def _divided(numbers: Doubles) -> Doubles:
    """`numbers` divided by their sum, by the largest first, as the sum of large ones would overflow."""
    parts = numbers / numbers.max()
    return np.asarray(parts / parts.sum())


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[Doubles, Doubles]:
    p, q = shares_of(a), shares_of(b)
    if p.shape != q.shape:
        raise BadInput("number of categories of b", f"{len(p)}, as of a", len(q))
    return p, q


def total_variation(a: ArrayLike, b: ArrayLike) -> float:
    """The largest difference of the shares of any set of categories: half the sum of absolute differences.

    >>> total_variation([5, 5], [10, 0])
    0.5
    """
    p, q = _pair(a, b)
    return float(np.abs(p - q).sum() / 2)


@finite("base")
def jensen_shannon_divergence(a: ArrayLike, b: ArrayLike, base: float = 2.0) -> float:
    """The mean divergence of both from their mean; from 0 to 1 in bits. Its square root is a metric.

    `base`: of the logarithm, above 1. Source: Lin, "Divergence measures based on the Shannon entropy", 1991.

    >>> jensen_shannon_divergence([1, 0], [0, 1])
    1.0
    """
    if not 1.0 < base < np.inf:
        raise BadInput("base", "a number above 1, such as 2", base)
    p, q = _pair(a, b)
    middle = (p + q) / 2
    return max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2 / float(np.log(base)))


def _divergence(p: Doubles, q: Doubles) -> float:
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())


@finite("least")
def population_stability_index(a: ArrayLike, b: ArrayLike, least: float = 1e-4) -> float:
    """The sum of (p - q) ln(p / q), where shares below `least` count as `least`.

    It depends on the categories, on `least` and on the number of values: with no shift at all and 100 values it is
    above 0.1 in half of the cases, so a fixed threshold says little (Yurdakul, 2018). Raises `BadInput` for a `least`
    that is not above 0 and below 1.

    >>> round(population_stability_index([50, 50], [60, 40]), 4)
    0.0405
    """
    if not 0.0 < least < 1.0:
        raise BadInput("least", "a share above 0 and below 1, such as 0.0001", least)
    p, q = (np.maximum(shares, least) for shares in _pair(a, b))
    return float(((p - q) * np.log(p / q)).sum())


def _sample(what: str, sample: Weighted) -> tuple[Doubles, Doubles]:
    values, weights = doubles(f"values of {what}", sample[0]), doubles(f"weights of {what}", sample[1], 0.0)
    if values.shape != weights.shape or values.ndim != 1:
        raise BadInput(f"weights of {what}", f"one for each of {values.size} values", weights.size)
    if not (weights > 0).any():
        raise BadInput(f"values of {what}", "one or more, with a weight above 0", 0)
    falls = np.flatnonzero(values[1:] < values[:-1])
    if len(falls):
        position = int(falls[0]) + 1
        raise BadInput(f"values of {what}", "in ascending order", float(values[position]), where=f"position {position}")
    return values, _divided(weights)


def _steps(a: Weighted, b: Weighted) -> tuple[Doubles, Doubles]:
    """(all values in ascending order, the distribution function of b less that of a at each)."""
    (x, p), (y, q) = _sample("a", a), _sample("b", b)
    points = np.union1d(x, y)
    below = [
        np.concatenate([[0.0], np.cumsum(shares)])[np.searchsorted(values, points, side="right")]
        for values, shares in ((x, p), (y, q))
    ]
    return points, below[1] - below[0]


def kolmogorov_smirnov(a: Weighted, b: Weighted) -> float:
    """The largest difference of the shares of values that are at most x, over all x.

    >>> kolmogorov_smirnov(([1, 2], [1, 1]), ([2, 3], [1, 1]))
    0.5
    """
    return min(1.0, float(np.abs(_steps(a, b)[1]).max()))  # sums of shares may exceed 1 by a rounding error


def wasserstein(a: Weighted, b: Weighted) -> float:
    """How far values must be moved on average to make a of b, in the unit of the values.

    Raises `BadInput` where that is more than the largest double, 1.8e308.

    >>> wasserstein(([0, 1], [1, 1]), ([5, 6], [1, 1]))
    5.0
    """
    points, steps = _steps(a, b)
    shrunk = 0.25 if np.abs(points).max() > _LARGE else 1.0  # differences of large numbers would overflow
    distance = float((np.abs(steps[:-1]) * np.diff(points * shrunk)).sum()) / shrunk
    if not np.isfinite(distance):
        raise BadInput("values of a and b", "at most 1.8e308 apart: divide both by a number", distance)
    return distance
