"""Sums of per-unit values that merge and subtract exactly, in any order: the state of every metric.

Values are stored in fixed point, as whole multiples of `scale`, and their squares and products as whole multiples of
`scale²`, both as integers of unlimited size. The state is therefore the same, bit for bit, for every order of merges
and on every machine. A variance is an exact ratio that is rounded once, so there is no cancellation.
"""

from fractions import Fraction
from itertools import combinations_with_replacement

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles, Ints
from flyball.statistics.checks import check_positive, doubles, number, whole_number

_LARGEST = 2**50
_HALF_BITS = 25
_CHUNK_ROWS = 4096  # 4096 products of two 25-bit halves stay below 2^63


class Sums(msgspec.Struct, frozen=True):
    """Count, totals and products of `k` columns of per-unit values.

    `totals`: shape (k,), in multiples of `scale`. `products`: shape (k(k+1)/2,), in multiples of `scale²`: the upper
    triangle by rows, such as yy, yx, xx for columns y and x.

    >>> Sums.of([1.0, 2.0, 4.0]).mean()
    2.3333333333333335
    >>> Sums.of([1.0]).merge(Sums.of([2.0, 4.0])) == Sums.of([4.0, 1.0, 2.0])
    True
    """

    count: int
    totals: tuple[int, ...]
    products: tuple[int, ...]
    scale: float = 1e-6

    @classmethod
    def of(cls, columns: ArrayLike, scale: float = 1e-6) -> "Sums":
        """The sums of one value a unit, shape (units,), or of several, shape (units, k).

        Values are rounded to whole multiples of `scale`. Raises `BadInput` for a value that is not finite or too large.
        """
        check_positive(scale=scale)
        values = doubles("values", columns)
        table = values[:, None] if values.ndim == 1 else values
        if table.ndim != 2:
            raise BadInput("values", "of shape (units,) or (units, columns)", values.shape)
        scaled = np.rint(table / scale)
        if (np.abs(scaled) >= _LARGEST).any():
            raise BadInput(
                "values", f"below {_LARGEST * scale:g} in size; take a larger scale", float(np.abs(table).max())
            )
        integers = scaled.astype(np.int64)
        width = table.shape[1]
        totals = tuple(sum(int(part) for part in _chunk_sums(integers[:, column])) for column in range(width))
        pairs = combinations_with_replacement(range(width), 2)
        return cls(len(table), totals, tuple(_dot(integers[:, i], integers[:, j]) for i, j in pairs), scale)

    @classmethod
    def of_totals(cls, count: int, totals: ArrayLike, products: ArrayLike, scale: float = 1e-6) -> "Sums":
        """From sums computed elsewhere: `totals` shape (k,), `products` (k(k+1)/2,), the upper triangle by rows.

        Raises `BadInput` for another number of products, a count that is no whole number, or a sum that is not finite.
        """
        check_positive(scale=scale)
        exact = _exact(scale)
        firsts = np.atleast_1d(doubles("totals", totals)).tolist()
        seconds = np.atleast_1d(doubles("products", products)).tolist()
        if len(seconds) != len(firsts) * (len(firsts) + 1) // 2:
            raise BadInput("products", f"{len(firsts) * (len(firsts) + 1) // 2} for {len(firsts)} totals", len(seconds))
        return cls(
            whole_number("count", count),
            tuple(round(Fraction(total) / exact) for total in firsts),
            tuple(round(Fraction(product) / exact**2) for product in seconds),
            scale,
        )

    @property
    def width(self) -> int:
        """The number of columns, k."""
        return len(self.totals)

    def merge(self, other: "Sums") -> "Sums":
        """The sums of both sets of units. Raises `BadInput` for another number of columns or another scale."""
        return self._with(other, 1)

    def minus(self, other: "Sums") -> "Sums":
        """The sums without the units of `other`, all of which must be included. Raises `BadInput` as `merge` does."""
        return self._with(other, -1)

    def _with(self, other: "Sums", sign: int) -> "Sums":
        if (self.width, self.scale) != (other.width, other.scale):
            raise BadInput(
                "sums", f"of {self.width} columns at scale {self.scale:g}", f"{other.width} at {other.scale:g}"
            )
        return Sums(
            self.count + sign * other.count,
            tuple(own + sign * theirs for own, theirs in zip(self.totals, other.totals, strict=True)),
            tuple(own + sign * theirs for own, theirs in zip(self.products, other.products, strict=True)),
            self.scale,
        )

    def mean(self, column: int = 0) -> float:
        """The mean of a column. Raises `BadInput` if there are no units."""
        if self.count < 1:
            raise BadInput("units", "one or more for a mean", self.count)
        return float(Fraction(self.totals[column], self.count) * _exact(self.scale))

    def covariance(self, first: int = 0, second: int = 0) -> float:
        """The unbiased covariance of two columns, or the variance of one.

        Raises `BadInput` for fewer than two units, and for impossible sums (a negative variance).
        """
        if self.count < 2:
            raise BadInput("units", "two or more for a variance", self.count)
        i, j = sorted((first, second))
        entry = i * self.width - i * (i - 1) // 2 + j - i
        centered = self.count * self.products[entry] - self.totals[i] * self.totals[j]
        if i == j and centered < 0:
            raise BadInput("sum of squares", "at least the squared sum over the count", self.products[entry])
        return float(Fraction(centered, self.count * (self.count - 1)) * _exact(self.scale) ** 2)

    def means(self) -> Doubles:
        """The mean of each column, shape (k,). Raises `BadInput` if there are no units."""
        return np.array([self.mean(column) for column in range(self.width)])

    def covariances(self) -> Doubles:
        """The unbiased covariance matrix, shape (k, k). Raises `BadInput` for fewer than two units."""
        columns = range(self.width)
        return np.array([[self.covariance(i, j) for j in columns] for i in columns])

    def column(self, index: int) -> "Sums":
        """The sums of one column."""
        entry = index * self.width - index * (index - 1) // 2
        return Sums(self.count, (self.totals[index],), (self.products[entry],), self.scale)


