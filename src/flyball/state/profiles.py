"""The view of one entity's profiles and of the events that make it known."""

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any

from flyball.core import BadDeclaration
from flyball.events import Event, Positioned, Record, Schema
from flyball.features import Entity
from flyball.state.catalog import (
    DIGEST_KEY,
    KnownEntity,
    decode_known,
    digest_of,
    encode_known,
    profile_key,
    profile_spec,
)
from flyball.stores import StateStore

_MODULUS = 1 << 128


class ProfileView:
    """The known entities of one kind: the time from which each is known, and its latest profile.

    `keyed`: the key of a request names an entity of this kind, so `only` leaves out the others.
    """

    def __init__(
        self, schema: Schema, entity: Entity, keyed: bool = False, only: Collection[str] | None = None
    ) -> None:
        self._schema, self._entity, self._keyed = schema, entity, keyed
        self._only = None if only is None else frozenset(only)
        self.spec = profile_spec(entity)
        self._profile = None if entity.profile is None else type_name(schema, entity.profile, entity)
        self._known_by: dict[str, Callable[[Any], Any]] = {}
        self.types: dict[str, bool] = {}
        for event in entity.known_by:
            name = type_name(schema, event, entity)
            field = next((field for field, kind in schema.types[name].refs if kind == entity.name), None)
            if field is None:
                raise BadDeclaration(f"known_by of {entity!r}", "events that name it by a Ref", event.__name__)
            self._known_by[name] = attrgetter(field)
            self.types[name] = keyed and schema.types[name].key_field == field
        if self._profile is not None:
            self.types[self._profile] = keyed

    def forget(self) -> None:
        """Does nothing: everything is in the store."""

    def only(self, keys: Collection[str]) -> "ProfileView":
        return ProfileView(self._schema, self._entity, True, keys) if self._keyed else self

    def fold(self, records: Mapping[str, Sequence[Positioned]], store: StateStore) -> dict[bytes, bytes | None]:
        since, latest = self._gather(records)
        if not since:
            return {}
        keys = {name: profile_key(name) for name in since}
        values, _ = store.read([*keys.values(), DIGEST_KEY])
        digest = int.from_bytes(values[-1] or b"")
        changes: dict[bytes, bytes | None] = {}
        for (name, key), old in zip(keys.items(), values[:-1], strict=True):
            known = KnownEntity(name, since[name]) if old is None else decode_known(old)
            known.known_since = min(known.known_since, since[name])
            if name in latest and (known.order is None or latest[name][0] > known.order):
                order, record = latest[name]
                known.order, known.body, known.schema = order, record.body, record.schema
            new = encode_known(known)
            if new != old:
                changes[key] = new
                digest += digest_of(known) - (0 if old is None else digest_of(decode_known(old)))
        changes[DIGEST_KEY] = (digest % _MODULUS).to_bytes(16)
        return changes

    def _gather(
        self, records: Mapping[str, Sequence[Positioned]]
    ) -> tuple[dict[str, int], dict[str, tuple[tuple[int, int, int], Record]]]:
        """{name: least `at`} of the entities in the records, and {name: (order, record) of the latest profile}."""
        since: dict[str, int] = {}
        latest: dict[str, tuple[tuple[int, int, int], Record]] = {}
        for record, offset, partition in records.get(self._profile or "", ()):
            name, order = record.key, (record.at, offset, partition)
            if self._only is not None and name not in self._only:
                continue
            since[name] = min(since.get(name, record.at), record.at)
            if name not in latest or order > latest[name][0]:
                latest[name] = (order, record)
        for type_, key_of_event in self._known_by.items():
            for event in self._schema.decode_many([record for record, _, _ in records.get(type_, ())]):
                key = key_of_event(event)
                if key is not None and (self._only is None or str(key) in self._only):
                    since[str(key)] = min(since.get(str(key), event.at), event.at)
        return since, latest


def type_name(schema: Schema, event: type[Event], entity: Entity) -> str:
    """The name in the log of an event type of `entity`; raises `BadDeclaration` for a type that is not declared."""
    name = next((name for name, declared in schema.types.items() if declared.cls is event), None)
    if name is None:
        raise BadDeclaration(f"event {event.__name__} of {entity!r}", "among the declared events", sorted(schema.types))
    return name
