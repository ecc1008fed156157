"""Converts integer sums of many rows to values, bit for bit like `formulas`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.core import Doubles, Ints
from flyball.features.declaration.aggregates import COUNT, DISTINCT, MEAN, STD, SUM, TARGET, Aggregate
from flyball.features.declaration.formulas import added
from flyball.features.declaration.values import BOOL, REAL, TEXT
from flyball.features.offline.threads import over_rows

Mask = npt.NDArray[np.bool_]

BLOCK = 1 << 14
"""The number of rows that are finalized at a time."""

HALF = 31
"""Products of two 62-bit numbers are computed from halves of this many bits."""


def added_series(feature: Aggregate, n: Ints, total: Ints, squares: Ints | None) -> pl.Series:
    """`formulas.added` of many rows; needs `n < 2**24`, `|total| < 2**60`, `squares < 2**62`."""
    if feature.op == COUNT:
        return pl.Series(n)
    values, present = np.empty(len(n)), np.empty(len(n), dtype=np.bool_)
    over_rows(_add_blocks, len(n), feature, n, total, total if squares is None else squares, values, present)
    return masked(values, present)


def _add_blocks(
    first: int, last: int, feature: Aggregate, n: Ints, total: Ints, squares: Ints, values: Doubles, present: Mask
) -> None:
    """`added_series` of the rows `[first, last)`, in blocks whose intermediate arrays stay in the cache."""
    for start in range(first, last, BLOCK):
        block = slice(start, min(start + BLOCK, last))
        values[block], present[block] = _added(feature, n[block], total[block], squares[block])


def _added(feature: Aggregate, n: Ints, total: Ints, squares: Ints) -> tuple[Doubles, Mask]:
    sums = total.astype(np.float64)
    if feature.op == TARGET:
        drawn = sums / float(feature.per_unit) + feature.prior * feature.weight
        return drawn / (n.astype(np.float64) + feature.weight), np.ones(len(n), dtype=np.bool_)
    present = n >= (2 if feature.op == STD else 1)
    several = np.where(present, n, 2)
    if feature.op == SUM:
        return sums / float(feature.per_unit), present
    if feature.op == MEAN:
        return sums / (several * feature.per_unit).astype(np.float64), present
    spread = double_of_spread(several, np.where(present, total, 0), np.where(present, squares, 0))
    return np.sqrt(spread / (several * (several - 1)).astype(np.float64)) / float(feature.per_unit), present


def added_wide(feature: Aggregate, n: Ints, total: Sequence[int], squares: Sequence[int]) -> pl.Series:
    """`formulas.added` of many rows with sums of any size."""
    rows = zip(n.tolist(), total, squares, strict=True)
    return pl.Series([added(feature, *row) for row in rows], dtype=result_type(feature))


def units_series(feature: Aggregate, units: Ints, present: Mask, texts: pl.Series | None) -> pl.Series:
    """Units or ranks of texts, in the type of the field."""
    if texts is not None:
        ranked_texts = (
            texts.gather(np.where(present, units, 0)) if len(texts) else pl.repeat(None, len(units), eager=True)
        )
        return pl.select(pl.when(pl.Series(present)).then(ranked_texts.cast(pl.String))).to_series()
    if feature.kind == REAL:
        return masked(units.astype(np.float64) / float(feature.per_unit), present)
    shown = masked(units, present)
    return shown.cast(pl.Boolean) if feature.kind == BOOL else shown


def masked(values: npt.NDArray[Any], present: Mask) -> pl.Series:
    """The values as a series, null if not present."""
    series = pl.Series(values)
    return series if bool(present.all()) else series.set(~pl.Series(present), None)


def result_type(feature: Aggregate) -> Any:
    """The polars type of a feature; for an attribute, that of its column."""
    if feature.op in (COUNT, DISTINCT):
        return pl.Int64
    if feature.result == REAL:
        return pl.Float64
    scalar = {REAL: pl.Float64, BOOL: pl.Boolean, TEXT: pl.String}.get(feature.kind, pl.Int64)
    return pl.List(scalar) if feature.result == "list" else scalar


def double_of_spread(n: Ints, total: Ints, squares: Ints) -> Doubles:
    """`float(n * squares - total * total)`, rounded once: the 124-bit number in halves of 31 bits."""
    low = (1 << HALF) - 1
    size = np.abs(total)
    high_t, low_t, high_q, low_q = size >> HALF, size & low, squares >> HALF, squares & low
    units = n * low_q - low_t * low_t
    middle = n * high_q - 2 * high_t * low_t + (units >> HALF)
    top = (middle >> HALF) - high_t * high_t
    low_bits = ((middle & low) << HALF) | (units & low)
    bits = np.where(top > 0, np.frexp(top.astype(np.float64))[1].astype(np.int64), 0)
    kept = (top << (2 * HALF - bits)) | (low_bits >> bits)
    # a sticky bit: `kept` has more bits than a double, so what was shifted out only decides ties
    lost = (low_bits & ((np.int64(1) << bits) - 1)) != 0
    doubles: Doubles = np.ldexp((kept | lost).astype(np.float64), bits)
    return doubles
