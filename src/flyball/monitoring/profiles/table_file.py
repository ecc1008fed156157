"""Profiles of a file of rows, part by part, so that it may be larger than memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from flyball.core import BadInput
from flyball.monitoring.profiles.profile_file import WindowProfiles
from flyball.monitoring.profiles.table import TableProfile

ENDINGS = (".csv", ".jsonl", ".ndjson", ".parquet")
_PART_VALUES = 20_000_000
_BLOCK_COLUMNS = 50  # of a wide table these are read at a time, so that a part has many rows of each


def profile_table(path: Path, time: str | None = None, window_us: int = 0) -> WindowProfiles:
    """The profiles of the rows of `path`: CSV, JSON lines or Parquet, by its ending.

    `time`: the column by which rows are divided into windows of `window_us`: times, text as of ISO 8601, or whole
    microseconds since 1970; it is not profiled itself. A column of a CSV file is one of numbers if all its values are.
    Raises `BadInput` for a file or a column that cannot be read so, and for rows without a time.
    """
    with _opened(path) as rows:
        columns = rows.collect_schema().names()
        if time is not None and time not in columns:
            raise BadInput("time column", f"one of {', '.join(columns)}", time)
        names = [name for name in columns if name != time]
        starts = range(0, max(len(names), 1), _BLOCK_COLUMNS)
        blocks = [_block(rows, names[start : start + _BLOCK_COLUMNS], time, window_us) for start in starts]
    return reduce(WindowProfiles.beside, blocks)


def _block(rows: pl.LazyFrame, names: list[str], time: str | None, window_us: int) -> WindowProfiles:
    """The profiles of some columns."""
    profiles = WindowProfiles(window_us if time else 0)
    for part in _parts(rows.select(names if time is None else [time, *names])):
        profiles = profiles.merge(_windows(part, time, window_us))
    return profiles


def _windows(part: pl.DataFrame, time: str | None, window_us: int) -> WindowProfiles:
    if time is None:
        return WindowProfiles(0, {0: TableProfile.of(part)})
    starts = (_times(part, time) // window_us * window_us).alias(time)
    tables = part.with_columns(starts).partition_by(time, include_key=False, as_dict=True)
    return WindowProfiles(window_us, {int(start): TableProfile.of(table) for (start,), table in tables.items()})


def _times(part: pl.DataFrame, time: str) -> pl.Series:
    """The times of the rows, microseconds since 1970."""
    values = part[time]
    if values.dtype == pl.String:
        values = values.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if values.dtype in (pl.Date, pl.Datetime):
        values = values.cast(pl.Datetime("us")).to_physical()
    if not values.dtype.is_integer():
        raise BadInput(f"column {time}", "of times, such as 2026-01-31T12:00:00Z or microseconds", str(values.dtype))
    if values.null_count():
        row = values.is_null().arg_true()[0]
        raise BadInput(f"column {time} of a row", "a time, such as 2026-01-31T12:00:00Z", part[time][int(row)])
    return values


@contextmanager
def _opened(path: Path) -> Iterator[pl.LazyFrame]:
    """The rows of a file, to be read in parts."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise BadInput("file", f"named with one of {', '.join(ENDINGS)}", path.name)
    if not path.is_file():
        raise BadInput("file", "one that exists", str(path))
    with TemporaryDirectory(prefix="flyball-") as folder:
        try:
            yield pl.scan_parquet(path if ending == ".parquet" else _as_parquet(path, Path(folder)))
        except pl.exceptions.PolarsError as error:
            raise BadInput(f"{path}", f"a readable {ending[1:]} file", str(error).splitlines()[0]) from None


def _as_parquet(path: Path, folder: Path) -> Path:
    """The same rows as Parquet, which can be read from anywhere; the types of columns are found from all rows."""
    copy = folder / "rows.parquet"
    if path.suffix.lower() == ".csv":
        rows = pl.scan_csv(path, infer_schema_length=None, try_parse_dates=True)
    else:
        rows = pl.scan_ndjson(path, infer_schema_length=None)
    rows.sink_parquet(copy, compression="lz4")
    return copy


def _parts(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows, some million values at a time."""
    size, start = max(1_000, _PART_VALUES // max(len(rows.collect_schema()), 1)), 0
    while (part := rows.slice(start, size).collect()).height:
        yield part
        start += part.height
