"""A windowed stream-stream join: joins records of two types while they are read, with a table of pending events."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from flyball.core import BadDeclaration
from flyball.events.declared import EventType
from flyball.events.joined import LATE_US, fields_of, join_of
from flyball.events.log import IMPORTED, EventLog, Offsets, Record
from flyball.events.reading import read_where
from flyball.events.schema import Schema
from flyball.events.upgrade import Upgrades

_HOUR_US = 3_600_000_000
_DUE_AT_ONCE = 2_000

Positioned = tuple[Record, int, int]
"""(record, offset, partition)"""


class _Waiting(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A pending event: it waits for the other side."""

    at: int
    partition: int
    offset: int
    known_at: int
    body: bytes
    schema: int


class _Pending(msgspec.Struct, array_like=True):
    """The pending events of one key of one side. `due`: the hour at which they are checked for expiry."""

    waiting: list[_Waiting]
    due: int


class _Latest(msgspec.Struct, array_like=True):
    """{partition: the latest `known_at`} of the imported events of each side, and of all that came live.

    `settled`: {partition: the live time after its last import, -1 before the first live event}. `expired`: the earliest
    and the latest `at` of the events of each pool that have expired, the latter the lesser one while there are none.
    """

    imported: tuple[dict[int, int], dict[int, int]] = msgspec.field(default_factory=lambda: ({}, {}))
    live: dict[int, int] = msgspec.field(default_factory=dict)
    settled: dict[int, int] = msgspec.field(default_factory=dict)
    expired: list[tuple[int, int]] = msgspec.field(default_factory=lambda: [(0, -1)] * 4)

    def spans(self, side: int) -> list[tuple[int, int]]:
        """The times of the expired events of a side, live and imported."""
        return [(first, last) for first, last in (self.expired[side], self.expired[side + 2]) if first <= last]

    def expire(self, pool: int, events: "Sequence[_Waiting]") -> None:
        """Take note of events that have expired."""
        if events:
            first, last = self.expired[pool]
            earliest, latest = min(event.at for event in events), max(event.at for event in events)
            self.expired[pool] = (earliest, latest) if first > last else (min(first, earliest), max(last, latest))


_POOLS = range(4)
"""The pools of pending events, which expire by different rules: live firsts and seconds, imported firsts and
seconds."""

_Expired = tuple[dict[bytes, list[_Waiting]], dict[bytes, list[_Waiting]]]
"""{key: expired firsts}, {key: expired seconds}."""

_Pools = tuple[list[_Waiting], list[_Waiting], list[_Waiting], list[_Waiting]]

_encode = msgspec.msgpack.Encoder().encode
_decode_pending = msgspec.msgpack.Decoder(_Pending).decode
_decode_latest = msgspec.msgpack.Decoder(_Latest).decode


class KeyValues(Protocol):
    """The part of a state store that is needed to read pending events. `read` gives, with the values, the offsets that
    the store stands at, those of the batch that is being applied included or not."""

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]: ...

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]: ...


