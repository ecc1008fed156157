"""The known entities: a view of the log in a store of its own, rebuilt from the log when lost."""

import threading
from collections.abc import Container, Iterable, Mapping, Sequence

from flyball.core import BadDeclaration
from flyball.events.checks import Known
from flyball.events.known_entities import ReplaceableEntities, open_known_entities
from flyball.events.log import EventLog, Offsets, Record
from flyball.events.reading import read_until, read_where
from flyball.events.schema import FIRST_US, Schema
from flyball.events.types import Event


class EntityCatalog:
    """The entities that profiles, and the events of `known_by` ({entity: event types}), have made known.

    References to a kind of entity are checked from its first profile on (or its first `known_by` event, where it has no
    profile type); before that none counts as unknown.
    """

    def __init__(self, url: str, schema: Schema, known_by: Mapping[str, Sequence[type[Event]]] | None = None) -> None:
        self._entities = open_known_entities(url)
        self._makers = _makers(schema, known_by or {})
        self._profiled = {declared.refs[0][1] for declared in schema.types.values() if declared.is_profile}
        self._profiles = {name for name, declared in schema.types.items() if declared.is_profile}
        self._sets: dict[str, set[str]] = {}
        self._checked: set[str] = set()
        self._seen = 0
        self._guard = threading.Lock()

    @property
    def makers(self) -> frozenset[str]:
        """The names of the event types that make an entity known."""
        return frozenset(self._makers)

    def known(self) -> dict[str, set[str]]:
        """{entity: known keys} of the kinds that are checked; later calls extend the same sets."""
        with self._guard:
            self._refresh()
        return {entity: self._sets[entity] for entity in self._checked}

    def without_own(self, known: Known, kind: str) -> Known:
        """`known` for checking events of type `kind`, without the entity that such an event itself makes known."""
        own = self._makers.get(kind)
        return known if own is None else {entity: keys for entity, keys in known.items() if entity != own}

    def with_new(self, known: Known, records: Iterable[Record]) -> Known:
        """`known` with the entities that records about to be appended make known; the sets in `known` do not change."""
        fresh: dict[str, set[str]] = {}
        profiled: set[str] = set()
        for record in records:
            entity = self._makers[record.type]
            fresh.setdefault(entity, set()).add(record.key)
            if record.type in self._profiles:
                profiled.add(entity)
        wider: dict[str, Container[str]] = dict(known)
        for entity, keys in fresh.items():
            if entity in known or entity in profiled or entity not in self._profiled:
                wider[entity] = _Either(self._sets.get(entity, set()), keys)
        return wider

    def catch_up(self, log: EventLog) -> None:
        """Add the entities of the log's records beyond the stored offsets; raises what the log raises."""
        offsets = self._entities.offsets(len(log.ends()))
        records, after = _records_of(log, offsets, self._makers)
        if after != offsets:
            self._store(records, after)

    def replace(self, log: EventLog, limit: int = 20_000) -> int:
        """Read all of the log again: entities that it does not make known any more are forgotten, also in the store.

        Returns how many there are. What is in memory only stays there until its process ends.
        """
        known: dict[tuple[str, str], bool] = {}
        ends = log.ends()
        for slices in read_until(log, (0,) * len(ends), ends, limit):
            for piece in slices:
                self._note(known, (record for record in piece.records if record.type in self._makers))
        if isinstance(self._entities, ReplaceableEntities):
            self._entities.replace(known, ends)
        return len(known)

    def learn(self, records: Iterable[Record]) -> None:
        """Add the entities of records that were just appended; the stored offsets do not move."""
        making = [record for record in records if record.type in self._makers]
        if making:
            self._store(making, None)

    def close(self) -> None:
        """Close the store."""
        self._entities.close()

    def _store(self, records: Iterable[Record], offsets: Offsets | None) -> None:
        rows: dict[tuple[str, str], bool] = {}
        self._note(rows, records)
        self._entities.add(rows, offsets)

    def _note(self, rows: dict[tuple[str, str], bool], records: Iterable[Record]) -> None:
        for record in records:
            profile = record.type in self._profiles
            entity_key = (self._makers[record.type], record.key)
            rows[entity_key] = rows.get(entity_key, False) or profile

    def _refresh(self) -> None:
        for number, entity, key in self._entities.since(self._seen):
            self._sets.setdefault(entity, set()).add(key)
            self._seen = number
        for entity in self._sets.keys() - self._checked:
            if self._entities.has(entity, entity in self._profiled):
                self._checked.add(entity)


class _Either:
    """Two sets as one, without copying the large one."""

    def __init__(self, large: Container[str], small: Container[str]) -> None:
        self._large, self._small = large, small

    def __contains__(self, key: object) -> bool:
        return key in self._small or key in self._large


def _makers(schema: Schema, known_by: Mapping[str, Sequence[type[Event]]]) -> dict[str, str]:
    """{event type: the kind of entity that its events make known}."""
    makers = {name: declared.refs[0][1] for name, declared in schema.types.items() if declared.is_profile}
    for entity, types in known_by.items():
        for cls in types:
            declared = schema.types.get(cls.__name__.lower())
            if declared is None or declared.refs[0][1] != entity:
                raise BadDeclaration(
                    f"known_by of entity {entity!r}", f"declared events whose first Ref is {entity!r}", cls
                )
            makers[declared.name] = entity
    return makers


def _records_of(log: EventLog, after: Offsets, types: Iterable[str]) -> tuple[list[Record], Offsets]:
    """The records of these types from `after` on, and the log's end offsets."""
    ends, earliest = log.ends(), dict.fromkeys(types, FIRST_US)
    pieces = (
        piece
        for partition, (start, end) in enumerate(zip(after, ends, strict=True))
        for piece in read_where(log, partition, start, end, earliest)
    )
    return [record for piece in pieces for record in piece.records if record.type in earliest], ends
