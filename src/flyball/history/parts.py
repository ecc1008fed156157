"""Reads parts back as frames."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flyball.core import NotFound, StoreUnavailable
from flyball.events import Offsets, Schema
from flyball.history.columns import column_types, fitted
from flyball.history.manifest import Manifest, Part, read_manifest

if TYPE_CHECKING:
    import polars as pl

_TRIES = 5


def read_parts(folder: Path, parts: Sequence[Part], schema: Schema, name: str) -> "pl.DataFrame":
    """All columns of parts of one type, in order of partition and offset."""
    import polars as pl

    frames = [pl.read_parquet(folder / part.path, memory_map=False) for part in parts]
    declared = schema.types.get(name)
    if declared is not None:
        frames = [fitted(frame, declared) for frame in frames]
    return pl.concat(frames, how="diagonal").sort("partition", "offset")


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
    for _ in range(_TRIES):
        manifest: Manifest = read_manifest(folder)
        parts = [part for part in manifest.parts if part.type == name and wanted(part)]
        if not parts:
            return None
        try:
            return read_parts(folder, parts, schema, name)
        except FileNotFoundError:
            if read_manifest(folder).serial == manifest.serial:
                raise StoreUnavailable(
                    f"history in {folder} must have all parts of its manifest, got one missing"
                ) from None
    raise StoreUnavailable(f"history in {folder} must be readable between two merges, got {_TRIES} in a row")