class Joiner:
    """Joins records while they are read. `types`: the event types it needs, `names`: the joined types it makes.

    `apply` returns the joined records of a batch with the position of the side whose time they have (the position of
    the other side is the record's `id`, so that both identify a pair, in the order of `join_frames`), and the changes
    of the pending events, to be written atomically with what is derived from the records. Each record must be passed
    once.

    `log`: what the records come from. A pending event expires once, in every partition, events of the other side or
    live events (whose `known_at` is their time of arrival) have passed the time it can wait for. Imported events expire
    only by imports of the other side, or by live events that have continued for the whole span after the last import:
    so history of one side may be imported long before that of the other, and a silent side keeps nothing for ever. When
    an event is imported that could pair with expired ones, these are searched in the log. None: no event expires, for
    replays.
    """

    def __init__(self, schema: Schema, names: Sequence[str], log: EventLog | None = None) -> None:
        self._joins = [_OneJoin(schema, schema.joined[name], log) for name in names if name in schema.joined]
        self.names = frozenset(join.declared.name for join in self._joins)
        self.types = frozenset(name for join in self._joins for name in join.sides)

    def prefixes(self) -> list[bytes]:
        """The prefixes of the keys of the pending events."""
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
    def __init__(self, schema: Schema, declared: EventType, log: EventLog | None) -> None:
        join = join_of(declared.cls)
        assert join is not None
        self.declared, self._join, self._schema, self._log = declared, join, schema, log
        self._partitions = None if log is None else len(log.ends())
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
        (stored,), applied = store.read([self.prefix + b"k"])
        latest = _Latest() if stored is None else _decode_latest(stored)
        expired = list(latest.expired)
        passed_us = [self._passed_us(latest, pool) for pool in _POOLS]
        new, seen = self._arrived(records, latest)
        values, _ = store.read([self._pending_key(pool, key) for key in new for pool in _POOLS])
        old = [_Pending([], -1) if value is None else _decode_pending(value) for value in values]
        expired_events = self._expired_events(new, latest, applied, records)
        changes: dict[bytes, bytes | None] = {}
        pairs: list[tuple[_Waiting, _Waiting]] = []
        for (key, arrived), *pending in zip(new.items(), *(old[pool::4] for pool in _POOLS), strict=True):
            firsts, seconds = (
                _each_once(pending[side].waiting + pending[side + 2].waiting, expired_events[side].get(key, ()))
                for side in (0, 1)
            )
            new_firsts, new_seconds = (arrived[side] + arrived[side + 2] for side in (0, 1))
            pairs += self._pairs(new_firsts, seconds + new_seconds)
            pairs += self._pairs(firsts, new_seconds)
            for pool in _POOLS:
                if arrived[pool]:
                    waiting = sorted(pending[pool].waiting + arrived[pool])
                    changes |= self._stored(latest, pool, key, waiting, pending[pool].due, passed_us[pool])
        for pool in _POOLS:
            changes |= self._sweep(store, latest, pool, passed_us[pool], changes)
        if seen or latest.expired != expired:
            times = (*latest.imported, latest.live, latest.settled)
            first, second, live, settled = (dict(sorted(known.items())) for known in times)
            changes[self.prefix + b"k"] = _encode(_Latest((first, second), live, settled, latest.expired))
        return [self._record(*pair) for pair in pairs], changes

    def _arrived(
        self, records: Mapping[str, Sequence[Positioned]], latest: _Latest
    ) -> tuple[dict[bytes, _Pools], bool]:
        """{key: events by pool} of a batch, and whether there was any record; updates `latest`."""
        new: dict[bytes, _Pools] = {}
        seen, importing = False, set[int]()
        for side, (name, key_of_event) in enumerate(zip(self.sides, self._keys, strict=True)):
            positioned = records.get(name, ())
            events = self._schema.decode_many([record for record, _, _ in positioned])
            for event, (record, offset, partition) in zip(events, positioned, strict=True):
                seen = True
                imported = bool(record.flags & IMPORTED)
                if imported:
                    importing.add(partition)
                known = latest.imported[side] if imported else latest.live
                known[partition] = max(known.get(partition, record.known_at), record.known_at)
                key = key_of_event(event)
                if key is not None:
                    pools = new.setdefault(str(key).encode(), ([], [], [], []))
                    pools[side + 2 * imported].append(_waiting(record, partition, offset))
        for partition in importing | latest.settled.keys():
            if partition in importing:
                latest.settled[partition] = -1
            elif latest.settled[partition] < 0:
                latest.settled[partition] = latest.live.get(partition, -1)
        return new, seen

    def _expired_events(
        self,
        new: Mapping[bytes, _Pools],
        latest: _Latest,
        applied: Offsets,
        records: Mapping[str, Sequence[Positioned]],
    ) -> _Expired:
        """The expired events in the log, before offsets `applied`, that could pair with new ones of the same keys."""
        expired_events: _Expired = ({}, {})
        for side in (0, 1):
            spans = latest.spans(side)
            spans_of_keys = self._partner_spans(side, new, spans) if spans else {}
            if not spans_of_keys:
                continue
            low = max(min(low for low, _ in spans_of_keys.values()), min(first for first, _ in spans))
            high = min(max(high for _, high in spans_of_keys.values()), max(last for _, last in spans))
            batch = {(partition, offset) for positioned in records.values() for _, offset, partition in positioned}
            for key, event in self._search(side, low, high, applied):
                if key in spans_of_keys and (event.partition, event.offset) not in batch:
                    expired_events[side].setdefault(key, []).append(event)
        return expired_events

    def _partner_spans(
        self, side: int, new: Mapping[bytes, _Pools], spans: Sequence[tuple[int, int]]
    ) -> dict[bytes, tuple[int, int]]:
        """{key: the first and last `at` of events of `side` that could pair with new ones}, where it meets `spans`."""
        spans_of_keys: dict[bytes, tuple[int, int]] = {}
        for key, arrived in new.items():
            for event in arrived[1 - side] + arrived[3 - side]:
                low, high = self._partners(side, event)
                if any(low <= last and first <= high for first, last in spans):
                    lowest, highest = spans_of_keys.get(key, (low, high))
                    spans_of_keys[key] = min(low, lowest), max(high, highest)
        return spans_of_keys

    def _partners(self, side: int, event: _Waiting) -> tuple[int, int]:
        """The first and last `at` of events of `side` that an event of the other side can pair with; see `_pairs`."""
        within_us = self._join.within_us
        if side == 0:
            return max(event.at - within_us, event.known_at - within_us - LATE_US), event.at
        return event.at, event.at + within_us if event.known_at <= event.at + within_us + LATE_US else event.at - 1

    def _search(self, side: int, low: int, high: int, until: Offsets) -> Iterator[tuple[bytes, _Waiting]]:
        """(key, event) of the events of `side` before offsets `until` in the log, `at` from `low` to `high`."""
        assert self._log is not None  # nothing expires without one
        name, key_of_event = self.sides[side], self._keys[side]
        for number, end in enumerate(until):
            for piece in read_where(self._log, number, 0, end, {name: low}, (low, high + 1)):
                positioned = [
                    (offset, record)
                    for offset, record in enumerate(piece.records, piece.first)
                    if record.type == name and low <= record.at <= high and offset < end
                ]
                events = self._schema.decode_many([record for _, record in positioned])
                for event, (offset, record) in zip(events, positioned, strict=True):
                    key = key_of_event(event)
                    if key is not None:
                        yield str(key).encode(), _waiting(record, number, offset)

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

    def _passed_us(self, latest: _Latest, pool: int) -> int | None:
        """The time before which events of a pool have expired; None while a partition has had none.

        Arrival times only increase; times of history show how far that import has come and say nothing about others.
        """
        if self._partitions is None:
            return None
        span_us = self._join.within_us + LATE_US + _HOUR_US
        live_us = min(latest.live.values()) if len(latest.live) == self._partitions else None
        settled = latest.settled.values()
        if pool >= 2 and live_us is not None and min(settled, default=-1) >= 0 and max(settled) < live_us - span_us:
            return live_us - span_us
        passed = {} if pool >= 2 else dict(latest.live)
        for partition, known_at in latest.imported[1 - pool % 2].items():
            passed[partition] = max(passed.get(partition, known_at), known_at)
        return min(passed.values()) - span_us if len(passed) == self._partitions else None

    def _stored(
        self, latest: _Latest, pool: int, key: bytes, waiting: list[_Waiting], noted: int, passed_us: int | None
    ) -> dict[bytes, bytes | None]:
        """The changes that store the events still pending under a key, indexed by the hour of the latest one."""
        if passed_us is not None:
            latest.expire(pool, [event for event in waiting if event.at < passed_us])
            waiting = [event for event in waiting if event.at >= passed_us]
        pending_key = self._pending_key(pool, key)
        changes: dict[bytes, bytes | None] = {}
        if not waiting:
            if noted >= 0:
                changes = {pending_key: None, self._note(pool, noted, key): None}
            return changes
        due = max(event.at for event in waiting) // _HOUR_US
        if 0 <= noted <= due:
            return {pending_key: _encode(_Pending(waiting, noted))}  # checked at that hour, and indexed again
        if noted >= 0:
            changes[self._note(pool, noted, key)] = None
        return changes | {pending_key: _encode(_Pending(waiting, due)), self._note(pool, due, key): b""}

    def _pending_key(self, pool: int, key: bytes) -> bytes:
        return self.prefix + b"p/" + bytes([pool]) + key

    def _notes(self, pool: int) -> bytes:
        return self.prefix + b"x/" + bytes([pool])

    def _note(self, pool: int, hour: int, key: bytes) -> bytes:
        return self._notes(pool) + hour.to_bytes(4, "big") + key

    def _sweep(
        self,
        store: KeyValues,
        latest: _Latest,
        pool: int,
        passed_us: int | None,
        changes: Mapping[bytes, bytes | None],
    ) -> dict[bytes, bytes | None]:
        """Remove expired events of the keys that are due; keys changed in this batch are left for a later sweep."""
        if passed_us is None:
            return {}
        swept: dict[bytes, bytes | None] = {}
        start = len(self._notes(pool))
        due: list[tuple[bytes, int]] = []
        for note, _ in store.scan(self._notes(pool), _DUE_AT_ONCE):
            hour = int.from_bytes(note[start : start + 4], "big")
            if (hour + 1) * _HOUR_US >= passed_us:
                break
            due.append((note[start + 4 :], hour))
        pending_keys = [self._pending_key(pool, key) for key, _ in due]
        values, _ = store.read(pending_keys)
        for (key, hour), pending_key, value in zip(due, pending_keys, values, strict=True):
            if pending_key in changes:
                continue
            swept[self._note(pool, hour, key)] = None
            if value is None:
                continue
            waiting = _decode_pending(value).waiting
            last = max(event.at for event in waiting) // _HOUR_US
            if (last + 1) * _HOUR_US < passed_us:
                swept[pending_key] = None
                latest.expire(pool, waiting)
            else:
                swept[pending_key] = _encode(_Pending(waiting, last))
                swept[self._note(pool, last, key)] = b""
        return swept


def _waiting(record: Record, partition: int, offset: int) -> _Waiting:
    return _Waiting(record.at, partition, offset, record.known_at, record.body, record.schema)


def _each_once(pending: list[_Waiting], expired_events: Sequence[_Waiting]) -> list[_Waiting]:
    """Both in order, an event that is among both once."""
    if not expired_events:
        return sorted(pending)
    return sorted({(event.partition, event.offset): event for event in (*expired_events, *pending)}.values())


def _getter(field: str) -> Callable[[Any], Any]:
    return lambda event: getattr(event, field)
