"""Writes the log to Parquet files, each record exactly once."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from flyball.core import StoreUnavailable
from flyball.events import Offsets, Schema, Slice, WrittenSchemas, WrittenType, fresh
from flyball.files import FileInfo, FileStore, files_in, unfinished
from flyball.history.columns import Row, frame_of, raw_frame
from flyball.history.manifest import Manifest, Part, read_manifest, tagged_manifest, write_manifest
from flyball.history.parts import PARTS, write_part

if TYPE_CHECKING:
    import polars as pl

FLUSH_ROWS, FLUSH_BYTES = 100_000, 32 << 20
FAN_IN = 16
"""The number of parts of about one size that are merged into one."""

_SIZES = (4_000, 64_000, 1_000_000)
_OVERTAKEN = 20
"""How often a flush begins again since workers beside this one have replaced the manifest."""
_MERGED_ROWS = 2 * _SIZES[-1]
"""The most rows that a merge holds in memory: parts of `_SIZES[-1]` rows or more are not merged."""


def _no_step(name: str) -> None:
    """Called between the steps of a flush; tests pass one that raises."""


class HistoryConsumer:
    """Writes the log into `location`: Parquet parts for each event type, and a manifest that lists them with offsets.

    `schemas`: the declarations that the log's records were written with; by default those that `schema` knows.
    `frame_of_stored`: makes the rows of records that `schema` does not declare; by default they are stored as they are.
    Records are buffered until there are `flush_rows`, or `flush_bytes` in their bodies, or `flush` is called; `offsets`
    says what is durable, and after a crash the log is read again from there. Records that were delivered twice, or
    written by another process meanwhile, are skipped; so several consumers may write at once, each its partitions, and
    one that was paused and writes what another has written since. Raises `BadInput` for a slice that would leave a gap,
    and `StoreUnavailable` when parts have been deleted, or rows were removed since records were read: then reading also
    starts again from `offsets`.
    """

    def __init__(
        self,
        schema: Schema,
        location: Path | FileStore,
        *,
        partitions: int = 4,
        schemas: WrittenSchemas | None = None,
        frame_of_stored: Callable[[Sequence[Row]], "pl.DataFrame"] = raw_frame,
        flush_rows: int = FLUSH_ROWS,
        flush_bytes: int = FLUSH_BYTES,
        fan_in: int = FAN_IN,
        on_step: Callable[[str], None] = _no_step,
    ) -> None:
        self._schema, self._files, self._partitions = schema, files_in(location), partitions
        self._schemas, self._frame_of_stored = schemas, frame_of_stored
        self._flush_rows, self._flush_bytes = flush_rows, flush_bytes
        self._fan_in, self._on_step = fan_in, on_step
        self._rows: list[Row] = []
        self._bytes = 0  # in the bodies of these
        self._reached: Offsets | None = None
        self._base: Offsets = ()
        self._removals = 0  # of the manifest from which it reads on
        self._clean = False  # whether what others left was removed: a listing of an object store takes a second

    def offsets(self) -> Offsets:
        """The durable offsets: the records before them are in the parts.

        Where nothing is buffered it goes on from there, also after a removal: what is read from now on knows of it.
        """
        manifest = read_manifest(self._files)
        if not self._rows:
            self._start_at(manifest)
        return self._padded(manifest.offsets)

    def apply(self, slices: Sequence[Slice]) -> int:
        """Buffer `slices` and write when there is enough; returns the number of new records."""
        before = len(self._rows)
        try:
            self._take(slices)
            new_rows = len(self._rows) - before
            if len(self._rows) >= self._flush_rows or self._bytes >= self._flush_bytes:
                self.flush()
        except BaseException:
            self._forget()
            raise
        return new_rows

    def flush(self) -> None:
        """Write the buffered records durably."""
        if not self._rows or self._reached is None:
            return
        try:
            for tries_left in range(_OVERTAKEN, -1, -1):
                if self._written_now(self._reached, tries_left):
                    break
        except BaseException:
            self._forget()
            raise
        self._rows, self._bytes, self._base = [], 0, self._reached

    def _written_now(self, reached: Offsets, tries_left: int) -> bool:
        """Write, and say whether that was done; False where another worker was first, which wrote other partitions."""
        with self._files.writing():
            # listed first: a worker that is paused in between finds what others wrote meanwhile in the manifest
            left = [] if self._clean else self._files.names(PARTS)
            manifest, tag = tagged_manifest(self._files)
            try:
                self._write(reached, manifest, tag, left)
            except StoreUnavailable:
                if not tries_left or tagged_manifest(self._files)[1] == tag:
                    raise
                return False
        return True

    def _take(self, slices: Sequence[Slice]) -> None:
        reached = self._start_at(read_manifest(self._files)) if self._reached is None else self._reached
        new, self._reached = fresh(slices, reached)
        for piece in new:
            kept = piece.stored or piece.records
            self._rows.extend((record, piece.partition, offset) for offset, record in enumerate(kept, piece.first))
            self._bytes += sum(len(record.body) for record in kept)

    def _start_at(self, manifest: Manifest) -> Offsets:
        self._reached = self._base = self._padded(manifest.offsets)
        self._removals = manifest.removals
        return self._base

    def _padded(self, offsets: Offsets) -> Offsets:
        return offsets + (0,) * (self._partitions - len(offsets))

    def _forget(self) -> None:
        """After a failure: discard the buffer and start again from the durable offsets."""
        self._rows, self._bytes, self._reached, self._clean = [], 0, None, False

    def _write(self, reached: Offsets, manifest: Manifest, tag: str, left: Sequence[FileInfo]) -> None:
        named = {part.path for part in manifest.parts} | set(manifest.retired)
        self._remove(unfinished(self._files, left, named))
        self._clean = True
        done = manifest.offsets + (0,) * (len(reached) - len(manifest.offsets))
        if any(end < start for end, start in zip(done, self._base, strict=False)):
            raise StoreUnavailable(
                f"history in {self._files.where} must hold the records before {self._base}, got those before {done}: "
                "it was deleted or replaced, and is written again from there"
            )
        if manifest.removals != self._removals:
            raise StoreUnavailable(
                f"history in {self._files.where} must have had no removal since the records were read that are to be "
                "written, got one: they are read again from the log"
            )
        rows = [row for row in self._rows if row[2] >= done[row[1]]]
        offsets = tuple(max(pair) for pair in zip(done, reached, strict=False)) + done[len(reached) :]
        serial = manifest.serial + 1
        parts = [*manifest.parts, *self._new_parts(rows, serial)]
        parts, retired = self._compact(parts, serial)
        self._on_step("parts written")
        retired_before = tuple(retired) or manifest.retired
        written = self._written(manifest, parts)
        new = Manifest(offsets, serial, tuple(parts), retired_before, written, removals=manifest.removals)
        write_manifest(self._files, new, tag)
        self._on_step("manifest written")
        if retired:
            self._remove(manifest.retired)

    def _written(self, manifest: Manifest, parts: Sequence[Part]) -> tuple[WrittenType, ...]:
        """The declarations in use, oldest first."""
        if self._schemas is not None:
            return tuple(self._schemas.stored())
        known = max(manifest.written, self._schema.written, key=len)
        in_use, known_schemas = {part.schema for part in parts}, {written.fingerprint for written in known}
        own = [declared.written for declared in self._schema.types.values() if declared.fingerprint in in_use]
        return (*known, *(written for written in own if written.fingerprint not in known_schemas))

    def _new_parts(self, rows: Sequence[Row], serial: int) -> list[Part]:
        by_type: dict[tuple[str, bool], list[Row]] = {}
        for row in rows:
            declared = self._schema.types.get(row[0].type)
            as_now = declared is not None and row[0].schema in (0, declared.fingerprint)
            by_type.setdefault((row[0].type, as_now), []).append(row)
        return [self._new_part(name, as_now, f"{serial:09d}", rows) for (name, as_now), rows in by_type.items()]

    def _new_part(self, name: str, as_now: bool, label: str, rows: Sequence[Row]) -> Part:
        """Write one part: records of today's declarations as columns, others as stored, so that nothing is lost."""
        if not as_now:
            return self._part(name, f"{label}-stored", self._frame_of_stored(rows), 0)
        declared = self._schema.types[name]
        return self._part(name, label, frame_of(declared, rows), declared.fingerprint)

    def _part(self, name: str, label: str, frame: "pl.DataFrame", schema: int) -> Part:
        part = write_part(self._files, name, label, frame, schema)
        self._on_step("part written")
        return part

    def _compact(self, parts: list[Part], serial: int) -> tuple[list[Part], list[str]]:
        """Merge parts of about one size once there are `fan_in`; returns the parts now, and the paths of those
        merged."""
        import polars as pl

        retired: list[str] = []
        while merging := self._mergeable(parts):
            frame = pl.concat([pl.read_parquet(self._files.local(part.path), memory_map=False) for part in merging])
            parts = [part for part in parts if part not in merging]
            label, schema = f"{serial:09d}-{len(retired)}", merging[0].schema
            parts.append(
                self._part(merging[0].type, label, frame.sort("partition", "offset", maintain_order=True), schema)
            )
            retired += [part.path for part in merging]
        return parts, retired

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._files.write(path, None)

    def _mergeable(self, parts: Sequence[Part]) -> list[Part]:
        """The first parts of a type, declaration and size that are too many; empty when there is nothing to merge."""
        by_size: dict[tuple[str, int, int], list[Part]] = {}
        for part in parts:
            if part.rows < _SIZES[-1]:
                by_size.setdefault((part.type, part.schema, bisect_right(_SIZES, part.rows)), []).append(part)
        for alike in by_size.values():
            if len(alike) >= self._fan_in:
                rows = accumulate(part.rows for part in alike)
                return [part for part, total in zip(alike, rows, strict=True) if total <= _MERGED_ROWS]
        return []
