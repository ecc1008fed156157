"""Encode events for a feature, a column at a time, exactly as `formulas.encode_event` does for single events."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.core import SignedInts
from flyball.features.declaration.columns import boolean_column
from flyball.features.declaration.values import LARGEST_UNITS, units_of
from flyball.features.offline.chunks import Chunks
from flyball.features.offline.kernels import units
from flyball.features.offline.threads import run_calls
from flyball.policy import Expression, compile_python

SMALL = (1 << 31) - 1
"""Units of at most this size are kept in 32 bits, which hold their negatives too."""


class EncodedValues(msgspec.Struct, frozen=True):
    """An encoded column.

    `numbers`: units, or ranks of texts in code-point order, (rows,). `usable`: which are not missing, None for all.
    `texts`: the texts by rank.
    """

    numbers: SignedInts
    usable: npt.NDArray[np.bool_] | None
    texts: pl.Series | None = None


def passing(where: Expression | None, frame: pl.DataFrame) -> npt.NDArray[np.bool_] | None:
    """Which rows pass the filter, bool (rows,); None for all."""
    if where is None:
        return None
    column = boolean_column(where, frame.schema)
    if column is not None:
        return frame.select(test=column)["test"].to_numpy()
    return np.array([bool(value) for value in by_row(where, frame)], dtype=np.bool_)


def units_column(value: Expression, per_unit: int, frame: pl.DataFrame) -> EncodedValues:
    """The value in whole units."""
    if value.op == "field":
        column = frame[value.args[0]]
        if column.dtype == pl.Boolean:
            column = column.cast(pl.Int64)
        if column.dtype == pl.Int64:
            return _whole_units(column, per_unit)
        if column.dtype == pl.Float64:
            return _real_units(column, per_unit)
    units = [units_of(row_value, per_unit) for row_value in by_row(value, frame)]
    return _checked(
        np.array([row_units or 0 for row_units in units], dtype=np.int64),
        np.array([row_units is not None for row_units in units]),
    )


def text_column(value: Expression, frame: pl.DataFrame) -> EncodedValues:
    """The value as ranks of the distinct texts."""
    column = texts_of(value, frame)
    texts = column.drop_nulls().unique().sort()
    ranks = column.replace_strict(texts, pl.arange(0, len(texts), eager=True), default=None, return_dtype=pl.Int64)
    return _checked(ranks.fill_null(0).to_numpy(), column.is_not_null().to_numpy(), texts)


def texts_of(value: Expression, frame: pl.DataFrame) -> pl.Series:
    """The value as a text column, "text"."""
    if value.op == "field":
        own: pl.Series = frame[value.args[0]].cast(pl.String)
        return own.alias("text")
    return pl.Series("text", list(by_row(value, frame)), dtype=pl.String)


def by_row(expression: Expression, frame: pl.DataFrame) -> Sequence[Any]:
    """The value of the expression for each row, evaluated in Python."""
    function: Callable[[Any], Any] = compile_python(expression)
    names = sorted(expression.fields())
    if not names:
        return [function(None)] * frame.height
    return [function(SimpleNamespace(**row)) for row in frame.select(names).iter_rows(named=True)]


def _whole_units(column: pl.Series, per_unit: int) -> EncodedValues:
    numbers, present = column.fill_null(0).to_numpy(), None
    if column.null_count():
        present = column.is_not_null().to_numpy()
    most = LARGEST_UNITS // per_unit
    if len(numbers) and (int(numbers.min()) < -most or int(numbers.max()) > most):
        small = (numbers >= -most) & (numbers <= most)
        numbers = np.where(small, numbers, 0)
        present = small if present is None else present & small
    return _checked(numbers * per_unit if per_unit > 1 else numbers, present)


def _real_units(column: pl.Series, per_unit: int) -> EncodedValues:
    chunks = Chunks(column.fill_null(np.nan)).parts
    small, untold = np.empty(len(column), dtype=np.int32), np.empty(0, dtype=np.bool_)
    if all(run_calls(units.of_reals, chunks, float(per_unit), float(SMALL), small, untold)):
        return EncodedValues(small, None)
    numbers, usable = np.empty(len(column), dtype=np.int64), np.empty(len(column), dtype=np.bool_)
    run_calls(units.of_reals, chunks, float(per_unit), float(LARGEST_UNITS), numbers, usable)
    return _checked(numbers, usable)


def _checked(numbers: Any, usable: Any, texts: pl.Series | None = None) -> EncodedValues:
    integers = np.ascontiguousarray(numbers, dtype=np.int64)
    return EncodedValues(integers, None if usable is None or bool(np.all(usable)) else usable, texts)
