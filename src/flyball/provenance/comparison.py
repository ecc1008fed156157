"""Two set-ups of one application that were given the same events, compared bit for bit.

Each part is read through the stores of its set-up: events from both logs, views and features from both online stores,
snapshots from both histories, artifacts from both registries; answers are computed again from each, as `replay` does.
"""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import msgspec
from msgspec.structs import replace

from flyball.core import FlyballError
from flyball.events import SOURCE_FLAGS, Record, read_where
from flyball.features import FeatureReader
from flyball.history import take_snapshot
from flyball.models import artifact_folder
from flyball.outcomes import Prediction
from flyball.provenance.many_replays import evenly_chosen
from flyball.provenance.recompute import differences_of, recomputed
from flyball.registry import Version
from flyball.runtime import Runtime
from flyball.stores import StateStore

ENTRIES, ANSWERS = 50_000, 100
"""How many entries of an online store, and how many answers, are compared by default."""

_SHOWN, _AT_ONCE = 5, 1_000
_MANIFEST = "manifest.json"
_RECIPE = ("candidate", "kind", "params", "seed", "snapshot", "state", "features", "declaration")


class PartComparison(msgspec.Struct, frozen=True):
    """What was compared of one part: how many, how many differ, the first differences, what was left out."""

    part: str
    compared: int
    different: int = 0
    differences: list[str] = []
    note: str = ""


class HomeComparison(msgspec.Struct, frozen=True):
    """Two homes, part by part. `identical`: something was compared, and no part differs in any bit."""

    first: str
    second: str
    identical: bool
    parts: list[PartComparison]

    def text(self) -> str:
        """As text for people."""
        rows = [f"{self.first} and {self.second}: {'identical, bit for bit' if self.identical else 'NOT identical'}"]
        for part in self.parts:
            result = f"{part.different:,} of {part.compared:,} differ" if part.different else f"{part.compared:,} equal"
            rows.append(f"  {part.part:<10}{result}{f' ({part.note})' if part.note else ''}")
            rows += [f"    {difference}" for difference in part.differences]
        return "\n".join(rows)


def compare(
    first: Runtime, second: Runtime, as_of_us: int, entries: int = ENTRIES, answers: int = ANSWERS
) -> HomeComparison:
    """Compare two homes of one application whose consumers have applied their logs.

    `as_of_us`: the time of the snapshots. `entries`: how many entries of each online store, or keys of features, are
    compared, from its beginning. `answers`: how many of the answers in the first home's log are computed again in both,
    evenly chosen.
    """
    parts = [_events(first, second), _entries("state", first.state, second.state, entries)]
    if first.app.task.about.feature_groups:
        parts.append(_features(first, second, entries))
    parts += [_snapshots(first, second, as_of_us), _artifacts(first, second), _answers(first, second, answers)]
    identical = bool(parts[0].compared) and not any(part.different for part in parts)
    return HomeComparison(str(first.home), str(second.home), identical, parts)


class _Tally:
    """Counts what is equal and what is not, and keeps the first differences."""

    def __init__(self, part: str) -> None:
        self.part, self.compared, self.different = part, 0, 0
        self.differences: list[str] = []

    def add(self, differences: Sequence[str]) -> None:
        """One more thing, with its differences."""
        self.compared += 1
        if differences:
            self.different += 1
            self.differences += differences[: _SHOWN - len(self.differences)]

    def result(self, note: str = "") -> PartComparison:
        return PartComparison(self.part, self.compared, self.different, self.differences, note)


def _events(first: Runtime, second: Runtime) -> PartComparison:
    tally = _Tally("events")
    ends = first.log.ends(), second.log.ends()
    if len(ends[0]) != len(ends[1]):
        return tally.result(f"not compared one by one: {len(ends[0])} and {len(ends[1])} partitions, see the snapshot")
    for partition, (end, other_end) in enumerate(zip(*ends, strict=True)):
        pairs = zip_longest(_records(first, partition, end), _records(second, partition, other_end))
        for offset, (record, other) in enumerate(pairs):
            tally.add([] if _same(record, other) else [_record_difference(partition, offset, record, other)])
    return tally.result()


