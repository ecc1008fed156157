"""Events ordered by key in files of their own, so that a range of keys is read without the others.

Row groups of such a file hold neighboring keys, and their statistics tell a reader which of them it can skip.
"""

import io
from pathlib import Path

import msgspec
import polars as pl

from flyball.core import write_atomic

KEY = "_key"
"""The column with the text of the key that a file is ordered by."""
_ROWS_IN_GROUP = 20_000


class SortCall(msgspec.Struct, frozen=True):
    """Order the rows `[start, start + count)` of a Parquet file by the text of `field`, into `out`."""

    source: str
    field: str
    start: int
    count: int
    out: str


def sort_calls(files: list[str], field: str, folder: Path, most_events: int) -> list[SortCall]:
    """The calls that order all rows of the files, with at most `most_events` in memory in each."""
    calls = []
    for number, path in enumerate(files):
        rows = int(pl.scan_parquet(path).select(pl.len()).collect().item())
        for start in range(0, rows, most_events):
            out = folder / f"{number:05}-{start}.parquet"
            calls.append(SortCall(path, field, start, min(most_events, rows - start), str(out)))
    return calls


def sort_events(call: SortCall) -> int:
    """Do a call in this process; returns the number of rows."""
    rows = pl.scan_parquet(call.source).slice(call.start, call.count)
    ordered = rows.with_columns(pl.col(call.field).cast(pl.String).alias(KEY)).collect().sort(KEY, maintain_order=True)
    write_frame(ordered, Path(call.out), _ROWS_IN_GROUP)
    return ordered.height


def within(column: str, low: str | None, high: str | None) -> pl.Expr:
    """Whether the text of a key is in `[low, high)`; None is no limit, and a missing key is below all others."""
    key = pl.col(column).cast(pl.String)
    inside = pl.lit(True)
    if low is not None:
        inside = inside & (key >= low)
    if high is not None:
        inside = inside & (key < high)
    return inside.fill_null(low is None)


def read_range(paths: list[str], low: str | None, high: str | None) -> pl.DataFrame:
    """The events of files of `sort_events` whose key is in `[low, high)`."""
    key, frames = pl.col(KEY), []
    for path in paths:
        rows = pl.scan_parquet(path)
        if low is not None:  # a plain comparison, which the statistics of row groups can answer; null is not in it
            rows = rows.filter(key >= low)
        if high is not None:
            rows = rows.filter(key < high if low is not None else (key < high) | key.is_null())
        frames.append(rows.drop(KEY).collect())
    return pl.concat(frames, how="vertical_relaxed")


def write_frame(frame: pl.DataFrame, path: Path, rows_in_group: int | None = None) -> None:
    """Write a Parquet file atomically."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, row_group_size=rows_in_group)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