def _exact(scale: float) -> Fraction:
    return Fraction(repr(scale))  # 1e-06 is a millionth, not the double next to it


def _chunk_sums(values: Ints) -> Ints:
    return np.add.reduceat(values, np.arange(0, len(values), _CHUNK_ROWS)) if len(values) else values


def _dot(first: Ints, second: Ints) -> int:
    """The exact sum of products; factors are split into halves of 25 bits, so that 64-bit sums of 4096 rows fit."""
    mask = (1 << _HALF_BITS) - 1
    a, b = first >> _HALF_BITS, first & mask
    c, d = second >> _HALF_BITS, second & mask
    parts = (_chunk_sums(a * c), _chunk_sums(a * d), _chunk_sums(b * c), _chunk_sums(b * d))
    high, left, right, low = (sum(int(part_sum) for part_sum in part) for part in parts)
    return (high << 2 * _HALF_BITS) + ((left + right) << _HALF_BITS) + low


def sum_by_unit(units: ArrayLike, columns: ArrayLike) -> Doubles:
    """The sums of the rows of each unit and, in the last column, their number, shape (distinct units, k + 1).

    Units are sorted. `units`: the unit of each row, shape (n,). `columns`: shape (n,) or (n, k). The rows of one unit
    are not independent, but the sums of different units are: compare a mean over rows as the ratio of two columns
    (`ratio_contrast`), with a cluster-robust interval. Raises `BadInput` for different numbers of rows.

    >>> sum_by_unit(["b", "a", "b"], [1.0, 2.0, 3.0]).tolist()
    [[2.0, 1.0], [4.0, 2.0]]
    """
    values = doubles("columns", columns)
    table = values[:, None] if values.ndim == 1 else values
    names, entry = np.unique(np.asarray(units), return_inverse=True)
    if len(entry) != len(table):
        raise BadInput("units", f"one for each of the {len(table)} rows", len(entry))
    sums = [np.bincount(entry, weights=table[:, column], minlength=len(names)) for column in range(table.shape[1])]
    return np.column_stack([*sums, np.bincount(entry, minlength=len(names)).astype(np.float64)])


def winsorize(values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> Doubles:
    """Values limited to [low, high], which were fixed before the start; same shape.

    A bound computed from the tested data depends on the effect. Compute it from earlier data, such as
    `np.quantile(before, 0.999)`. Raises `BadInput` for a `low` that is not below `high` or a value that is not finite.
    """
    if not number("low", low) < number("high", high):
        raise BadInput("low", f"below high {high:g}", low)
    return np.clip(doubles("values", values), low, high)
