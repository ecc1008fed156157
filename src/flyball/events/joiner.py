"""Joins records of two types while they are read, with a table of what waits for the other side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from flyball.core import BadDeclaration
from flyball.events.declared import EventType
from flyball.events.joined import LATE_US, fields_of, join_of
from flyball.events.log import Offsets, Record
from flyball.events.schema import Schema
from flyball.events.upgrade import Upgrades

_HOUR_US = 3_600_000_000
_DUE_AT_ONCE = 2_000

Positioned = tuple[Record, int, int]
"""(record, offset, partition)"""


class _Waiting(msgspec.Struct, array_like=True, frozen=True, order=True):
    """An event that waits for the other side."""

    at: int
    partition: int
    offset: int
    known_at: int
    body: bytes
    schema: int


class _Pending(msgspec.Struct, array_like=True):
    """What waits under one key. `due`: the hour under which the key is noted to be looked at again."""

    sides: tuple[list[_Waiting], list[_Waiting]]
    due: int


_encode = msgspec.msgpack.Encoder().encode
_decode_pending = msgspec.msgpack.Decoder(_Pending).decode
_decode_known = msgspec.msgpack.Decoder(dict[int, int]).decode


class KeyValues(Protocol):
    """Where the pending events lie: the part of a state store that is read here."""

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]: ...

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]: ...


class Joiner:
    """Joins records while they are read. `types`: those it must be given, `names`: those it makes.

    `apply` returns the joined records of a batch with the position of the side whose time they have (that of the other
    side is the record's `id`, so that both tell pairs apart, in the order of `join_frames`), and the changes
    of the pending events, which belong into the same write as whatever is made of the records; each record is to be
    given once. `partitions`: of the log; pending events go once every partition is past the time they can wait for.
    None keeps them, as a replay may.
    """

    def __init__(self, schema: Schema, names: Sequence[str], partitions: int | None = None) -> None:
        self._joins = [_OneJoin(schema, schema.joined[name], partitions) for name in names if name in schema.joined]
        self.names = frozenset(join.declared.name for join in self._joins)
        self.types = frozenset(name for join in self._joins for name in join.sides)

    def prefixes(self) -> list[bytes]:
        """What the keys of the pending events begin with."""
        return [join.prefix for join in self._joins]

    def apply(
        self, records: Mapping[str, Sequence[Positioned]], store: KeyValues
    ) -> tuple[dict[str, list[Positioned]], dict[bytes, bytes | None]]:
        made: dict[str, list[Positioned]] = {}
        changes: dict[bytes, bytes | None] = {}
        for join in self._joins:
            pairs, changed = join.apply(records, store)
            if pairs:
                made[join.declared.name] = pairs
            changes |= changed
        return made, changes


class _OneJoin:
    def __init__(self, schema: Schema, declared: EventType, partitions: int | None) -> None:
        join = join_of(declared.cls)
        assert join is not None
        self.declared, self._join, self._schema, self._partitions = declared, join, schema, partitions
        self._upgrades = Upgrades(schema.lineages.values())
        names = {kind.cls: name for name, kind in schema.types.items()}
        for side in (join.first, join.second):
            if side not in names:
                raise BadDeclaration(f"types of {declared.cls.__name__}", "among the declared events", side.__name__)
        self.sides = (names[join.first], names[join.second])
        self.prefix = b"j/" + f"{declared.name}.{join.hash[:8]}/".encode()
        self._keys: tuple[Callable[[Any], Any], ...] = (_getter(join.first_key), _getter(join.second_key))
        self._fields = tuple(field.name for field in declared.declared if field.name != "elapsed_us")
        self._first_fields = frozenset(fields_of(join.first))

    def apply(
        self, records: Mapping[str, Sequence[Positioned]], store: KeyValues
    ) -> tuple[list[Positioned], dict[bytes, bytes | None]]:
        new, known = self._arrived(records)
        (stored_known,), _ = store.read([self.prefix + b"k"])
        known_at = {} if stored_known is None else _decode_known(stored_known)
        passed_us = self._passed_us(known_at)
        keys = {key: self.prefix + b"p/" + key for key in new}
        values, _ = store.read(list(keys.values()))
        changes: dict[bytes, bytes | None] = {}
        pairs: list[tuple[_Waiting, _Waiting]] = []
        for (key, pending_key), value in zip(keys.items(), values, strict=True):
            old = _Pending(([], []), -1) if value is None else _decode_pending(value)
            firsts, seconds = new[key]
            pairs += self._pairs(firsts, old.sides[1] + seconds) + self._pairs(old.sides[0], seconds)
            sides = (sorted(old.sides[0] + firsts), sorted(old.sides[1] + seconds))
            changes |= self._stored(key, pending_key, sides, old.due, passed_us)
        changes |= self._sweep(store, passed_us, changes)
        if known:
            for partition, latest in known.items():
                known_at[partition] = max(known_at.get(partition, latest), latest)
            changes[self.prefix + b"k"] = _encode(dict(sorted(known_at.items())))
        return [self._record(first, second) for first, second in pairs], changes

    def _arrived(
        self, records: Mapping[str, Sequence[Positioned]]
    ) -> tuple[dict[bytes, tuple[list[_Waiting], list[_Waiting]]], dict[int, int]]:
        """{key: (firsts, seconds)} of a batch, and the latest `known_at` by partition."""
        new: dict[bytes, tuple[list[_Waiting], list[_Waiting]]] = {}
        known: dict[int, int] = {}
        for side, (name, key_of_event) in enumerate(zip(self.sides, self._keys, strict=True)):
            positioned = records.get(name, ())
            events = self._schema.decode_many([record for record, _, _ in positioned])
            for event, (record, offset, partition) in zip(events, positioned, strict=True):
                known[partition] = max(known.get(partition, record.known_at), record.known_at)
                key = key_of_event(event)
                if key is not None:
                    waiting = _Waiting(record.at, partition, offset, record.known_at, record.body, record.schema)
                    new.setdefault(str(key).encode(), ([], []))[side].append(waiting)
        return new, known

    def _pairs(self, firsts: Sequence[_Waiting], seconds: Sequence[_Waiting]) -> list[tuple[_Waiting, _Waiting]]:
        within_us = self._join.within_us
        return [
            (first, second)
            for first in firsts
            for second in seconds
            if 0 <= second.at - first.at <= within_us
            and max(first.known_at, second.known_at) <= first.at + within_us + LATE_US
        ]

    def _record(self, first: _Waiting, second: _Waiting) -> Positioned:
        names = self.sides
        events = [
            self._schema.decode(
                self._upgrades.record(Record(name, "", side.at, side.known_at, b"", side.body, 0, side.schema))
            )
            for name, side in zip(names, (first, second), strict=True)
        ]
        plain = [msgspec.to_builtins(event, builtin_types=(bytes,)) for event in events]
        fields = {name: plain[name not in self._first_fields][name] for name in self._fields}
        anchor, other = (first, second) if self._join.at == "first" else (second, first)
        record = self._schema.join_record(
            self.declared.name,
            fields | {"elapsed_us": second.at - first.at},
            anchor.at,
            max(first.known_at, second.known_at),
        )
        pair = other.offset.to_bytes(8, "big") + other.partition.to_bytes(8, "big")
        return msgspec.structs.replace(record, id=pair), anchor.offset, anchor.partition

    def _passed_us(self, known_at: Mapping[int, int]) -> int | None:
        """The time up to which nothing can wait any more; None while a partition has shown nothing."""
        if self._partitions is None or len(known_at) < self._partitions:
            return None
        return min(known_at.values()) - self._join.within_us - LATE_US - _HOUR_US

    def _stored(
        self,
        key: bytes,
        pending_key: bytes,
        sides: tuple[list[_Waiting], list[_Waiting]],
        noted: int,
        passed_us: int | None,
    ) -> dict[bytes, bytes | None]:
        """The changes that keep what still waits under a key, noted by the hour of its latest event."""
        if passed_us is not None:
            firsts, seconds = ([waiting for waiting in side if waiting.at >= passed_us] for side in sides)
            sides = (firsts, seconds)
        gone = self._note(noted, key) if noted >= 0 else None
        if not sides[0] and not sides[1]:
            return {pending_key: None} if gone is None else {pending_key: None, gone: None}
        due = max(waiting.at for side in sides for waiting in side) // _HOUR_US
        if noted >= 0 and noted <= due:
            return {pending_key: _encode(_Pending(sides, noted))}  # looked at then, and noted anew
        changes: dict[bytes, bytes | None] = {} if gone is None else {gone: None}
        return changes | {pending_key: _encode(_Pending(sides, due)), self._note(due, key): b""}

    def _note(self, hour: int, key: bytes) -> bytes:
        return self.prefix + b"x/" + hour.to_bytes(4, "big") + key

    def _sweep(
        self, store: KeyValues, passed_us: int | None, changes: Mapping[bytes, bytes | None]
    ) -> dict[bytes, bytes | None]:
        """Drop what can wait no more among the keys that are due; those just changed are looked at another time."""
        if passed_us is None:
            return {}
        swept: dict[bytes, bytes | None] = {}
        start = len(self.prefix) + 2
        due: list[tuple[bytes, int]] = []
        for note, _ in store.scan(self.prefix + b"x/", _DUE_AT_ONCE):
            hour = int.from_bytes(note[start : start + 4], "big")
            if (hour + 1) * _HOUR_US >= passed_us:
                break
            due.append((note[start + 4 :], hour))
        pending_keys = [self.prefix + b"p/" + key for key, _ in due]
        values, _ = store.read(pending_keys)
        for (key, hour), pending_key, value in zip(due, pending_keys, values, strict=True):
            if pending_key in changes:
                continue
            if value is None:
                swept[self._note(hour, key)] = None
                continue
            pending = _decode_pending(value)
            latest = max(waiting.at for side in pending.sides for waiting in side) // _HOUR_US
            swept[self._note(hour, key)] = None
            if (latest + 1) * _HOUR_US < passed_us:
                swept[pending_key] = None
            else:
                swept[pending_key] = _encode(_Pending(pending.sides, latest))
                swept[self._note(latest, key)] = b""
        return swept


def _getter(field: str) -> Callable[[Any], Any]:
    return lambda event: getattr(event, field)
