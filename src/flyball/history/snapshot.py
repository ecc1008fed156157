"""Point-in-time snapshots: what was known at a time, named by a digest of the content."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import ArtifactCorrupt, NotFound, Refused
from flyball.events import Offsets, Schema
from flyball.files import FileStore, files_in
from flyball.history.columns import column_types
from flyball.history.delays import Delay, Lags, lags_of
from flyball.history.digest import digest_of
from flyball.history.joins import join_frames, sides_of
from flyball.history.manifest import read_manifest
from flyball.history.parts import read_type

if TYPE_CHECKING:
    import polars as pl


SNAPSHOTS = "snapshots/"


class TypeContent(msgspec.Struct, frozen=True):
    """The rows of one type in a snapshot: their number, digest, columns, first and last `at`.

    `lags`: from `at` to `known_at`, as declared for imported events, as measured for live ones.
    """

    rows: int
    digest: str
    columns: dict[str, str]
    first_at_us: int | None = None
    last_at_us: int | None = None
    lags: Lags = Lags()


class LeftOut(msgspec.Struct, frozen=True):
    """Members of `entity` whose events training leaves out: {id: the share that counts, 0 for none}."""

    entity: str = ""
    shares: dict[str, float] = {}


class SnapshotManifest(msgspec.Struct, frozen=True):
    """The stored description of a snapshot. `name`: a hash of the rows in `types` and of `left_out` alone.

    `apply_delays`: {consumer: its delay from ingestion to application}, as measured when the snapshot was taken.
    `left_out`: whose events are in the rows but do not count in training, or less. `lacks_rows`: some of its rows were
    removed since (`flyball erase`, `flyball retention`, `flyball ingest undo`), so that it cannot be read as it was.
    """

    name: str
    as_of_us: int
    offsets: Offsets
    types: dict[str, TypeContent]
    apply_delays: dict[str, Delay] = {}
    left_out: LeftOut = LeftOut()
    lacks_rows: bool = False


class Snapshot:
    """The events before `offsets` that were known at `as_of_us` (`known_at <= as_of_us`).

    It holds no rows itself: they are read from the history, which only grows, so a snapshot always reads the same rows,
    also after parts were merged.
    """

    def __init__(self, manifest: SnapshotManifest, files: FileStore, schema: Schema) -> None:
        self.manifest, self._files, self._schema = manifest, files, schema
        self.name, self.as_of_us, self.offsets = manifest.name, manifest.as_of_us, manifest.offsets
        self.types, self.left_out = manifest.types, manifest.left_out

    def apply_delay_us(self, name: str) -> int:
        """The 99th percentile of the delay, in microseconds, with which a consumer applied events; 0 when not
        measured."""
        measured = self.manifest.apply_delays.get(name)
        return 0 if measured is None else measured.p99_us

    def frame(self, name: str) -> "pl.DataFrame":
        """The rows of event type `name`, ordered by at, partition, offset; for a joined type see `join_frames`."""
        if name in self._schema.joined:
            event = self._schema.joined[name].cls
            return join_frames(event, *(self.frame(side) for side in sides_of(event)))
        return _known(self._files, self._schema, name, self.as_of_us, self.offsets)

    def frames(self) -> dict[str, "pl.DataFrame"]:
        """{type: its rows} of all types."""
        return {name: self.frame(name) for name in self.types}

    def verify(self) -> None:
        """Raise `ArtifactCorrupt` when the rows in the history differ from those that the name was computed from, and
        `Refused` when some were removed since."""
        if self.manifest.lacks_rows:
            raise Refused(
                f"snapshot {self.name} must have all of its rows to be verified, got one that lost some since, "
                "by an erasure, a retention or the undo of a batch: what learned from it cannot be reproduced"
            )
        for name, content in self.types.items():
            digest = digest_of(self.frame(name))
            if digest != content.digest:
                raise ArtifactCorrupt(f"snapshot {self.name}, {name}", content.digest, digest)


def take_snapshot(
    location: Path | FileStore,
    schema: Schema,
    as_of_us: int,
    out_folder: Path | None = None,
    apply_delays: Mapping[str, Delay] | None = None,
    left_out: LeftOut = LeftOut(),
) -> Snapshot:
    """Make the snapshot of what was known at `as_of_us`, and write its manifest.

    The name is a hash of each type's columns and of an order-independent digest of its rows (fields, at, known_at, id,
    flags): the same data has the same name, independent of files, log partitions and the order of declared fields.
    `out_folder`: the folder of `<name>.json`, by default `snapshots` of the history. An existing snapshot of that name
    is kept with its `apply_delays`, so that the same name always trains the same versions. `left_out`: see
    `SnapshotManifest`.
    """
    files = files_in(location)
    offsets = read_manifest(files).offsets
    types: dict[str, TypeContent] = {}
    for name, declared in schema.types.items():
        frame = _known(files, schema, name, as_of_us, offsets)
        columns = {field: str(kind) for field, kind in sorted(column_types(declared).items())}
        first, last = (None, None) if frame.height == 0 else (int(frame["at"][0]), int(frame["at"][-1]))
        types[name] = TypeContent(frame.height, digest_of(frame), columns, first, last, lags_of(frame))
    named: dict[str, Any] = {name: [part.rows, part.digest, part.columns] for name, part in sorted(types.items())}
    if left_out.shares:
        named["left out"] = [left_out.entity, sorted(left_out.shares.items())]
    name = hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:24]
    out, path = _written_to(files, out_folder, name)
    stored = out.read(path)
    delays = _decode(stored.content).apply_delays if stored else dict(apply_delays or {})
    manifest = SnapshotManifest(name, as_of_us, offsets, types, delays, left_out)
    if stored is None:
        out.write(path, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return Snapshot(manifest, files, schema)


def load_snapshot(location: Path | FileStore, schema: Schema, name: str, out_folder: Path | None = None) -> Snapshot:
    """The snapshot called `name`; raises `NotFound`."""
    files = files_in(location)
    out, path = _written_to(files, out_folder, name)
    stored = out.read(path)
    if stored is None:
        folder = path.removesuffix(f"{name}.json")
        infos = [info.name.removeprefix(folder) for info in out.names(folder)]
        names = [info.removesuffix(".json") for info in infos if info.endswith(".json")]
        raise NotFound("snapshot", name, names, "flyball versions list shows from which one each version learned")
    return Snapshot(_decode(stored.content), files, schema)


def _written_to(files: FileStore, out_folder: Path | None, name: str) -> tuple[FileStore, str]:
    """Where the manifest of a snapshot is, and its name there."""
    return (files, f"{SNAPSHOTS}{name}.json") if out_folder is None else (files_in(out_folder), f"{name}.json")


def _decode(content: bytes) -> SnapshotManifest:
    return msgspec.json.decode(content, type=SnapshotManifest)


def _known(files: FileStore, schema: Schema, name: str, as_of_us: int, before: Offsets) -> "pl.DataFrame":
    import polars as pl

    frame = read_type(files, schema, name, chosen=lambda part: part.first_known_us <= as_of_us, before=before)
    return frame.filter(pl.col("known_at") <= as_of_us)
