"""The identity of an event as a hash: the same for the same event, whatever its declaration is by now."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from flyball.events.evolution import Lineage, Slot
from flyball.events.written import FieldKind

ENCODER = msgspec.msgpack.Encoder(order="deterministic")
"""Deterministic, since the keys of a JSON object have no order: the same map must give the same bytes and identity."""


class IdentityHash:
    """An event's identity: 16 bytes, a hash of the type's name and the natural key.

    When `at` belongs to the key, the first four bytes are its second instead, so that events of similar times are close
    together in the index and a search touches few pages. An identity does not change when its type evolves: names,
    order, kinds and defaults of the hashed fields are those of their first use.
    """

    def __init__(self, lineage: Lineage) -> None:
        declared = lineage.declared
        self._encode = ENCODER.encode
        self._timed = "at" in declared.natural_key
        self._all = set(declared.natural_key) - {"at"} == set(declared.fields)
        self._all_plain = self._all and lineage.plain
        self._base = blake2b(self._encode(lineage.origin), digest_size=12 if self._timed else 16)
        indices = {lineage.current[name].index: index for index, name in enumerate(declared.fields)}
        named = {lineage.current[name].index for name in declared.natural_key if name != "at"}
        self._slots = [(slot, indices.get(slot.index)) for slot in lineage.slots if self._all or slot.index in named]

    def of(self, body: bytes, values: Sequence[Any], at: int) -> bytes:
        """The identity of one event with this body (its values, trimmed)."""
        state = self._base.copy()
        state.update(body if self._all_plain else self._key(values))
        if not self._timed:
            return state.digest()
        before, after = _timestamp_bytes(at)
        state.update(after)
        return before + state.digest()

    def content(self, body: bytes, values: Sequence[Any]) -> bytes:
        """8 bytes that are the same for events of the same content, whatever their times."""
        return self.of(body, values, 0)[8:]

    @property
    def plain(self) -> bool:
        """Whether `of` needs no values."""
        return self._all_plain

    def _key(self, values: Sequence[Any]) -> bytes:
        """The natural key, fields in the order of their first use; of a whole event without fields at their first
        defaults."""
        key = [
            (_absent(slot) if index is None else _as_first(values[index], slot.first.kind))
            for slot, index in self._slots
        ]
        while self._all and key:
            first = self._slots[len(key) - 1][0].first
            if first.required or msgspec.to_builtins(key[-1], builtin_types=(bytes,)) != first.default:
                break
            key.pop()
        return self._encode(key)

    def many(self, bodies: Sequence[bytes], columns: Sequence[Sequence[Any]], ats: Sequence[int]) -> list[bytes]:
        """`of` for every row."""
        keys: Sequence[bytes] = bodies
        if not self._all_plain:
            keys = [self._key(row) for row in zip(*columns, strict=True)]
        copy, ids = self._base.copy, []
        if not self._timed:
            for key in keys:
                state = copy()
                state.update(key)
                ids.append(state.digest())
            return ids
        edges = {at: _timestamp_bytes(at) for at in set(ats)}
        for key, at in zip(keys, ats, strict=True):
            before, after = edges[at]
            state = copy()
            state.update(key + after)
            ids.append(before + state.digest())
        return ids


_REMOVED = msgspec.msgpack.Ext(0, b"")
"""Stands in a natural key for a field that was removed from the type; no value is encoded like this."""


def _absent(slot: Slot) -> Any:
    return _REMOVED if slot.first.required else slot.first.default


def _as_first(value: Any, kind: FieldKind) -> Any:
    """The value as its field was declared first: a whole float becomes an integer, also in a list."""
    if kind.item is not None and isinstance(value, list):
        return [_as_first(element, kind.item) for element in value]
    return int(value) if kind.name == "int" and type(value) is float and value.is_integer() else value


def _timestamp_bytes(at: int) -> tuple[bytes, bytes]:
    return (at // 1_000_000).to_bytes(4, "big"), at.to_bytes(8, "big")
