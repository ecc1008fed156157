"""Reads Parquet parts as frames."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flyball.core import NotFound, StoreUnavailable
from flyball.events import Offsets, Schema, Upgrades, refuse_unreadable
from flyball.history.columns import as_declared, column_types, frame_of, raw_rows
from flyball.history.manifest import Manifest, Part, read_manifest

if TYPE_CHECKING:
    import polars as pl

_TRIES = 5


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


def read_part(folder: Path, part: Part, schema: Schema, name: str) -> "pl.DataFrame":
    """One part, with the present columns of type `name`."""
    import polars as pl

    frame = pl.read_parquet(folder / part.path, memory_map=False)
    declared = schema.types[name]
    if part.schema == declared.fingerprint:
        return frame.select(list(column_types(declared)))
    if part.schema:
        return as_declared(frame, schema.lineages[name], part.schema)
    upgrades = Upgrades(schema.lineages.values())
    rows = raw_rows(frame, part.type)
    return frame_of(declared, [(upgrades.record(record), partition, offset) for record, partition, offset in rows])


def read_type(
    folder: Path,
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
    columns = column_types(schema.types[name])

    def read(manifest: Manifest) -> "list[pl.DataFrame]":
        declared = declared_by(manifest, schema)
        parts = [part for part in parts_of(manifest, declared, name) if chosen(part)]
        return [read_part(folder, part, declared, name) for part in parts]

    frame = _read(folder, read)
    if frame is None:
        return pl.DataFrame(schema=columns)
    return _before(frame, before).select(list(columns)).sort("at", "partition", "offset")


def read_stored(
    folder: Path,
    name: str,
    *,
    chosen: Callable[[Part], bool] = lambda part: True,
    before: Offsets | None = None,
) -> "pl.DataFrame | None":
    """The rows that `frame_of_stored` of a `HistoryConsumer` made from records of type `name`; None without any."""
    import polars as pl

    def read(manifest: Manifest) -> "list[pl.DataFrame]":
        parts = [part for part in manifest.parts if part.type == name and chosen(part)]
        return [pl.read_parquet(folder / part.path, memory_map=False) for part in parts]

    frame = _read(folder, read)
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


def _read(folder: Path, read: "Callable[[Manifest], list[pl.DataFrame]]") -> "pl.DataFrame | None":
    """Read the parts that the manifest lists; again when a merge removed one meanwhile."""
    import polars as pl

    for _ in range(_TRIES):
        manifest = read_manifest(folder)
        try:
            frames = read(manifest)
            return pl.concat(frames, how="diagonal") if frames else None
        except FileNotFoundError:
            if read_manifest(folder).serial == manifest.serial:
                raise StoreUnavailable(
                    f"history in {folder} must have all parts of its manifest, got one missing: "
                    "restore it from a backup, or delete the folder; the next run writes it again from the log"
                ) from None
    raise StoreUnavailable(
        f"history in {folder} must be readable between two merges, got {_TRIES} in a row: run the command again"
    )
