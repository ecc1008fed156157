"""What is known of each entity: its latest profile and since when it is known."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b
from typing import Any

import msgspec

from flyball.core import NotFound
from flyball.features import Entity
from flyball.stores import StateStore, key_of


class Known(msgspec.Struct, array_like=True):
    """What the store holds of one entity.

    `known_since`: least `at` of a profile or an event that makes it known. `order`: (at, offset) of the latest
    profile, `body` its fields; None while only known by an event.
    """

    name: str
    known_since: int
    order: tuple[int, int, int] | None = None
    body: bytes | None = None


encode_known = msgspec.msgpack.Encoder().encode
decode_known = msgspec.msgpack.Decoder(Known).decode


def profile_key(entity: str, name: str) -> bytes:
    return key_of(b"p/", entity, name)


def digest_key(entity: str) -> bytes:
    return b"g/digest/" + entity.encode()


def digest_of(known: Known) -> int:
    """128 bits of one entry; the digest of a catalogue is their sum, so it does not depend on any order."""
    content = (known.name, known.known_since, known.order and known.order[0], known.body)
    return int.from_bytes(blake2b(encode_known(content), digest_size=16).digest())


class _Entry:
    """One entity as the store holds it; its profile's fields are decoded when they are first asked for."""

    __slots__ = ("fields", "known", "stored")

    def __init__(self, stored: bytes) -> None:
        self.stored = stored
        self.known: Known = decode_known(stored)
        self.fields: list[Any] | None = None


class Catalog:
    """The known entities of one kind, in order of name. `version` changes when anything in it does."""

    def __init__(
        self, entity: Entity, version: bytes, stored: Iterable[bytes], before: "Catalog | None" = None
    ) -> None:
        kept = {} if before is None else before._by_stored
        self.entity, self.version = entity, version
        entries = [kept.get(value) or _Entry(value) for value in stored]
        self._entries = sorted(entries, key=lambda one: one.known.name)
        self.ids = [one.known.name for one in self._entries]
        self._columns: dict[str, list[Any]] = {}

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Name → place in `ids`."""
        return {name: place for place, name in enumerate(self.ids)}

    @cached_property
    def known_since_us(self) -> list[int]:
        return [one.known.known_since for one in self._entries]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the profile, in declared order; none without a profile."""
        return () if self.entity.profile is None else profile_fields(self.entity.profile)

    def attributes(self, field: str) -> list[Any]:
        """The field of each entity's latest profile, along `ids`; None where there is no profile."""
        found = self._columns.get(field)
        if found is None:
            if field not in self.fields:
                raise NotFound(f"field of {self.entity.name}", field, self.fields)
            place = self.fields.index(field)
            found = self._columns[field] = [row[place] for row in self._rows]
        return found

    @cached_property
    def _by_stored(self) -> Mapping[bytes, _Entry]:
        return {one.stored: one for one in self._entries}

    @cached_property
    def _rows(self) -> list[list[Any]]:
        decode, nothing = msgspec.msgpack.Decoder(list[Any]).decode, [None] * len(self.fields)
        defaults = [] if self.entity.profile is None else profile_defaults(self.entity.profile)
        for one in self._entries:
            if one.fields is None:
                row = nothing if one.known.body is None else decode(one.known.body)
                one.fields = row + defaults[len(row) :]
        return [one.fields or nothing for one in self._entries]


def profile_fields(profile: type) -> tuple[str, ...]:
    """The fields of an event type as its record's body holds them."""
    names: tuple[str, ...] = profile.__struct_fields__  # type: ignore[attr-defined]
    return tuple(name for name in names if name != "at")


def profile_defaults(profile: type) -> list[Any]:
    """What a record's body leaves out at its end, by place (None for a field that is never left out)."""
    declared = {field.name: field for field in msgspec.structs.fields(profile)}
    missing = msgspec.NODEFAULT
    found = []
    for name in profile_fields(profile):
        field = declared[name]
        made = field.default_factory() if field.default_factory is not missing else field.default
        found.append(None if made is missing else made)
    return found


def catalog_version(store: StateStore, entity: Entity) -> bytes:
    """Changes when the entity's catalogue does; one cheap read."""
    return store.read([digest_key(entity.name)])[0][0] or b""


def load_catalog(store: StateStore, entity: Entity, before: Catalog | None = None) -> Catalog:
    """All known entities of the kind. What arrives while it is read may be in it without showing in `version` yet.

    `before`: an earlier catalogue of the same store; of what has not changed since, nothing is decoded again.
    """
    version = catalog_version(store, entity)
    return Catalog(entity, version, (value for _, value in store.scan(key_of(b"p/", entity.name, ""))), before)
