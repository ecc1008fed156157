"""Reads parts back as frames."""

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
    """The parts that hold records of a declared type, also those written while it had another name or none."""
    names = {version.name for version in schema.lineages[name].versions.values()}
    return [part for part in manifest.parts if part.type in names]


def declared_by(manifest: Manifest, schema: Schema) -> Schema:
    """`schema` after what the parts were written with; raises `Refused` when it cannot read that."""
    if len(manifest.written) <= len(schema.written):
        return schema
    schema = schema.after(manifest.written)
    refuse_unreadable(schema, "the history")
    return schema


def read_part(folder: Path, part: Part, schema: Schema, name: str) -> "pl.DataFrame":
    """One part with the columns that type `name` has now."""
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
    wanted: Callable[[Part], bool] = lambda part: True,
    before: Offsets | None = None,
) -> "pl.DataFrame":
    """The rows of a type from the parts `wanted`, as far as they lie before the offsets; in order of time.

    Columns as declared now, see `column_types`. Raises `NotFound` for a type that is not declared.
    """
    import polars as pl

    if name not in schema.types:
        raise NotFound("event type", name, schema.types)
    declared = schema.types[name]
    frame = _read(folder, schema, name, wanted)
    if frame is None:
        return pl.DataFrame(schema=column_types(declared))
    if before is not None:
        ends = pl.Series(list(before) or [0], dtype=pl.Int64)
        place = pl.col("partition").cast(pl.UInt32)
        within = place.is_in(list(range(len(before)))) & (
            pl.col("offset") < pl.lit(ends).gather(place, null_on_oob=True)
        )
        frame = frame.filter(within.fill_null(False))
    return frame.select(list(column_types(declared))).sort("at", "partition", "offset")


def _read(folder: Path, schema: Schema, name: str, wanted: Callable[[Part], bool]) -> "pl.DataFrame | None":
    """The parts as the manifest lists them now; read again when a merge took one away meanwhile."""
    import polars as pl

    for _ in range(_TRIES):
        manifest: Manifest = read_manifest(folder)
        declared = declared_by(manifest, schema)
        parts = [part for part in parts_of(manifest, declared, name) if wanted(part)]
        if not parts:
            return None
        try:
            return pl.concat([read_part(folder, part, declared, name) for part in parts])
        except FileNotFoundError:
            if read_manifest(folder).serial == manifest.serial:
                raise StoreUnavailable(
                    f"history in {folder} must have all parts of its manifest, got one missing"
                ) from None
    raise StoreUnavailable(f"history in {folder} must be readable between two merges, got {_TRIES} in a row")
