"""Outcomes on a server, with a round trip for each table and batch in place of some for each event.

What a batch of records may read is read ahead, by the units that it concerns; what it writes is kept, read again from
here, and written before the transaction ends. Answers are those of `OutcomeStore`.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from flyball.outcomes.attribution import Attribution, Key
from flyball.outcomes.counts import VersionCounts, decode_counts, encode_counts
from flyball.outcomes.reading import LabelEvent
from flyball.outcomes.store import OutcomeStore, Stored, Unit

_encode = msgspec.msgpack.Encoder().encode
_decode_attribution = msgspec.msgpack.Decoder(Attribution).decode
_decode_event = msgspec.msgpack.Decoder(LabelEvent).decode

_AT_ONCE = 1_000
"""How many rows a statement names."""

_Row = tuple[Any, ...]


class _UnitRows:
    """The rows of one unit, as they are with what was written in this transaction."""

    def __init__(self) -> None:
        self.requested: dict[Key, tuple[str, array[int], str]] = {}
        self.events: dict[int, dict[_Row, tuple[LabelEvent, bool]]] = {}
        self.attributions: dict[tuple[Key, int], Attribution] = {}


class BatchedOutcomeStore(OutcomeStore):
    """The tables behind an `OutcomeConsumer`, on a server. Only within `applying`."""

    _units: dict[Unit, _UnitRows]

    @contextmanager
    def applying(self, hash: str) -> Iterator[None]:
        self._forget()
        try:
            with super().applying(hash):
                yield
                self._write()
        finally:
            self._forget()

    def expect_items(self, names: Collection[str]) -> None:
        new = list(dict.fromkeys(name for name in names if name and name not in self._numbers))
        find = "SELECT name, number FROM items WHERE name IN (VALUES {rows})"
        for _ in range(2):
            for some in _pieces(new):
                self._numbers.update(self._tables.execute(_with_rows(find, 1, len(some)), some).fetchall())
            new = [name for name in new if name not in self._numbers]
            self._put("INSERT INTO items(name) VALUES {rows} ON CONFLICT DO NOTHING", [(name,) for name in new])

    def expect_units(self, units: Collection[Unit]) -> None:
        new = [unit for unit in dict.fromkeys(units) if unit not in self._units]
        self._units.update((unit, _UnitRows()) for unit in new)
        for group, key, at, id, version, items, decision in self._of_units(
            "SELECT grp, key, at, id, version, items, decision FROM requested", new
        ):
            self._units[group, key].requested[at, id] = version, array("I", items), decision
        for group, key, item, body, joined in self._of_units(
            "SELECT grp, key, item, body, joined FROM label_events", new
        ):
            event = _decode_event(body)
            self._units[group, key].events.setdefault(item, {})[event.order] = event, bool(joined)
        for group, key, at, id, item, body in self._of_units(
            "SELECT grp, key, at, id, item, body FROM attributions", new
        ):
            self._units[group, key].attributions[(at, id), item] = _decode_attribution(body)

    def mark(self, name: str) -> int | None:
        if name not in self._marks:
            self._marks[name] = super().mark(name)
        return self._marks[name]

    def put_mark(self, name: str, at_us: int) -> None:
        self._marks[name] = at_us
        super().put_mark(name, at_us)

    def put_requested(
        self, unit: Unit, at: int, id: bytes, version: str, items: Sequence[int], decision: str = ""
    ) -> bool:
        requested, key = self._rows(unit).requested, (at, id)
        if key in requested:
            return False
        requested[key] = version, array("I", items), decision
        self._requested[*unit, *key] = (version, requested[key][1].tobytes(), decision)
        return True

    def decision(self, unit: Unit, key: Key) -> str:
        row = self._rows(unit).requested.get(key)
        return "" if row is None else row[2]

    def impressions(self, unit: Unit, from_at: int, until: int) -> "Iterator[tuple[int, bytes, str, array[int]]]":
        for (at, id), (version, items, _) in sorted(self._rows(unit).requested.items(), key=lambda row: row[0]):
            if from_at <= at <= until:
                yield at, id, version, items

    def items_with_events(self, unit: Unit, from_at: int, until: int) -> set[int]:
        of_items = self._rows(unit).events.items()
        return {item for item, events in of_items if any(from_at <= at <= until for at, *_ in events)}

    def events(self, unit: Unit, item: int) -> dict[LabelEvent, bool]:
        stored = self._rows(unit).events.get(item, {})
        return dict(stored[order] for order in sorted(stored))

    def put_events(self, unit: Unit, events: Iterable[Stored]) -> None:
        rows = self._rows(unit)
        for item, event, joined in events:
            rows.events.setdefault(item, {})[event.order] = event, joined
            self._events[*unit, item, *event.order] = (_encode(event), joined)

    def attributions(self, unit: Unit, key: Key) -> dict[int, Attribution]:
        return {item: own for (of, item), own in self._rows(unit).attributions.items() if of == key}

    def item_attributions(self, unit: Unit, item: int) -> dict[Key, Attribution]:
        return {key: own for (key, of), own in self._rows(unit).attributions.items() if of == item}

    def put_attribution(self, unit: Unit, key: Key, item: int, attribution: Attribution | None) -> None:
        attributions = self._rows(unit).attributions
        if attribution is None:
            attributions.pop((key, item), None)
        else:
            attributions[key, item] = attribution
        self._attributions[*unit, *key, item] = None if attribution is None else (_encode(attribution),)

    def add_counts(self, changes: Mapping[tuple[str, int], VersionCounts]) -> None:
        find = "SELECT version, minute, body FROM counts WHERE (version, minute) IN (VALUES {rows})"
        for some in _pieces(list(changes)):
            values = [value for bucket in some for value in bucket]
            for version, minute, body in self._tables.execute(_with_rows(find, 2, len(some)), values).fetchall():
                changes[version, minute].add(decode_counts(body))
        put = "INSERT INTO counts VALUES {rows} ON CONFLICT(version, minute) DO UPDATE SET body = excluded.body"
        self._put(put, [(*bucket, encode_counts(counts)) for bucket, counts in changes.items()])

    def _undone(self) -> None:
        super()._undone()
        self._forget()

    def _forget(self) -> None:
        self._units = {}
        self._marks: dict[str, int | None] = {}
        self._requested: dict[_Row, _Row] = {}
        self._events: dict[_Row, _Row] = {}
        self._attributions: dict[_Row, _Row | None] = {}

    def _rows(self, unit: Unit) -> _UnitRows:
        if unit not in self._units:
            self.expect_units([unit])
        return self._units[unit]

    def _write(self) -> None:
        """Write what was kept, each row once."""
        self._put(
            "INSERT INTO requested VALUES {rows} ON CONFLICT DO NOTHING",
            [(*key, *own) for key, own in self._requested.items()],
        )
        self._put(
            "INSERT INTO label_events VALUES {rows} ON CONFLICT(grp, key, item, at, seq, pair, kind) "
            "DO UPDATE SET body = excluded.body, joined = excluded.joined",
            [(*key, *own) for key, own in self._events.items()],
        )
        self._put(
            "DELETE FROM attributions WHERE (grp, key, at, id, item) IN (VALUES {rows})",
            [key for key, own in self._attributions.items() if own is None],
        )
        self._put(
            "INSERT INTO attributions VALUES {rows} ON CONFLICT(grp, key, at, id, item) "
            "DO UPDATE SET body = excluded.body",
            [(*key, *own) for key, own in self._attributions.items() if own is not None],
        )

    def _put(self, statement: str, rows: Sequence[_Row]) -> None:
        for some in _pieces(rows):
            self._tables.execute(
                _with_rows(statement, len(some[0]), len(some)), [value for row in some for value in row]
            )

    def _of_units(self, select: str, units: Sequence[Unit]) -> Iterator[_Row]:
        for some in _pieces(units):
            statement = _with_rows(f"{select} WHERE (grp, key) IN (VALUES {{rows}})", 2, len(some))
            yield from self._tables.execute(statement, [value for unit in some for value in unit])


def _pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def _with_rows(statement: str, columns: int, rows: int) -> str:
    """
    >>> _with_rows("INSERT INTO items VALUES {rows}", 2, 3)
    'INSERT INTO items VALUES (?, ?), (?, ?), (?, ?)'
    """
    row = f"({', '.join('?' * columns)})"
    return statement.replace("{rows}", ", ".join([row] * rows))
