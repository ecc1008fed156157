"""Removes rows from the history: the parts that hold them are written again without them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flyball.files import FileStore, files_in
from flyball.history.manifest import Manifest, Part, tagged_manifest, write_manifest
from flyball.history.parts import PARTS, write_part
from flyball.history.snapshot import SNAPSHOTS, SnapshotManifest

if TYPE_CHECKING:
    import polars as pl

LogOffsets = Mapping[int, Sequence[int]]
"""{partition: offsets} of records."""


def remove_rows(location: Path | FileStore, offsets: LogOffsets) -> int:
    """Remove the rows of the records at these offsets, and every part that is not in the manifest; returns their
    number.

    The writer of the history must not run meanwhile; one that was paused and wakes up is refused. Readers that have a
    part open read it to its end. May be repeated after a process was killed.
    """
    files = files_in(location)
    with files.writing():
        manifest, tag = tagged_manifest(files)
        gone = _frame(offsets)
        parts, removed = list[Part](), 0
        for part in manifest.parts:
            kept = _without(files, part, gone, f"{manifest.serial + 1:09d}-{len(parts)}")
            parts += [] if kept is None else [kept]
            removed += part.rows - (0 if kept is None else kept.rows)
        if removed:
            manifest = msgspec.structs.replace(manifest, serial=manifest.serial + 1, parts=tuple(parts), retired=())
        # without rows, too: a writer that was paused may hold some that it has not written
        manifest = msgspec.structs.replace(manifest, removals=manifest.removals + 1)
        write_manifest(files, manifest, tag)
        _discard(files, manifest)
    return removed


def mark_snapshots(location: Path | FileStore, offsets: LogOffsets, accounts: Mapping[str, Sequence[str]]) -> list[str]:
    """Note in each snapshot that had records at these offsets that its rows are not all there any more; returns the
    names.

    `accounts`: {entity: ids} that are removed from the lists of those whom training left out.
    """
    files, marked = files_in(location), list[str]()
    for info in files.names(SNAPSHOTS):
        stored = files.read(info.name)
        if stored is None:
            continue
        manifest = msgspec.json.decode(stored.content, type=SnapshotManifest)
        left_out = manifest.left_out
        shares = {key: share for key, share in left_out.shares.items() if key not in accounts.get(left_out.entity, ())}
        covers = _covers(manifest, offsets)
        lacks = manifest.lacks_rows or covers
        if covers:
            marked.append(manifest.name)
        if lacks != manifest.lacks_rows or shares != left_out.shares:
            left_out = msgspec.structs.replace(left_out, shares=shares)
            changed = msgspec.structs.replace(manifest, lacks_rows=lacks, left_out=left_out)
            files.write(info.name, msgspec.json.format(msgspec.json.encode(changed), indent=1))
    return marked


def snapshots_with(location: Path | FileStore, offsets: LogOffsets) -> list[str]:
    """The names of the snapshots that have, or had, records at these offsets."""
    files = files_in(location)
    stored = (files.read(info.name) for info in files.names(SNAPSHOTS))
    manifests = [msgspec.json.decode(file.content, type=SnapshotManifest) for file in stored if file is not None]
    return [manifest.name for manifest in manifests if _covers(manifest, offsets)]


def _covers(manifest: SnapshotManifest, offsets: LogOffsets) -> bool:
    ends = manifest.offsets
    return any(
        partition < len(ends) and len(numbers) and min(numbers) < ends[partition]
        for partition, numbers in offsets.items()
    )


def _frame(offsets: LogOffsets) -> "pl.DataFrame":
    import polars as pl

    partitions = [partition for partition, numbers in offsets.items() for _ in numbers]
    positions = [offset for numbers in offsets.values() for offset in numbers]
    kinds = {"partition": pl.Int64, "offset": pl.Int64}
    return pl.DataFrame({"partition": partitions, "offset": positions}, schema=kinds)


def _without(files: FileStore, part: Part, gone: "pl.DataFrame", label: str) -> Part | None:
    """The part without the rows that are gone, itself where it has none of them; None where no row is left."""
    import polars as pl

    frame = pl.read_parquet(files.local(part.path), memory_map=False)
    on = [frame["partition"].cast(pl.Int64), frame["offset"].cast(pl.Int64)]
    numbered = pl.DataFrame(on).with_row_index("row").join(gone, on=["partition", "offset"], how="anti")
    if numbered.height == frame.height:
        return part
    rows = numbered["row"].sort()
    return write_part(files, part.type, label, frame[rows], part.schema) if len(rows) else None


def _discard(files: FileStore, manifest: Manifest) -> None:
    """Delete the parts that the manifest does not list, with this machine's copies of them."""
    named = {part.path for part in manifest.parts}
    for info in files.names(PARTS):
        if info.name not in named:
            files.write(info.name, None)
    if files.is_shared:
        for path in (files.folder / PARTS).rglob("*"):
            if path.is_file() and path.relative_to(files.folder).as_posix() not in named:
                path.unlink(missing_ok=True)
