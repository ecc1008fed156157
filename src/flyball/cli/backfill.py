"""`flyball features backfill`: the features of any rows of keys and timestamps, over all of the history."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flyball.cli.show import progress_line
from flyball.core import BadInput, FileLock, NotFound, parse_timestamp, sha256_file, write_atomic

if TYPE_CHECKING:
    import polars as pl

    from flyball.features import Group
    from flyball.runtime import Runtime


class Backfilled(msgspec.Struct, frozen=True):
    """The result of a backfill. `events`: the number read from the history; rows see an event `apply_delay_us` after it
    was known, at the earliest."""

    file: str
    rows: int
    features: list[str]
    events: int
    apply_delay_us: int


def backfill_rows(
    runtime: "Runtime", rows: Path, out: Path, group: str | None, memory_bytes: int, processes: int, quiet: bool
) -> Backfilled:
    """Write `rows` with the features of all groups whose keys they have, or of `group`, to `out`.

    While it runs, a folder `<out>.parts` beside `out` holds the events as of the start, and the finished parts. The
    same command continues where an earlier run was stopped. Raises `HomeBusy` while another one runs.
    """
    from flyball.compute import open_compute
    from flyball.features import backfill
    from flyball.history import hold_events
    from flyball.operations import catch_up

    if out.suffix not in _FORMATS:
        raise BadInput("--out", f"a file that ends with {' or '.join(_FORMATS)}", str(out))
    query_rows = _read(rows)
    if out.exists() and out.samefile(rows):
        raise BadInput("--out", "another file than --rows, which would be lost", str(out))
    frame = _query_rows(query_rows, rows)
    groups = _chosen(runtime.app.task.about.feature_groups, frame, group, rows)
    name = hashlib.sha256(str(out.absolute()).encode()).hexdigest()[:12]
    with FileLock(runtime.layout.run / f"backfill-{name}.lock", f"a backfill to {out}"):
        parts = out.with_name(f"{out.name}.parts")
        delay_us, is_new = _begin(runtime, parts, rows, groups)
        if is_new:
            catch_up(runtime)
        used = sorted({event.__name__.lower() for event_type in groups for event in event_type.event_types})
        events = hold_events(runtime.history, used, parts / "events")
        _check_unit(query_rows["at"], frame["at"], _earliest_us(events), rows)
        with (
            progress_line(quiet) as show_progress,
            closing(open_compute(runtime.settings.compute, processes)) as compute,
        ):
            computed = backfill(
                groups,
                events,
                frame,
                parts,
                memory_bytes=memory_bytes,
                workers=processes,
                apply_delay_us=delay_us,
                compute=compute,
                progress=lambda done, parts: show_progress(f"{done:,} of {parts:,} parts"),
            )
        features = computed.columns[len(frame.columns) :]
        _write(query_rows.hstack(computed.select(features)), out)
        count = sum(_height(path) for paths in events.values() for path in paths)
        shutil.rmtree(parts)
        return Backfilled(str(out), computed.height, features, count, delay_us)


def _begin(runtime: "Runtime", parts: Path, rows: Path, groups: "Sequence[Group]") -> tuple[int, bool]:
    """The apply delay to use, and whether this is a new backfill; the folder of a different one is removed."""
    from flyball.features import read_apply_delays
    from flyball.runtime import FEATURES_CONSUMER

    definitions = [[definition.name, definition.hash] for group in groups for definition in group.definitions]
    digest = hashlib.sha256(msgspec.json.encode([sha256_file(rows), definitions])).hexdigest()
    path = parts / "request.json"
    if path.exists():
        request = msgspec.json.decode(path.read_bytes(), type=_Request)
        if request.digest == digest:
            return request.apply_delay_us, False
    measured = read_apply_delays(runtime.apply_delays_path).get(FEATURES_CONSUMER)
    request = _Request(digest, 0 if measured is None else measured.p99_us)
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    write_atomic(path, msgspec.json.encode(request))
    return request.apply_delay_us, True


class _Request(msgspec.Struct, frozen=True):
    digest: str
    apply_delay_us: int


_FORMATS = (".parquet", ".csv")
_LOOKED_AT = 1_000
"""The most rows with a suspicious time that are examined."""


def _read(path: Path) -> "pl.DataFrame":
    """The rows of the file."""
    import polars as pl

    if path.suffix not in _FORMATS:
        raise BadInput("--rows", f"a file that ends with {' or '.join(_FORMATS)}", str(path))
    if not path.is_file():
        raise BadInput("--rows", "an existing file", str(path))
    try:
        frame = pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise BadInput(f"--rows {path}", f"readable {path.suffix[1:]}", str(error).splitlines()[0]) from None
    if "at" not in frame.columns:
        raise BadInput(f"columns of {path}", "at, and the keys of a group of features", ", ".join(frame.columns))
    return frame


def _query_rows(frame: "pl.DataFrame", path: Path) -> "pl.DataFrame":
    """The rows in the engine's form: `at` in microseconds, `offsets` as lists."""
    import polars as pl

    frame = frame.with_columns(at=_timestamps(frame["at"], path))
    if "offsets" in frame.columns and frame.schema["offsets"] == pl.String:
        frame = frame.with_columns(pl.col("offsets").str.json_decode(pl.List(pl.Int64)))
    return frame