def _records(runtime: Runtime, partition: int, end: int) -> Iterator[Record]:
    pieces = read_where(runtime.log, partition, 0, end)
    return chain.from_iterable(piece.stored or piece.records for piece in pieces)


def _same(record: Record | None, other: Record | None) -> bool:
    """Whether both are one event, wherever each home had it from."""
    if record is None or other is None or record == other:
        return record == other
    plain, others = (replace(known, flags=known.flags & ~SOURCE_FLAGS) for known in (record, other))
    return plain == others


def _record_difference(partition: int, offset: int, record: Record | None, other: Record | None) -> str:
    where = f"partition {partition}, offset {offset}"
    if record is None or other is None:
        return f"{where}: {'missing' if record is None else record.type}, {'missing' if other is None else other.type}"
    names = [name for name in Record.__struct_fields__ if getattr(record, name) != getattr(other, name)]
    return f"{where}: " + "; ".join(f"{name} {getattr(record, name)!r}, {getattr(other, name)!r}" for name in names)


def _entries(part: str, store: StateStore, other: StateStore, entries: int) -> PartComparison:
    """Entries of both stores by key, each store's first ones, so that one which only one has is seen from either."""
    tally = _Tally(part)
    if store.offsets() != other.offsets():
        tally.add([f"offsets applied: {store.offsets()}, {other.offsets()}"])
    pairs = dict(store.scan(b"", entries))
    others = dict(other.scan(b"", entries))
    keys = sorted({*pairs, *others})
    missing = [key for key in keys if key not in pairs], [key for key in keys if key not in others]
    pairs |= {key: value for key, value in zip(missing[0], store.read(missing[0])[0], strict=True) if value is not None}
    others |= {
        key: value for key, value in zip(missing[1], other.read(missing[1])[0], strict=True) if value is not None
    }
    for key in keys:
        value, other_value = pairs.get(key), others.get(key)
        tally.add([] if value == other_value else [f"{key!r}: {_bytes(value)}, {_bytes(other_value)}"])
    return tally.result(f"the first {entries:,} entries" if len(keys) >= entries else "")


def _features(first: Runtime, second: Runtime, keys: int) -> PartComparison:
    """The values of both stores' first keys, as of the latest event: their bytes depend on how the log was divided into
    batches, which decide when events become tiles and keys go."""
    tally, groups = _Tally("features"), first.app.task.about.feature_groups
    offsets = first.feature_state.offsets(), second.feature_state.offsets()
    if offsets[0] != offsets[1]:
        tally.add([f"offsets applied: {offsets[0]}, {offsets[1]}"])
    readers = [FeatureReader(groups, runtime.feature_state) for runtime in (first, second)]
    at_us = max(reader.known_us() for reader in readers) + 1
    for group in groups:
        named = sorted({key for reader in readers for key in reader.keys(group.name, keys)})
        for start in range(0, len(named), _AT_ONCE):
            some = named[start : start + _AT_ONCE]
            try:
                values, others = (reader.read({group.name: some}, at_us).groups[group.name] for reader in readers)
            except FlyballError as error:
                return _failed(tally, error)
            for row, key in enumerate(some):
                differ = (values.bits[row] != others.bits[row]) | (values.tags[row] != others.tags[row])
                words = [f"{values.names[column]} of {', '.join(key)}" for column in differ.nonzero()[0]]
                tally.add([f"{'; '.join(words)}: {values.row(row)}, {others.row(row)}"] if words else [])
    return tally.result(f"of the first {keys:,} keys" if tally.compared >= keys else "")


def _failed(tally: _Tally, error: FlyballError) -> PartComparison:
    tally.add([str(error)])
    return tally.result()


