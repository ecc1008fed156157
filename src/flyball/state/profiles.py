"""Folds profiles and the events that make an entity known."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flyball.core import BadDeclaration
from flyball.events import Event, Record, Schema
from flyball.features import Entity
from flyball.state.catalog import Known, decode_known, digest_key, digest_of, encode_known, profile_key
from flyball.stores import StateStore

Order = tuple[int, int, int]
"""(at, offset, partition): the later one counts."""

_MODULUS = 1 << 128


class Profiles:
    """What the events of a batch say about entities: `note` each, then `changes` once."""

    def __init__(self, schema: Schema, entities: Sequence[Entity]) -> None:
        self._schema = schema
        names = {declared.cls: name for name, declared in schema.types.items()}
        self.profile_of: dict[str, Entity] = {}
        self.known_by: dict[str, list[tuple[Entity, Callable[[Any], Any]]]] = {}
        for entity in entities:
            if entity.profile is not None:
                self.profile_of[_name(names, entity.profile, entity)] = entity
            for event in entity.known_by:
                name = _name(names, event, entity)
                field = next((field for field, kind in schema.types[name].refs if kind == entity.name), None)
                if field is None:
                    raise BadDeclaration(f"known_by of {entity!r}", "events that name it by a Ref", event.__name__)
                self.known_by.setdefault(name, []).append((entity, _getter(field)))
        self._groups = {entity.name: entity.group for entity in entities if entity.group is not None}
        self._since: dict[tuple[str, str], int] = {}
        self._latest: dict[tuple[str, str], tuple[Order, Record]] = {}

    def note_profile(self, entity: Entity, record: Record, order: Order) -> None:
        key = (entity.name, record.key)
        self._since[key] = min(self._since.get(key, record.at), record.at)
        if key not in self._latest or order > self._latest[key][0]:
            self._latest[key] = (order, record)

    def note_known(self, entity: Entity, name: str, at: int) -> None:
        key = (entity.name, name)
        self._since[key] = min(self._since.get(key, at), at)

    def changes(self, store: StateStore) -> tuple[dict[bytes, bytes | None], dict[tuple[str, str], str | None]]:
        """The changed entries, and the groups that new profiles give: {(entity, name): group}. Starts a new batch."""
        since, latest = self._since, self._latest
        self._since, self._latest = {}, {}
        if not since:
            return {}, {}
        keys = {pair: profile_key(*pair) for pair in since}
        sums = sorted({digest_key(entity) for entity, _ in since})
        values, _ = store.read([*keys.values(), *sums])
        digests = {key: int.from_bytes(value or b"") for key, value in zip(sums, values[len(keys) :], strict=True)}
        changes: dict[bytes, bytes | None] = {}
        groups: dict[tuple[str, str], str | None] = {}
        for (pair, key), old in zip(keys.items(), values, strict=False):
            known = Known(pair[1], since[pair]) if old is None else decode_known(old)
            known.known_since = min(known.known_since, since[pair])
            if pair in latest and (known.order is None or latest[pair][0] > known.order):
                known.order, known.body = latest[pair][0], latest[pair][1].body
                if pair[0] in self._groups:
                    groups[pair] = self._group(pair[0], latest[pair][1])
            new = encode_known(known)
            if new != old:
                changes[key] = new
                gone = 0 if old is None else digest_of(decode_known(old))
                digests[digest_key(pair[0])] += digest_of(known) - gone
        for key, digest in digests.items():
            changes[key] = (digest % _MODULUS).to_bytes(16)
        return changes, groups

    def _group(self, entity: str, record: Record) -> str | None:
        value = self._groups[entity](self._schema.decode(record))
        return None if value is None or str(value) == "" else str(value)


def _name(names: dict[type[Event], str], event: type[Event], entity: Entity) -> str:
    if event not in names:
        raise BadDeclaration(
            f"event {event.__name__} of {entity!r}", "among the declared events", sorted(names.values())
        )
    return names[event]


def _getter(field: str) -> Callable[[Any], Any]:
    return lambda event: getattr(event, field)


def entities_of(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """The entities, each name once; raises `BadDeclaration` when two differ under one name."""
    found: dict[str, Entity] = {}
    for entity in entities:
        if found.setdefault(entity.name, entity) is not entity:
            raise BadDeclaration("entities", "of different names", f"{entity.name!r} twice")
    return tuple(found.values())
