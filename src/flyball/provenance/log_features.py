"""Recomputes declared features from the log, for given keys."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from flyball.core import Refused
from flyball.events import Offsets, Slice, partition, read_where
from flyball.features import Group, Reading
from flyball.history import frame_of
from flyball.provenance.columns import LoggedRow, frames_before, naming
from flyball.runtime import Runtime
from flyball.tasks import GroupKeys, OfflineFeatures

if TYPE_CHECKING:
    import polars

Keys = Mapping[str, Iterable[tuple[str, ...]]]
"""{group: keys}."""


class LogFeatures:
    """Reads features as they were for an answer made from the events before `offsets`."""

    def __init__(self, runtime: Runtime, offsets: Offsets) -> None:
        self._runtime, self._offsets = runtime, offsets

    def read(self, keys_of_rows: Sequence[GroupKeys], at_us: Sequence[int]) -> list[Reading]:
        """The features of each row at its time; raises `Refused` for an answer without offsets of features."""
        if not self._offsets:
            raise Refused(
                "the answer must be stamped with the offsets of its features, got none: "
                "name an answer of a version with features"
            )
        groups = self._runtime.app.task.about.feature_groups
        keys: dict[str, set[tuple[str, ...]]] = {}
        for keys_of in keys_of_rows:
            for name, group_keys in keys_of.items():
                keys.setdefault(name, set()).update(group_keys)
        needed = Needed(groups, keys, min(at_us, default=0))
        frames = events_about(self._runtime, needed, self._offsets)
        return OfflineFeatures(groups, frames, self._offsets).read(keys_of_rows, at_us)


class Needed:
    """The events that features of `keys` can read at `first_us` or later.

    `keys`: {event type: {its key fields: keys}}. `since`: {(type, fields): the start of the earliest window}, where all
    windows have a start; `since_of`: the same by type, over all its fields.
    """

    def __init__(self, groups: Sequence[Group], keys: Keys, first_us: int) -> None:
        self.keys: dict[str, dict[tuple[str, ...], set[tuple[str, ...]]]] = {}
        starts: dict[tuple[str, tuple[str, ...]], list[int | None]] = {}
        for group in groups:
            group_keys = {tuple(key) for key in keys.get(group.name, ())}
            for definition in group.definitions if group_keys else ():
                for part, fields in definition.aggregates:
                    name = part.event.__name__.lower()
                    self.keys.setdefault(name, {}).setdefault(fields, set()).update(group_keys)
                    starts.setdefault((name, fields), []).append(definition.since_us(first_us, fields))
        self.since = {
            key: start for key, earliest_us in starts.items() if (start := _earliest(earliest_us)) is not None
        }
        self.since_of = {
            name: min(self.since[name, fields] for fields in by_fields)
            for name, by_fields in self.keys.items()
            if all((name, fields) in self.since for fields in by_fields)
        }


def events_about(
    runtime: Runtime, needed: Needed, until: Offsets, from_log: bool = False
) -> "dict[str, polars.DataFrame]":
    """{event type: at least the events before `until` that the features can read}.

    They are read from the history as far as it goes; `from_log`: from the log alone.
    """
    keep = naming(needed.keys, needed.since)
    if not from_log:
        return frames_before(runtime, until, needed.keys, keep, needed.since_of)
    joined = [name for name in needed.keys if name in runtime.schema.joined]
    rows: dict[str, list[LoggedRow]] = {name: [] for name in needed.keys if name not in joined}
    for piece in _pieces(runtime, needed, until):
        for offset, record in enumerate(piece.records, piece.first):
            if record.type in rows and record.at >= needed.since_of.get(record.type, record.at):
                rows[record.type].append((record, piece.partition, offset))
    frames = {name: keep(name, frame_of(runtime.schema.types[name], row)) for name, row in rows.items() if row}
    if joined:
        frames |= frames_before(runtime, until, joined, keep, from_log=True)
    return {name: frame for name, frame in frames.items() if frame.height}


def _pieces(runtime: Runtime, needed: Needed, until: Offsets) -> Iterator[Slice]:
    """The slices of the log that may hold needed events, without blocks of other types, partitions and times."""
    log, ends = runtime.log, runtime.log.ends()
    goals = tuple(min(pair) for pair in zip((*until, *[0] * (len(ends) - len(until))), ends, strict=True))
    logged = {name: by_fields for name, by_fields in needed.keys.items() if name in runtime.schema.types}
    homes = {name: _homes(runtime, name, by_fields, len(ends)) for name, by_fields in logged.items()}
    for part, end in enumerate(goals):
        types = {name: needed.since_of.get(name, 0) for name, parts in homes.items() if part in parts}
        if types:
            yield from read_where(log, part, 0, end, types)


def _homes(
    runtime: Runtime, name: str, by_fields: Mapping[tuple[str, ...], set[tuple[str, ...]]], partitions: int
) -> set[int]:
    """The partitions that may hold events of these keys: all, unless one of the fields is the partition key."""
    field, partitions_read = runtime.schema.types[name].key_field, set[int]()
    for fields, keys in by_fields.items():
        if field not in fields:
            return set(range(partitions))
        position = fields.index(field)
        partitions_read.update(partition(key[position], partitions) for key in keys)
    return partitions_read


def _earliest(starts: Sequence[int | None]) -> int | None:
    known = [start for start in starts if start is not None]
    return min(known) if len(known) == len(starts) else None