def _bytes(value: bytes | None) -> str:
    return "missing" if value is None else f"{len(value)} bytes {value[:12].hex()}"


def _snapshots(first: Runtime, second: Runtime, as_of_us: int) -> PartComparison:
    tally = _Tally("snapshot")
    with tempfile.TemporaryDirectory(prefix="flyball-compare-") as folder:
        taken, other = (
            take_snapshot(runtime.history_files, runtime.schema, as_of_us, Path(folder) / name)
            for runtime, name in ((first, "first"), (second, "second"))
        )
    for name in sorted({*taken.types, *other.types}):
        content, other_content = taken.types.get(name), other.types.get(name)
        same = content is not None and other_content is not None and content.digest == other_content.digest
        rows = [0 if of_type is None else of_type.rows for of_type in (content, other_content)]
        tally.add([] if same else [f"{name}: {rows[0]:,} rows, {rows[1]:,} rows, with different digests"])
    return tally.result(taken.name if taken.name == other.name else f"{taken.name}, {other.name}")


def _artifacts(first: Runtime, second: Runtime) -> PartComparison:
    tally = _Tally("versions")
    versions = {version.id: version for version in first.registry.versions()}
    others = {version.id: version for version in second.registry.versions()}
    for name in sorted({*versions, *others}, key=lambda name: int(name[1:])):
        version, other = versions.get(name), others.get(name)
        if version is None or other is None:
            tally.add(
                [f"{name}: {'missing' if version is None else 'there'}, {'missing' if other is None else 'there'}"]
            )
        else:
            tally.add(_version_differences(first, second, version, other))
    return tally.result()


def _version_differences(first: Runtime, second: Runtime, version: Version, other: Version) -> list[str]:
    named = f"{version.id} ({version.candidate})"
    lines = [f"{named}: {name} differs" for name in _RECIPE if getattr(version, name) != getattr(other, name)]
    files, other_files = version.artifact_files, other.artifact_files
    for file in sorted({*files, *other_files}):
        if files.get(file) != other_files.get(file):
            keys = _manifest_keys(first, second, version, other) if file == _MANIFEST else ""
            lines.append(f"{named}: file {file} differs{keys}")
    return lines


def _manifest_keys(first: Runtime, second: Runtime, version: Version, other: Version) -> str:
    """The keys by which two manifests differ, other than the digests that follow from them."""
    try:
        manifest, other_manifest = (
            msgspec.json.decode(
                (artifact_folder(runtime.artifact_files, stored.artifact, [_MANIFEST]) / _MANIFEST).read_bytes()
            )
            for runtime, stored in ((first, version), (second, other))
        )
    except OSError as error:
        return f" and cannot be read: {error}"
    keys = {*manifest, *other_manifest} - {"digest", "files"}
    different = sorted(key for key in keys if manifest.get(key) != other_manifest.get(key))
    return f" in {', '.join(different)}" if different else ""


def _answers(first: Runtime, second: Runtime, most: int) -> PartComparison:
    tally, left_out = _Tally("answers"), 0
    made, chosen = evenly_chosen(first, most)
    for prediction in chosen:
        try:
            answer = recomputed(first, prediction)
        except FlyballError:
            left_out += 1
            continue
        tally.add([f"{prediction.id}: {line}" for line in _answer_differences(second, prediction, answer)])
    notes = [f"of {made:,} in the log" if made > most else ""]
    notes += [f"{left_out:,} cannot be computed again" if left_out else ""]
    if not made:
        notes.append(f"no version has answered in {first.home} yet")
    return tally.result("; ".join(note for note in notes if note))


def _answer_differences(second: Runtime, prediction: Prediction, answer: Prediction) -> list[str]:
    try:
        return differences_of(answer, recomputed(second, prediction))
    except FlyballError as error:
        return [f"cannot be computed in {second.home}: {error}"]
