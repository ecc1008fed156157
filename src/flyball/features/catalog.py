"""What is known of each entity: its latest profile and since when it is known."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import msgspec

from flyball.core import NotFound
from flyball.features.entity import Entity
from flyball.features.store import StateStore, key_of


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


class Catalog:
    """The known entities of one kind, in order of name. `version` changes when anything in it does."""

    def __init__(self, entity: Entity, version: bytes, known: Sequence[Known]) -> None:
        self.entity, self.version = entity, version
        self._known = sorted(known, key=lambda one: one.name)
        self.ids = [one.name for one in self._known]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Name → place in `ids`."""
        return {name: place for place, name in enumerate(self.ids)}

    @cached_property
    def known_since_us(self) -> list[int]:
        return [one.known_since for one in self._known]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the profile, in declared order; none without a profile."""
        return () if self.entity.profile is None else profile_fields(self.entity.profile)

    def attributes(self, field: str) -> list[Any]:
        """The field of each entity's latest profile, along `ids`; None where there is no profile."""
        if field not in self.fields:
            raise NotFound(f"field of {self.entity.name}", field, self.fields)
        return self._columns[field]

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        if self.entity.profile is None:
            return {}
        decode, nothing = msgspec.msgpack.Decoder(list[Any]).decode, [None] * len(self.fields)
        defaults = profile_defaults(self.entity.profile)
        rows = [nothing if one.body is None else decode(one.body) for one in self._known]
        rows = [row + defaults[len(row) :] for row in rows]
        return {field: [row[place] for row in rows] for place, field in enumerate(self.fields)}


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


def load_catalog(store: StateStore, entity: Entity) -> Catalog:
    """All known entities of the kind. What arrives while it is read may be in it without showing in `version` yet."""
    version = catalog_version(store, entity)
    known = [decode_known(value) for _, value in store.scan(key_of(b"p/", entity.name, ""))]
    return Catalog(entity, version, known)
