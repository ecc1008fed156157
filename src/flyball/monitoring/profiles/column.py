"""The profile of one column: what its values look like, in constant memory; profiles of parts merge."""

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct

from flyball.core import Doubles, Ints
from flyball.monitoring.profiles.alike import rows_alike
from flyball.statistics import DistinctCount, FrequentItems, QuantileSketch, hash_numbers

if TYPE_CHECKING:
    from flyball.statistics import Hashes

BUCKETS = 64
NUMBER, TEXT, BOOLEAN, TIME, LIST = "number", "text", "boolean", "time", "list"


class NumberMoments(Struct, frozen=True):
    """Count, mean and sum of squared distances from the mean, of finite numbers.

    >>> both = NumberMoments.of(np.array([1.0, 2.0])).merge(NumberMoments.of(np.array([6.0])))
    >>> both.count, both.mean, both.variance
    (3, 3.0, 7.0)
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Doubles) -> "NumberMoments":
        if not len(values):
            return cls()
        mean = float(values.mean())
        return cls(len(values), mean, float(((values - mean) ** 2).sum()))

    @property
    def variance(self) -> float:
        """The sample variance; 0 for fewer than two values."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0

    def merge(self, other: "NumberMoments") -> "NumberMoments":
        """Those of both samples (Chan, Golub, LeVeque, 1979)."""
        count = self.count + other.count
        if not count:
            return self
        shift = other.mean - self.mean
        squares = self.squares + other.squares + shift**2 * self.count * other.count / count
        return NumberMoments(count, self.mean + shift * other.count / count, squares)


class ColumnProfile(Struct, frozen=True):
    """What the values of a column look like.

    `kinds`: the values by kind, "number", "text", "boolean", "time" or "list"; more than one after a change of type.
    `missing`: null or NaN. `infinite`: infinite numbers. `numbers`: finite numbers; of times microseconds since 1970,
    of booleans 0 and 1, of texts and lists their lengths; `quantiles` of the same. `frequent` and `distinct` are of the
    values, of lists of their members. `buckets`: how many of these fall to each of 64 parts by their hash, exact.
    `alike`: how many rows count as one since rows of one key are alike (`rows_alike`), 1 without keys.
    """

    rows: int = 0
    missing: int = 0
    infinite: int = 0
    kinds: dict[str, int] = {}
    numbers: NumberMoments = NumberMoments()
    quantiles: QuantileSketch = QuantileSketch()
    frequent: FrequentItems = FrequentItems()
    distinct: DistinctCount = DistinctCount()
    buckets: tuple[int, ...] = (0,) * BUCKETS
    alike: float = 1.0

    @classmethod
    def of(cls, values: pl.Series, keys: Ints | None = None) -> "ColumnProfile":
        """The profile of `values`, shape (rows,); `keys`: whose rows they are, shape (rows,), from 0."""
        present = _without_nans(values.drop_nulls())
        kind, numbers, members = _parts(present)
        finite = numbers[np.isfinite(numbers)]
        frequent, hashes, counts = _items(members)
        return cls(
            rows=len(values),
            missing=len(values) - len(present),
            infinite=len(numbers) - len(finite),
            kinds={kind: len(present)} if len(present) else {},
            numbers=NumberMoments.of(finite),
            quantiles=QuantileSketch().add(finite),
            frequent=frequent,
            distinct=DistinctCount().add(hashes),
            buckets=_buckets(hashes, counts),
            alike=1.0 if keys is None else rows_alike(values, keys),
        )

    @property
    def kind(self) -> str | None:
        """The kind of most values; None if there are none."""
        return max(self.kinds, key=lambda kind: (self.kinds[kind], kind), default=None)

    def merge(self, other: "ColumnProfile") -> "ColumnProfile":
        """The profile of both columns, one below the other."""
        return ColumnProfile(
            self.rows + other.rows,
            self.missing + other.missing,
            self.infinite + other.infinite,
            {kind: self.kinds.get(kind, 0) + other.kinds.get(kind, 0) for kind in sorted({*self.kinds, *other.kinds})},
            self.numbers.merge(other.numbers),
            self.quantiles.merge(other.quantiles),
            self.frequent.merge(other.frequent),
            self.distinct.merge(other.distinct),
            tuple(a + b for a, b in zip(self.buckets, other.buckets, strict=True)),
            (self.rows * self.alike + other.rows * other.alike) / max(1, self.rows + other.rows),
        )


def _parts(present: pl.Series) -> tuple[str, Doubles, pl.Series]:
    """(kind, numbers, members) of values that are not missing."""
    dtype = present.dtype
    if dtype == pl.Boolean:
        return BOOLEAN, _doubles(present), present
    if dtype.is_numeric():
        return NUMBER, _doubles(present), present
    if dtype.is_temporal():
        microseconds = present.cast(pl.Datetime("us")) if dtype in (pl.Date, pl.Datetime) else present
        physical = microseconds.to_physical()
        return TIME, _doubles(physical), physical
    if isinstance(dtype, pl.List | pl.Array):
        as_list = present if isinstance(dtype, pl.List) else present.arr.to_list()
        return LIST, _doubles(as_list.list.len()), as_list.explode().drop_nulls()
    if isinstance(dtype, pl.Struct):
        texts = present.struct.json_encode()
    else:
        texts = present.cast(pl.String)
    return TEXT, _doubles(texts.str.len_chars()), texts


def _without_nans(values: pl.Series) -> pl.Series:
    # a query of polars takes a hundred times as long as numpy for the few rows of a window
    return values.drop_nans() if values.dtype.is_float() and np.isnan(values.to_numpy()).any() else values


def _doubles(values: pl.Series) -> Doubles:
    return values.cast(pl.Float64).to_numpy()


def _items(members: pl.Series) -> tuple[FrequentItems, "Hashes", Ints]:
    """The frequent ones of `members`, the hashes of all different ones, and how often each occurs."""
    members = _without_nans(members)
    if members.dtype.is_nested():
        members = pl.Series([str(member) for member in members.to_list()])
    counts = members.value_counts(sort=True, name="count")
    different = counts.to_series(0)
    size = FrequentItems().size
    occur, top = counts["count"].cast(pl.Int64).to_numpy(), counts.head(size + 1)
    values, numbers = top.to_series(0).to_list(), top["count"].to_list()
    surplus = numbers[size] if len(numbers) > size else 0
    kept = {value: number - surplus for value, number in zip(values, numbers, strict=True) if number > surplus}
    frequent = FrequentItems(len(members), kept, surplus, size)
    if members.dtype == pl.String:
        return frequent, np.array([_hash_text(text) for text in different.to_list()], np.uint64), occur
    return frequent, hash_numbers(_doubles(different)), occur


def _buckets(hashes: "Hashes", counts: Ints) -> tuple[int, ...]:
    sums = np.zeros(BUCKETS, np.int64)
    np.add.at(sums, (hashes % np.uint64(BUCKETS)).astype(np.intp), counts)
    return tuple(sums.tolist())


def _hash_text(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
