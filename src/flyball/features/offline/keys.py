"""Codes keys of query rows and events as small integers. Keys are equal when their texts are."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.features.offline.chunks import Chunks
from flyball.features.offline.kernels import sort as sort
from flyball.features.offline.threads import run_calls

Codes = npt.NDArray[np.int32]


class DistinctKeys(msgspec.Struct, frozen=True):
    """The distinct keys of rows. `frame`: a column for each key and `code`. `count`: the number of codes.

    There is one more code than keys: the last one is for rows with a missing key, which have no events.
    """

    frame: pl.DataFrame
    names: tuple[str, ...]
    row_codes: Codes
    count: int


def distinct_keys(rows: pl.DataFrame, names: Sequence[str]) -> DistinctKeys:
    """Number the keys of the rows."""
    chosen = rows.select(pl.col(name) if rows[name].dtype.is_integer() else _as_text(rows[name]) for name in names)
    frame = _different(chosen).with_row_index("code").cast({"code": pl.Int64})
    codes = _looked_up(chosen, frame, names)
    return DistinctKeys(frame, tuple(names), np.where(codes < 0, frame.height, codes), frame.height + 1)


def codes_of(events: pl.DataFrame, fields: Sequence[str], keys: DistinctKeys) -> Codes:
    """The code of the keys of each event, -1 if no query row has them."""
    table = keys.frame
    columns = []
    for name, field in zip(keys.names, fields, strict=True):
        column = events[field].alias(name)
        if column.dtype.is_integer() and not table[name].dtype.is_integer():
            table = _with_whole_numbers(table, name, column.dtype)
        elif not column.dtype.is_integer():
            table = table.with_columns(pl.col(name).cast(pl.String))
            column = _as_text(column)
        columns.append(column)
    return _looked_up(pl.DataFrame(columns), table, keys.names)


def _as_text(column: pl.Series) -> pl.Series:
    return column if column.dtype == pl.String else column.cast(pl.String)


def _with_whole_numbers(table: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.DataFrame:
    """The keys that are canonical texts of integers ("7" but not "07"), as integers."""
    numbers = table[name].cast(dtype, strict=False)
    return table.with_columns(numbers).filter(numbers.cast(pl.String) == table[name])


def _looked_up(query_rows: pl.DataFrame, table: pl.DataFrame, names: Sequence[str]) -> Codes:
    if (
        len(names) == 1
        and query_rows[names[0]].dtype == pl.Int64
        and table[names[0]].dtype == pl.Int64
        and table.height
    ):
        row_codes = _by_place(query_rows[names[0]], table[names[0]], table["code"])
        if row_codes is not None:
            return row_codes
    aligned = table.cast({name: query_rows[name].dtype for name in names})
    joined = query_rows.join(aligned, on=list(names), how="left", maintain_order="left")
    return joined["code"].fill_null(-1).cast(pl.Int32).to_numpy()


def _different(keys: pl.DataFrame) -> pl.DataFrame:
    column = keys.to_series()
    if keys.width == 1 and column.dtype == pl.Int64 and len(column) and not column.null_count():
        numbers = column.to_numpy()
        low, high = int(numbers.min()), int(numbers.max())
        if _are_near(low, high, len(numbers)):
            present = np.zeros(high - low + 1, dtype=np.bool_)
            present[numbers - low] = True
            return pl.DataFrame({column.name: np.flatnonzero(present) + low})
    return keys.drop_nulls().unique(maintain_order=True)


def _are_near(low: int, high: int, count: int) -> bool:
    """Whether an array from the lowest key to the highest is not much longer than the number of keys."""
    return high - low <= 16 * count + 1_000_000


def _by_place(query_rows: pl.Series, keys: pl.Series, codes: pl.Series) -> Codes | None:
    """The codes by an array from the lowest key to the highest, if they are close together."""
    numbers = keys.to_numpy()
    low, high = int(numbers.min()), int(numbers.max())
    if query_rows.null_count() or not _are_near(low, high, len(numbers)):
        return None
    code_of = np.full(high - low + 1, -1, dtype=np.int32)
    code_of[numbers - low] = codes.to_numpy()
    row_codes = np.empty(len(query_rows), dtype=np.int32)
    run_calls(sort.looked_up, Chunks(query_rows).parts, low, high, code_of, row_codes)
    return row_codes
