"""Profiles of a file of rows, part by part, so that it may be larger than memory."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from flyball.core import BadInput
from flyball.monitoring.profiles.profile_file import WindowProfiles
from flyball.monitoring.profiles.table import TableProfile

ENDINGS = (".csv", ".jsonl", ".ndjson", ".parquet")
_PART_VALUES = 5_000_000


def profile_table(path: Path, time: str | None = None, window_us: int = 0) -> WindowProfiles:
    """The profiles of the rows of `path`: CSV, JSON lines or Parquet, by its ending.

    `time`: the column by which rows are divided into windows of `window_us`: times, text as of ISO 8601, or whole
    microseconds since 1970; it is not profiled itself. A column of a CSV file is one of numbers if all its values are.
    Raises `BadInput` for a file or a column that cannot be read so, and for rows without a time.
    """
    profiles = WindowProfiles(window_us if time else 0)
    for part in _parts(path):
        profiles = profiles.merge(_windows(part, time, window_us))
    return profiles


def _windows(part: pl.DataFrame, time: str | None, window_us: int) -> WindowProfiles:
    if time is None:
        return WindowProfiles(0, {0: TableProfile.of(part)})
    starts = _times(part, time) // window_us * window_us
    table = part.drop(time)
    return WindowProfiles(
        window_us, {start: TableProfile.of(table.filter(starts == start)) for start in starts.unique().to_list()}
    )


def _times(part: pl.DataFrame, time: str) -> pl.Series:
    """The times of the rows, microseconds since 1970."""
    if time not in part.columns:
        raise BadInput("time column", f"one of {', '.join(part.columns)}", time)
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


def _parts(path: Path) -> Iterator[pl.DataFrame]:
    """The rows of a file, some million values at a time."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise BadInput("file", f"named with one of {', '.join(ENDINGS)}", path.name)
    if not path.is_file():
        raise BadInput("file", "one that exists", str(path))
    with TemporaryDirectory(prefix="flyball-") as folder:
        try:
            yield from _parquet_parts(path if ending == ".parquet" else _as_parquet(path, Path(folder)))
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


def _parquet_parts(path: Path) -> Iterator[pl.DataFrame]:
    rows, start = pl.scan_parquet(path), 0
    width = len(rows.collect_schema())
    size = max(1_000, _PART_VALUES // max(width, 1))
    while (part := rows.slice(start, size).collect()).height:
        yield part
        start += part.height
