"""Reads Parquet parts as frames."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flyball.core import NotFound, StoreUnavailable
from flyball.events import Offsets, Schema, Upgrades, refuse_unreadable
from flyball.files import FileStore, files_in
from flyball.history.columns import as_declared, column_types, frame_of, raw_rows
from flyball.history.manifest import Manifest, Part, read_manifest

if TYPE_CHECKING:
    import polars as pl

PARTS = "parts/"
_TRIES = 5


def write_part(files: FileStore, name: str, label: str, frame: "pl.DataFrame", schema: int) -> Part:
    """Write rows of type `name` as a part, whose columns follow the declaration with fingerprint `schema`."""
    import polars as pl

    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1)
    content = buffer.getvalue()
    # Two writers who do not know of each other never write different rows under one name.
    path = f"{PARTS}{name}/{label}-{hashlib.sha256(content).hexdigest()[:8]}.parquet"
    files.write(path, content)
    first_at, last_at, first_known, last_known = frame.select(
        pl.min("at"), pl.max("at").alias("last_at"), pl.min("known_at"), pl.max("known_at").alias("last_known_at")
    ).row(0)
    return Part(name, path, frame.height, first_at, last_at, first_known, last_known, schema)


def parts_of(manifest: Manifest, schema: Schema, name: str) -> list[Part]:
    """The parts with records of a declared type, also those written under a former name or before it was declared."""
    names = {version.name for version in schema.lineages[name].versions.values()}
    return [part for part in manifest.parts if part.type in names]


def declared_by(manifest: Manifest, schema: Schema) -> Schema:
    """`schema` with the declarations that the parts were written with; raises `Refused` when it cannot read them."""
    if len(manifest.written) <= len(schema.written):
        return schema
    schema = schema.after(manifest.written)
    refuse_unreadable(schema, "the history")
    return schema


def read_part(files: FileStore, part: Part, schema: Schema, name: str) -> "pl.DataFrame":
    """One part, with the present columns of type `name`."""
    import polars as pl

    frame = pl.read_parquet(files.local(part.path), memory_map=False)
    declared = schema.types[name]
    if part.schema == declared.fingerprint:
        return frame.select(list(column_types(declared)))
    if part.schema:
        return as_declared(frame, schema.lineages[name], part.schema)
    upgrades = Upgrades(schema.lineages.values())
    rows = raw_rows(frame, part.type)
    return frame_of(declared, [(upgrades.record(record), partition, offset) for record, partition, offset in rows])


def read_type(
    location: Path | FileStore,
    schema: Schema,
    name: str,
    *,
    chosen: Callable[[Part], bool] = lambda part: True,
    before: Offsets | None = None,
) -> "pl.DataFrame":
    """The rows of a type in the parts that are `chosen`, `before` the offsets, ordered by time.

    Columns as declared now, see `column_types`. Raises `NotFound` for a type that is not declared.
    """
    import polars as pl

    if name not in schema.types:
        raise NotFound("event type", name, schema.types)
    columns, files = column_types(schema.types[name]), files_in(location)

    def read(manifest: Manifest) -> "list[pl.DataFrame]":
        declared = declared_by(manifest, schema)
        parts = [part for part in parts_of(manifest, declared, name) if chosen(part)]
        return [read_part(files, part, declared, name) for part in parts]

    frame = _read(files, read)
    if frame is None:
        return pl.DataFrame(schema=columns)
    return _before(frame, before).select(list(columns)).sort("at", "partition", "offset")


def read_stored(
    location: Path | FileStore,
    name: str,
    *,
    chosen: Callable[[Part], bool] = lambda part: True,
    before: Offsets | None = None,
) -> "pl.DataFrame | None":
    """The rows that `frame_of_stored` of a `HistoryConsumer` made from records of type `name`; None without any."""
    import polars as pl

    files = files_in(location)

    def read(manifest: Manifest) -> "list[pl.DataFrame]":
        parts = [part for part in manifest.parts if part.type == name and chosen(part)]
        return [pl.read_parquet(files.local(part.path), memory_map=False) for part in parts]

    frame = _read(files, read)
    return frame if frame is None else _before(frame, before).sort("at", "partition", "offset", maintain_order=True)


def _before(frame: "pl.DataFrame", before: Offsets | None) -> "pl.DataFrame":
    import polars as pl

    if before is None:
        return frame
    ends = pl.Series(list(before) or [0], dtype=pl.Int64)
    partition = pl.col("partition").cast(pl.UInt32)
    within = partition.is_in(list(range(len(before)))) & (
        pl.col("offset") < pl.lit(ends).gather(partition, null_on_oob=True)
    )
    return frame.filter(within.fill_null(False))


def _read(files: FileStore, read: "Callable[[Manifest], list[pl.DataFrame]]") -> "pl.DataFrame | None":
    """Read the parts that the manifest lists; again when a merge removed one meanwhile."""
    import polars as pl

    for _ in range(_TRIES):
        manifest = read_manifest(files)
        try:
            frames = read(manifest)
            return pl.concat(frames, how="diagonal") if frames else None
        except FileNotFoundError:
            if read_manifest(files).serial == manifest.serial:
                raise StoreUnavailable(
                    f"history in {files.where} must have all parts of its manifest, got one missing: "
                    "restore it from a backup, or delete the folder; the next run writes it again from the log"
                ) from None
    raise StoreUnavailable(
        f"history in {files.where} must be readable between two merges, got {_TRIES} in a row: run the command again"
    )
