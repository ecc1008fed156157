"""The tables of the outcomes and their SQL statements.

Outcomes and the offsets of the streams that they were derived from change in one transaction. It is stored which labels
they were derived with; for other labels the tables are emptied and filled again from the two streams.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from flyball.core import Refused, StoreUnavailable
from flyball.outcomes.attribution import Attribution, Impression, Key
from flyball.outcomes.counts import VersionCounts, decode_counts, encode_counts
from flyball.outcomes.metrics import LabelSpec
from flyball.outcomes.reading import LabelEvent
from flyball.outcomes.stream_file import STREAM_TABLES, StreamFile
from flyball.outcomes.tables import Location, open_tables

FORMAT = 5
"""The format of the tables, stored beside them. Format 1 (stored as 0) held recommendations only; format 2
attributed each event to one response, whatever the labels; format 3 had other table names; format 4 stored no
decisions. A file of an older format is emptied and filled again."""

_TABLES = {
    **STREAM_TABLES,
    "marks": "name TEXT PRIMARY KEY, at INTEGER",
    "definition": "hash TEXT, labels BLOB",
    "items": "number INTEGER PRIMARY KEY, name TEXT UNIQUE",
    "requested": "grp INTEGER, key TEXT, at INTEGER, id BLOB, version TEXT, items BLOB, decision TEXT, "
    "PRIMARY KEY(grp, key, at, id)",
    "label_events": "grp INTEGER, key TEXT, item INTEGER, at INTEGER, seq INTEGER, pair BLOB, kind TEXT, "
    "body BLOB, joined INTEGER, PRIMARY KEY(grp, key, item, at, seq, pair, kind)",
    "attributions": "grp INTEGER, key TEXT, at INTEGER, id BLOB, item INTEGER, body BLOB, "
    "PRIMARY KEY(grp, key, at, id, item)",
    "counts": "version TEXT, minute INTEGER, body BLOB, PRIMARY KEY(version, minute)",
}
_INDEXES = {
    "requested_at": "requested(at)",
    "label_events_at": "label_events(joined, at)",
    "attributions_id": "attributions(id)",
}

_FIND_NUMBER = "SELECT number FROM items WHERE name = ?"
_PUT_MARK = "INSERT INTO marks VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET at = excluded.at"
_PUT_EVENT = (
    "INSERT INTO label_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(grp, key, item, at, seq, pair, kind) "
    "DO UPDATE SET body = excluded.body, joined = excluded.joined"
)
_PUT_ATTRIBUTION = (
    "INSERT INTO attributions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(grp, key, at, id, item) "
    "DO UPDATE SET body = excluded.body"
)
_PUT_COUNTS = "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT(version, minute) DO UPDATE SET body = excluded.body"

_encode = msgspec.msgpack.Encoder().encode
_decode_attribution = msgspec.msgpack.Decoder(Attribution).decode
_decode_event = msgspec.msgpack.Decoder(LabelEvent).decode
_decode_specs = msgspec.msgpack.Decoder(dict[str, LabelSpec]).decode

NO_ITEM = 0
"""The item number of labels that concern a whole response."""

Unit = tuple[int, str]
"""(group of labels, key), by which requests and events join."""

Stored = tuple[int, LabelEvent, bool]
"""(item, event, whether it is in the window of some response)"""


class OutcomeStore(StreamFile):
    """The tables behind an `OutcomeConsumer`; one writer, any number of readers."""

    def __init__(self, location: Location, read_only: bool = False) -> None:
        self._numbers: dict[str, int] = {}
        self._tables = open_tables(location, "outcomes", read_only)

    def is_defined(self, hash: str) -> bool:
        """Whether the tables exist and were derived with these labels; raises `Refused` for a newer format."""
        written = self._format()
        if written > FORMAT:
            raise Refused(
                f"{self._tables.name} must be of format {FORMAT}, got format {written} of another release of "
                "Flyball: delete the file or schema, and it is filled again from the log"
            )
        return written == FORMAT and self._tables.execute("SELECT hash FROM definition").fetchone() == (hash,)

    def define(self, hash: str, specs: Mapping[str, LabelSpec]) -> None:
        """Drop all tables and create empty ones for these labels; raises `LeaseLost` for a token that is not the
        highest."""
        with self.transaction():
            if self._format():
                self.check_token()
            self._tables.create(_TABLES, _INDEXES, FORMAT)
            self._tables.execute("INSERT INTO definition VALUES (?, ?)", (hash, _encode(specs)))
            self.put_token()

    @contextmanager
    def applying(self, hash: str) -> Iterator[None]:
        """A transaction in which the tables are still derived with these labels, and nobody wrote with a higher token.

        Raises `StoreUnavailable` and `LeaseLost` otherwise: a writer that was paused knows nothing of what the tables
        hold now.
        """
        with self.transaction():
            self.check_token()
            if not self.is_defined(hash):
                raise StoreUnavailable(
                    f"{self._tables.name} must be derived with the labels as they are declared here, got tables that "
                    "another writer has filled meanwhile: they are read again"
                )
            self.put_token()
            yield

    def close(self) -> None:
        self._tables.close()

    def ready(self) -> bool:
        """Whether the tables exist: a reader may open the file just before its writer creates them."""
        return self._format() == FORMAT

    def _format(self) -> int:
        return self._tables.format()

    def _undone(self) -> None:
        self._numbers.clear()

    def specs(self) -> dict[str, LabelSpec]:
        """{label: what is needed to interpret its counts}."""
        row = self._tables.execute("SELECT labels FROM definition").fetchone()
        return {} if row is None else _decode_specs(row[0])

    def mark(self, name: str) -> int | None:
        row = self._tables.execute("SELECT at FROM marks WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def put_mark(self, name: str, at_us: int) -> None:
        self._tables.execute(_PUT_MARK, (name, at_us))

    def expect_items(self, names: Collection[str]) -> None:
        """The items whose numbers are asked for next; to read them ahead gains nothing in a file of this machine."""

    def expect_units(self, units: Collection[Unit]) -> None:
        """The units that are read and written next in this transaction; see `expect_items`."""

    def number(self, item: str) -> int:
        """The number of an item, assigned at its first occurrence; `NO_ITEM` for ""."""
        if item == "":
            return NO_ITEM
        known = self._numbers.get(item)
        if known is None:
            row = self._tables.execute(_FIND_NUMBER, (item,)).fetchone()
            known = int(row[0]) if row else self._new_number(item)
            self._numbers[item] = known
        return known

    def _new_number(self, item: str) -> int:
        self._tables.execute("INSERT INTO items(name) VALUES (?)", (item,))
        return int(self._tables.execute(_FIND_NUMBER, (item,)).fetchone()[0])

    def put_requested(
        self, unit: Unit, at: int, id: bytes, version: str, items: Sequence[int], decision: str = ""
    ) -> bool:
        """Store a response; returns whether it was new."""
        row = (*unit, at, id, version, array("I", items).tobytes(), decision)
        insert = "INSERT INTO requested VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return self._tables.execute(insert, row).rowcount == 1

    def decision(self, unit: Unit, key: Key) -> str:
        """The decision of a stored response, "" for none."""
        find = "SELECT decision FROM requested WHERE grp = ? AND key = ? AND at = ? AND id = ?"
        row = self._tables.execute(find, (*unit, *key)).fetchone()
        return "" if row is None else str(row[0])

    def first_requested_at(self) -> int | None:
        row = self._tables.execute("SELECT at FROM requested ORDER BY at LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def impressions(self, unit: Unit, from_at: int, until: int) -> "Iterator[tuple[int, bytes, str, array[int]]]":
        """(at, id, version, items) of the responses of a unit with `from_at <= at <= until`, by (at, id)."""
        rows = self._tables.execute(
            "SELECT at, id, version, items FROM requested WHERE grp = ? AND key = ? AND at >= ? AND at <= ? "
            "ORDER BY at, id",
            (*unit, from_at, until),
        )
        for at, id, version, blob in rows:
            yield at, id, version, array("I", blob)

    def items_with_events(self, unit: Unit, from_at: int, until: int) -> set[int]:
        rows = self._tables.execute(
            "SELECT DISTINCT item FROM label_events WHERE grp = ? AND key = ? AND at >= ? AND at <= ?",
            (*unit, from_at, until),
        )
        return {item for (item,) in rows}

    def events(self, unit: Unit, item: int) -> dict[LabelEvent, bool]:
        """{stored event of a unit and item: whether it is in the window of some response}, by (at, seq)."""
        rows = self._tables.execute(
            "SELECT body, joined FROM label_events WHERE grp = ? AND key = ? AND item = ? ORDER BY at, seq, pair, kind",
            (*unit, item),
        )
        return {_decode_event(body): bool(joined) for body, joined in rows}

    def put_events(self, unit: Unit, events: Iterable[Stored]) -> None:
        self._tables.executemany(
            _PUT_EVENT,
            [(*unit, item, *event.order, _encode(event), joined) for item, event, joined in events],
        )

    def attributions(self, unit: Unit, key: Key) -> dict[int, Attribution]:
        """{item: attribution} of one response within a unit."""
        rows = self._tables.execute(
            "SELECT item, body FROM attributions WHERE grp = ? AND key = ? AND at = ? AND id = ?", (*unit, *key)
        )
        return {item: _decode_attribution(body) for item, body in rows}

    def attributions_of(self, id: bytes) -> list[tuple[str, Attribution]]:
        """(item, attribution) of one response; item "" for labels of its request."""
        rows = self._tables.execute(
            "SELECT coalesce(name, ''), body FROM attributions LEFT JOIN items ON item = number WHERE id = ? "
            "ORDER BY grp, item",
            (id,),
        )
        return [(item, _decode_attribution(body)) for item, body in rows]

    def all_attributions(self, from_at: int) -> Iterator[tuple[int, str, bytes, str, Attribution]]:
        """(at, key, id, item, attribution) of every response since `from_at`; item "" for labels of its request."""
        rows = self._tables.stream(
            "SELECT at, key, id, coalesce(name, ''), body FROM attributions LEFT JOIN items ON item = number "
            "WHERE at >= ?",
            (from_at,),
        )
        for at, key, id, item, body in rows:
            yield at, key, id, item, _decode_attribution(body)

    def item_attributions(self, unit: Unit, item: int) -> dict[Key, Attribution]:
        """{(at, id) of the response: attribution} of one unit and item."""
        rows = self._tables.execute(
            "SELECT at, id, body FROM attributions WHERE grp = ? AND key = ? AND item = ?", (*unit, item)
        )
        return {(at, id): _decode_attribution(body) for at, id, body in rows}

    def put_attribution(self, unit: Unit, key: Key, item: int, attribution: Attribution | None) -> None:
        """Store an attribution, or delete it if None."""
        if attribution is None:
            self._tables.execute(
                "DELETE FROM attributions WHERE grp = ? AND key = ? AND at = ? AND id = ? AND item = ?",
                (*unit, *key, item),
            )
            return
        row = (*unit, *key, item, _encode(attribution))
        self._tables.execute(_PUT_ATTRIBUTION, row)

    def counts(self, since_minute: int) -> Iterator[tuple[str, int, VersionCounts]]:
        """(version, minute, counts) since `since_minute`."""
        rows = self._tables.stream("SELECT version, minute, body FROM counts WHERE minute >= ?", (since_minute,))
        for version, minute, body in rows:
            yield version, minute, decode_counts(body)

    def first_minute(self, version: str) -> int | None:
        """The first minute with responses of `version`, or of any version for ""."""
        find = "SELECT min(minute) FROM counts WHERE version = ? OR (? = '' AND version != '')"
        (minute,) = self._tables.execute(find, (version, version)).fetchone()
        return None if minute is None else int(minute)

    def add_counts(self, changes: Mapping[tuple[str, int], VersionCounts]) -> None:
        for (version, minute), counts in changes.items():
            row = self._tables.execute(
                "SELECT body FROM counts WHERE version = ? AND minute = ?", (version, minute)
            ).fetchone()
            if row is not None:
                counts.add(decode_counts(row[0]))
            self._tables.execute(_PUT_COUNTS, (version, minute, encode_counts(counts)))

    def forget_events(self, before: int, limit: int, joined: bool) -> int:
        """Delete about `limit` events before `before`, the oldest first; returns their number.

        They are deleted up to a time that is found by the index, which is twice as fast as listing their keys of seven
        columns. So all events of that time are deleted together.
        """
        (bound,) = self._tables.execute(
            "SELECT coalesce("
            "(SELECT at FROM label_events WHERE joined = ? AND at < ? ORDER BY at LIMIT 1 OFFSET ?), ?)",
            (joined, before, limit - 1, before - 1),
        ).fetchone()
        delete = "DELETE FROM label_events WHERE joined = ? AND at <= ?"
        return self._tables.execute(delete, (joined, bound)).rowcount

    def forget_requested(self, before: int, limit: int) -> int:
        """Delete up to `limit` responses before `before`; returns their number."""
        return self._tables.execute(
            "DELETE FROM requested WHERE (grp, key, at, id) IN "
            "(SELECT grp, key, at, id FROM requested WHERE at < ? LIMIT ?)",
            (before, limit),
        ).rowcount


def to_impression(at: int, id: bytes, version: str, items: "array[int]", item: int) -> Impression | None:
    """The impression of `item` in a response, None if the item is not in it; `NO_ITEM` gives that of the response."""
    if item == NO_ITEM:
        return Impression(at, id, version, 0)
    return Impression(at, id, version, items.index(item)) if item in items else None
