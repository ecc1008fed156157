"""The catalog: the latest profile of each known entity, and the time from which it is known."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b, sha256
from typing import Any

import msgspec

from flyball.core import NotFound
from flyball.events import read_type
from flyball.features import Entity
from flyball.state.view import ViewSpec, ViewStore
from flyball.stores import StateStore, key_of

DIGEST_KEY = b"digest"


class KnownEntity(msgspec.Struct, array_like=True):
    """The stored entry of one entity.

    `known_since`: the least `at` of the profiles and events that make it known. `order`: (at, offset) of the latest
    profile; `body`: its fields, None without a profile; `schema`: the declaration that `body` was written with.
    """

    name: str
    known_since: int
    order: tuple[int, int, int] | None = None
    body: bytes | None = None
    schema: int = 0


encode_known = msgspec.msgpack.Encoder().encode
decode_known = msgspec.msgpack.Decoder(KnownEntity).decode


def profile_key(name: str) -> bytes:
    return key_of(b"p/", name)


def profile_spec(entity: Entity) -> ViewSpec:
    """The view of an entity's profiles; its hash covers the declaration of the profile."""
    profile = None if entity.profile is None else read_type(entity.profile).fingerprint
    meaning = (entity.name, profile, [event.__name__ for event in entity.known_by])
    return ViewSpec(f"profiles:{entity.name}", sha256(repr(meaning).encode()).hexdigest())


def digest_of(known: KnownEntity) -> int:
    """128 bits of one entry; the digest of a catalog is their sum, so it does not depend on the order of entries."""
    content = (known.name, known.known_since, known.order and known.order[0], known.body)
    return int.from_bytes(blake2b(encode_known(content), digest_size=16).digest())


class _Entry:
    """The stored entry of one entity; the fields of its profile are decoded when first used."""

    __slots__ = ("fields", "known", "stored")

    def __init__(self, stored: bytes) -> None:
        self.stored = stored
        self.known: KnownEntity = decode_known(stored)
        self.fields: list[Any] | None = None


class Catalog:
    """The known entities of one kind, ordered by name. `version` changes whenever the content does."""

    def __init__(
        self, entity: Entity, version: bytes, stored: Iterable[bytes], before: "Catalog | None" = None
    ) -> None:
        kept = {} if before is None else before._by_stored
        self.entity, self.version = entity, version
        entries = [kept.get(value) or _Entry(value) for value in stored]
        self._entries = sorted(entries, key=lambda entry: entry.known.name)
        self.ids = [entry.known.name for entry in self._entries]
        self._columns: dict[str, list[Any]] = {}

    @cached_property
    def index(self) -> Mapping[str, int]:
        """{name: index in `ids`}."""
        return {name: index for index, name in enumerate(self.ids)}

    @cached_property
    def known_since_us(self) -> list[int]:
        return [entry.known.known_since for entry in self._entries]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the profile, in declared order; none without a profile."""
        return () if self.entity.profile is None else profile_fields(self.entity.profile)

    def attributes(self, field: str) -> list[Any]:
        """The values of a field in each entity's latest profile, in the order of `ids`; None without a profile."""
        column = self._columns.get(field)
        if column is None:
            if field not in self.fields:
                raise NotFound(f"field of {self.entity.name}", field, self.fields)
            index = self.fields.index(field)
            column = self._columns[field] = [row[index] for row in self._rows]
        return column

    @cached_property
    def _by_stored(self) -> Mapping[bytes, _Entry]:
        return {entry.stored: entry for entry in self._entries}

    @cached_property
    def _rows(self) -> list[list[Any]]:
        """The profiles' values by row. A body written with another declaration counts as missing: it comes from the old
        view, which is read only while the present one is built."""
        decode, nothing = msgspec.msgpack.Decoder(list[Any]).decode, [None] * len(self.fields)
        schemas = {0} if self.entity.profile is None else {0, read_type(self.entity.profile).fingerprint}
        defaults = [] if self.entity.profile is None else profile_defaults(self.entity.profile)
        for entry in self._entries:
            if entry.fields is None:
                body = entry.known.body if entry.known.schema in schemas else None
                row = nothing if body is None else decode(body)
                entry.fields = row + defaults[len(row) :]
        return [entry.fields or nothing for entry in self._entries]


def profile_fields(profile: type) -> tuple[str, ...]:
    """The names of the fields in the body of an event type's record, in order."""
    names: tuple[str, ...] = profile.__struct_fields__  # type: ignore[attr-defined]
    return tuple(name for name in names if name != "at")


def profile_defaults(profile: type) -> list[Any]:
    """The defaults that a record's body omits at its end, by position (None for a required field)."""
    declared = {field.name: field for field in msgspec.structs.fields(profile)}
    missing = msgspec.NODEFAULT
    defaults = []
    for name in profile_fields(profile):
        field = declared[name]
        default = field.default_factory() if field.default_factory is not missing else field.default
        defaults.append(None if default is missing else default)
    return defaults


def catalog_version(store: StateStore, entity: Entity) -> bytes:
    """Changes when the entity's catalog does; one cheap read."""
    return ViewStore(store, profile_spec(entity)).read([DIGEST_KEY])[0][0] or b""


def load_catalog(store: StateStore, entity: Entity, before: Catalog | None = None) -> Catalog:
    """All known entities of the kind. Entries that arrive while it is read may be in it before `version` shows them.

    `before`: an earlier catalog of the same store, whose decoded entries are reused where they have not changed.
    """
    view = ViewStore(store, profile_spec(entity))
    version = view.read([DIGEST_KEY])[0][0] or b""
    return Catalog(entity, version, (value for _, value in view.scan(b"p/")), before)
