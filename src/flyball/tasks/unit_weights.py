"""Building blocks of metrics: sums over units that weights (resamples, units) combine."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles

Resampled = Callable[[Doubles], Doubles]
"""Weights (resamples, units) -> values (resamples,)."""

ExampleWeight = NDArray[Any] | None
"""The weight of each example, shape (rows,); None: 1 each."""


class Undefined(msgspec.Struct, frozen=True):
    """A metric that is undefined for these examples, with the reason: "auc needs both classes, all 40 examples are
    0"."""

    reason: str


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


class DefinedRatio(RatioOfSums):
    """The same, nan where the sum below is 0, such as the precision of nothing."""

    def of_sums(self, above: Doubles, below: Doubles) -> Doubles:
        return divided(above, below)


def divided(above: Doubles, below: Doubles) -> Doubles:
    """`above / below`, nan where `below` is not positive."""
    quotient: Doubles = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return quotient


def ratio(
    numerator: NDArray[Any],
    denominator: NDArray[Any],
    unit_of: NDArray[np.int64],
    units: int,
    weight: ExampleWeight = None,
) -> RatioOfSums:
    """Weighted sum of `numerator` over that of `denominator`, both (rows,); `unit_of`: the unit of each row.

    `weight`: (rows,), what each example counts; 1 by default.
    """
    return RatioOfSums(*_sums(numerator, denominator, unit_of, units, weight))


def defined_ratio(
    numerator: NDArray[Any],
    denominator: NDArray[Any],
    unit_of: NDArray[np.int64],
    units: int,
    weight: ExampleWeight = None,
) -> DefinedRatio:
    """`ratio` that is nan, not 0, where nothing lies below the line."""
    return DefinedRatio(*_sums(numerator, denominator, unit_of, units, weight))


def _sums(
    numerator: NDArray[Any],
    denominator: NDArray[Any],
    unit_of: NDArray[np.int64],
    units: int,
    weight: ExampleWeight,
) -> tuple[Doubles, Doubles]:
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    if weight is not None:
        above, below = above * weight, below * weight
    return (
        np.bincount(unit_of, above, units).astype(np.float64),
        np.bincount(unit_of, below, units).astype(np.float64),
    )


def request_mean(
    values: NDArray[Any], unit_of: NDArray[np.int64], units: int, weight: ExampleWeight = None
) -> RatioOfSums:
    """Mean of `values` (rows,) over rows, each counting `weight` (rows,), 1 by default.

    >>> request_mean(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 1]), 2)(np.array([[1.0, 1.0], [0.0, 2.0]]))
    array([3., 6.])
    """
    return ratio(values, np.ones(len(values)), unit_of, units, weight)


def row_weights(weights: Doubles, unit_of: NDArray[np.int64], weight: ExampleWeight = None) -> Iterator[Doubles]:
    """The weight of each row, its own `weight` (rows,) included, some resamples at a time: (some resamples, rows)."""
    count = max(1, _CHUNK_CELLS // max(len(unit_of), 1))
    for first in range(0, len(weights), count):
        rows = weights[first : first + count][:, unit_of]
        yield rows if weight is None else rows * weight
