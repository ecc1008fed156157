"""Building blocks of metrics: sums over units that weights (resamples, units) combine."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles

Resampled = Callable[[Doubles], Doubles]
"""Weights (resamples, units) -> values (resamples,)."""

_TINY = 1e-300
_CHUNK_CELLS = 4_000_000


class RatioOfSums:
    """A weighted sum over units over another: `above` and `below` are (units,)."""

    def __init__(self, above: Doubles, below: Doubles) -> None:
        self.above, self.below = above, below

    def __call__(self, weights: Doubles) -> Doubles:
        return self.of_sums(weights @ self.above, weights @ self.below)

    def of_sums(self, above: Doubles, below: Doubles) -> Doubles:
        """The same from the weighted sums, which one product gives for many metrics."""
        return above / np.maximum(below, _TINY)


def ratio(numerator: NDArray[Any], denominator: NDArray[Any], unit_of: NDArray[np.int64], units: int) -> RatioOfSums:
    """Weighted sum of `numerator` over that of `denominator`, both (rows,); `unit_of`: the unit of each row."""
    above, below = np.bincount(unit_of, numerator, units), np.bincount(unit_of, denominator, units)
    return RatioOfSums(above.astype(np.float64), below.astype(np.float64))


def request_mean(values: NDArray[Any], unit_of: NDArray[np.int64], units: int) -> RatioOfSums:
    """Mean of `values` (rows,) over rows.

    >>> request_mean(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 1]), 2)(np.array([[1.0, 1.0], [0.0, 2.0]]))
    array([3., 6.])
    """
    return ratio(values, np.ones(len(values)), unit_of, units)


def row_weights(weights: Doubles, unit_of: NDArray[np.int64]) -> Iterator[Doubles]:
    """The weight of each row, some resamples at a time: (some resamples, rows)."""
    count = max(1, _CHUNK_CELLS // max(len(unit_of), 1))
    for first in range(0, len(weights), count):
        yield weights[first : first + count][:, unit_of]