def _timestamps(column: "pl.Series", path: Path) -> "pl.Series":
    import polars as pl

    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        column = column.dt.cast_time_unit("us").dt.replace_time_zone(None) if kind.time_zone is None else column
        column = column.dt.epoch("us")
    elif kind == pl.Date:
        column = column.cast(pl.Datetime("us")).dt.epoch("us")
    elif kind == pl.String:
        column = pl.Series([_timestamp(text, f"at in row {row} of {path}") for row, text in enumerate(column, start=1)])
    elif not kind.is_integer():
        raise BadInput(f"at in {path}", "times, or microseconds since 1970 in whole numbers", str(kind))
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise BadInput(f"at in row {row} of {path}", "a time", None)
    return column.cast(pl.Int64)


def _earliest_us(events: "Mapping[str, Sequence[Path]]") -> int | None:
    """The least `at` of the events."""
    import polars as pl

    paths = [path for parts in events.values() for path in parts]
    times = [pl.scan_parquet(path).select(pl.col("at").cast(pl.Int64).min()).collect().item() for path in paths]
    return min((time for time in times if time is not None), default=None)


def _check_unit(column: "pl.Series", at_us: "pl.Series", earliest_us: int | None, path: Path) -> None:
    """Raise `BadInput` for a number that is before all events, or after 2099, but would not be in another unit."""
    import polars as pl

    from flyball.events import LAST_US, UNIT_WORDS, likely_unit

    if earliest_us is None:
        return
    if column.dtype == pl.String:
        numbers = column.str.contains(r"^\d+$")
    elif column.dtype.is_integer():
        numbers = column.is_not_null()
    else:
        return
    suspicious_rows = (numbers & ((at_us < earliest_us) | (at_us >= LAST_US))).arg_true().head(_LOOKED_AT).to_list()
    for row in suspicious_rows:
        if likely := likely_unit(at_us[row]):
            must = f"ISO 8601, or microseconds since 1970; this looks like {UNIT_WORDS[likely]}"
            raise BadInput(f"at in row {row + 1} of {path}", must, at_us[row])


def _timestamp(text: str | None, where: str) -> int:
    if text is None:
        raise BadInput(where, "a time", None)
    try:
        return int(text) if text.lstrip("-").isdecimal() else parse_timestamp(text)
    except BadInput:
        raise BadInput(where, "ISO 8601, or microseconds since 1970", text) from None


def _chosen(groups: "Sequence[Group]", rows: "pl.DataFrame", only: str | None, path: Path) -> "list[Group]":
    """The groups to compute: `only`, or all whose keys the rows have."""
    named = {group.name: group for group in groups if group.definitions}
    if only is not None and only not in named:
        raise NotFound("group of features", only, named, "" if named else "the application declares none")
    requested = list(named.values()) if only is None else [named[only]]
    computable = [listed for listed in requested if set(listed.keys) <= set(rows.columns)]
    if not computable:
        keys = " or ".join(", ".join(listed.keys) for listed in requested) or "(no features are declared)"
        raise BadInput(f"columns of {path}", f"at, and the keys {keys}", ", ".join(rows.columns))
    return computable


def _write(frame: "pl.DataFrame", out: Path) -> None:
    """Write the file atomically."""
    import polars as pl

    from flyball.history import spreadsheet_frame

    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    if out.suffix == ".csv":
        lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
        texts = [pl.Series(name, [_text(value) for value in frame[name]], dtype=pl.String) for name in lists]
        spreadsheet_frame(frame.with_columns(texts))[0].write_csv(temporary)
    else:
        frame.write_parquet(temporary)
    os.replace(temporary, out)


def _text(values: "pl.Series | None") -> str | None:
    return None if values is None else msgspec.json.encode(values.to_list()).decode()


def _height(path: Path) -> int:
    import polars as pl

    return int(pl.scan_parquet(path).select(pl.len()).collect().item())
