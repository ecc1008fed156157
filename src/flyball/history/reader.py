"""Reading the history, for notebooks and exports."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flyball.core import BadInput, spreadsheet_cell
from flyball.events import Offsets, Schema
from flyball.files import FileStore, files_in
from flyball.history.delays import Delay, lags_of
from flyball.history.joins import join_frames, sides_of
from flyball.history.manifest import read_manifest
from flyball.history.parts import declared_by, parts_of, read_type
from flyball.history.snapshot import Snapshot, take_snapshot

if TYPE_CHECKING:
    import polars as pl

EXPORTS = ("csv", "parquet")
FEWEST = 100
"""The least number of live events from which a 99th percentile of their lag is taken."""


class WrittenFrame(NamedTuple):
    """What was written: the rows, and how many cells got an apostrophe, as they would be run as formulas."""

    rows: int
    quoted: int


class History:
    """The history in a folder or a store of files, read only (`snapshot` writes a manifest)."""

    def __init__(self, location: Path | FileStore, schema: Schema) -> None:
        self.files, self.schema = files_in(location), schema

    def offsets(self) -> Offsets:
        """The log offsets up to which the history holds all records."""
        return read_manifest(self.files).offsets

    def counts(self) -> dict[str, int]:
        """Rows by event type, also of types that are not declared any more."""
        manifest = read_manifest(self.files)
        schema = declared_by(manifest, self.schema)
        counts = {name: sum(part.rows for part in parts_of(manifest, schema, name)) for name in schema.types}
        named = {part.path for name in schema.types for part in parts_of(manifest, schema, name)}
        for part in manifest.parts:
            if part.path not in named:
                counts[part.type] = counts.get(part.type, 0) + part.rows
        return counts

    def latest_at_us(self) -> int:
        """The time of the latest event, microseconds since 1970; 0 without any."""
        return max((part.last_at_us for part in read_manifest(self.files).parts), default=0)

    def events(
        self,
        name: str,
        since_us: int | None = None,
        as_of_us: int | None = None,
        until_us: int | None = None,
        known_since_us: int | None = None,
    ) -> "pl.DataFrame":
        """Events of a type with `since_us <= at < until_us` and `known_since_us <= known_at <= as_of_us`.

        They are ordered by time.

        Columns: the fields, then `at, known_at, partition, offset, key, id, flags`. Raises `NotFound`.
        """
        import polars as pl

        if name in self.schema.joined:
            joined = self._joined(name, since_us, as_of_us)
            if known_since_us is not None:
                joined = joined.filter(pl.col("known_at") >= known_since_us)
            return joined if until_us is None else joined.filter(pl.col("at") < until_us)
        frame = read_type(
            self.files,
            self.schema,
            name,
            chosen=lambda part: (
                (since_us is None or part.last_at_us >= since_us)
                and (until_us is None or part.first_at_us < until_us)
                and (as_of_us is None or part.first_known_us <= as_of_us)
                and (known_since_us is None or part.last_known_us >= known_since_us)
            ),
        )
        if since_us is not None:
            frame = frame.filter(pl.col("at") >= since_us)
        if until_us is not None:
            frame = frame.filter(pl.col("at") < until_us)
        if known_since_us is not None:
            frame = frame.filter(pl.col("known_at") >= known_since_us)
        return frame if as_of_us is None else frame.filter(pl.col("known_at") <= as_of_us)

    def _joined(self, name: str, since_us: int | None, as_of_us: int | None) -> "pl.DataFrame":
        """The rows of a joined type, see `join_frames`."""
        import polars as pl

        event = self.schema.joined[name].cls
        frame = join_frames(event, *(self.events(side, None, as_of_us) for side in sides_of(event)))
        return frame if since_us is None else frame.filter(pl.col("at") >= since_us)

    def snapshot(self, as_of_us: int) -> Snapshot:
        """What was known at `as_of_us`, see `take_snapshot`."""
        return take_snapshot(self.files, self.schema, as_of_us)


def learned_lag(history: History, only: str | None = None) -> Delay:
    """The lag from `at` to `known_at` of the live events of all types but profiles, or of type `only`.

    Raises `BadInput` for fewer than a hundred events, `NotFound` for an unknown type.
    """
    import polars as pl

    names = [name for name, declared in history.schema.types.items() if not declared.is_profile]
    frames = [history.events(name).select("at", "known_at", "flags") for name in ([only] if only else names)]
    lag = lags_of(pl.concat(frames)).live if frames else None
    if lag is None or lag.events < FEWEST:
        got = 0 if lag is None else lag.events
        raise BadInput("a lag to learn", f"shown by {FEWEST} live events or more in the history", got)
    return lag


def export(
    history: History, name: str, out: Path, kind: str = "csv", since_us: int | None = None, as_is: bool = False
) -> "WrittenFrame":
    """Write the events of a type to a file. Raises as `write_frame`, and `NotFound`.

    `csv`: the event time and the fields; `parquet`: all columns. `as_is`: as `write_frame`.
    """
    from flyball.history.columns import META

    frame = with_times(history.events(name, since_us))
    if kind == "csv":
        frame = frame.select("at", *(column for column in frame.columns if column not in META))
    return write_frame(frame, out, kind, as_is)


def with_times(frame: "pl.DataFrame") -> "pl.DataFrame":
    """The frame with `at` and `known_at` as datetimes in UTC instead of microseconds."""
    import polars as pl

    moment = pl.Datetime("us", "UTC")
    return frame.with_columns(pl.col(name).cast(pl.Int64).cast(moment) for name in ("at", "known_at"))


def write_frame(frame: "pl.DataFrame", out: Path, kind: str = "csv", as_is: bool = False) -> "WrittenFrame":
    """Write a frame to a file atomically.

    In `csv` times are ISO 8601 UTC with microseconds, lists are JSON and bytes are base64; texts that a spreadsheet
    would run as a formula begin with an apostrophe, unless they are written `as_is`. Raises `BadInput` for an
    unknown `kind` and for a folder that does not exist.
    """
    if kind not in EXPORTS:
        raise BadInput("export format", f"one of {', '.join(EXPORTS)}", kind)
    if not out.parent.is_dir():
        raise BadInput("folder of the file to write", "one that exists: make it first", str(out.parent))
    temporary = out.with_name(f".{out.name}.tmp")
    if kind == "csv":
        written = _for_csv(frame)
        safe, quoted = (written, 0) if as_is else spreadsheet_frame(written)
        safe.write_csv(temporary)
    else:
        quoted = 0
        frame.write_parquet(temporary)
    temporary.replace(out)
    return WrittenFrame(frame.height, quoted)


def spreadsheet_frame(frame: "pl.DataFrame") -> "tuple[pl.DataFrame, int]":
    """The frame with every text as a cell that no spreadsheet runs, see `flyball.core.spreadsheet_cell`, and the number
    of those that had to be changed for it."""
    import polars as pl

    texts = [column for column in frame if column.dtype == pl.String]
    doubtful = [column for column in texts if column.str.contains(r"^\s*[=@+\-]|^[\t\r\n]").any()]
    safe = [
        pl.Series(column.name, [text and spreadsheet_cell(text) for text in column], dtype=pl.String)
        for column in doubtful
    ]
    quoted = sum(int((new != old).sum()) for new, old in zip(safe, doubtful, strict=True))
    return frame.with_columns(safe), quoted


def _for_csv(frame: "pl.DataFrame") -> "pl.DataFrame":
    import msgspec
    import polars as pl

    columns = []
    for name, dtype in frame.schema.items():
        if dtype.base_type() == pl.Datetime:
            columns.append(frame[name].dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
        elif dtype.base_type() == pl.List:
            texts = [None if value is None else msgspec.json.encode(value).decode() for value in frame[name].to_list()]
            columns.append(pl.Series(name, texts, dtype=pl.String))
        elif dtype == pl.Binary:
            columns.append(frame[name].bin.encode("base64"))
        else:
            columns.append(frame[name])
    return pl.DataFrame(columns)
