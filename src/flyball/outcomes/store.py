"""The SQLite file of the outcomes: tables, and the statements over them.

What is derived and the offsets it was derived from change in one transaction.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from flyball.core import StoreUnavailable
from flyball.events import Offsets
from flyball.outcomes.attribution import Follow, Showing
from flyball.outcomes.counts import Counts, decode_counts, encode_counts
from flyball.outcomes.reading import Touch

_TABLES = """
CREATE TABLE IF NOT EXISTS offsets(stream TEXT, partition INTEGER, next INTEGER, PRIMARY KEY(stream, partition));
CREATE TABLE IF NOT EXISTS marks(name TEXT PRIMARY KEY, at INTEGER);
CREATE TABLE IF NOT EXISTS items(number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS shown(user TEXT, at INTEGER, id BLOB, version TEXT, items BLOB,
  PRIMARY KEY(user, at, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shown_at ON shown(at);
CREATE TABLE IF NOT EXISTS touches(user TEXT, item INTEGER, at INTEGER, seq INTEGER, kind TEXT, bits INTEGER,
  taken INTEGER, rating INTEGER, joined INTEGER, PRIMARY KEY(user, item, at, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS touches_at ON touches(joined, at);
CREATE TABLE IF NOT EXISTS follows(user TEXT, at INTEGER, id BLOB, item INTEGER, taken INTEGER, positive INTEGER,
  rating INTEGER, body BLOB, PRIMARY KEY(user, at, id, item)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS figures(version TEXT, minute INTEGER, body BLOB, PRIMARY KEY(version, minute)) WITHOUT ROWID;
"""

_encode_follow = msgspec.msgpack.Encoder().encode
_decode_follow = msgspec.msgpack.Decoder(Follow).decode

Stored = tuple[int, Touch, bool]
"""(item, touch, whether some prediction was given it)"""


class OutcomeStore:
    """The tables behind an `OutcomeConsumer`; one writer, any number of readers."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._numbers: dict[str, int] = {}
        if read_only:
            self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute("PRAGMA cache_size=-65536")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        self._connection.close()

    def ready(self) -> bool:
        """Whether the tables are there: a reader may open the file just before its writer makes them."""
        query = "SELECT count(*) FROM sqlite_master WHERE name IN ('figures', 'follows')"
        return bool(self._connection.execute(query).fetchone()[0] == 2)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside happen, or none; raises `StoreUnavailable` when the file is locked or full."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"outcomes must be writable: {error}") from None
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._connection.execute("ROLLBACK")
            self._numbers.clear()
            if isinstance(error, sqlite3.OperationalError):
                raise StoreUnavailable(f"outcomes must be writable: {error}") from None
            raise

    def offsets(self, stream: str) -> dict[int, int]:
        rows = self._connection.execute("SELECT partition, next FROM offsets WHERE stream = ?", (stream,))
        return dict(rows.fetchall())

    def put_offsets(self, stream: str, offsets: Offsets) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)",
            [(stream, partition, following) for partition, following in enumerate(offsets)],
        )

    def mark(self, name: str) -> int | None:
        row = self._connection.execute("SELECT at FROM marks WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def put_mark(self, name: str, at_us: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, at_us))

    def number(self, item: str) -> int:
        """The number of an item, given at first sight."""
        known = self._numbers.get(item)
        if known is None:
            row = self._connection.execute("SELECT number FROM items WHERE name = ?", (item,)).fetchone()
            known = int(row[0]) if row else self._new_number(item)
            self._numbers[item] = known
        return known

    def _new_number(self, item: str) -> int:
        return int(self._connection.execute("INSERT INTO items(name) VALUES (?)", (item,)).lastrowid or 0)

    def put_shown(self, user: str, at: int, id: bytes, version: str, items: Sequence[int]) -> bool:
        """Whether it was new."""
        row = (user, at, id, version, array("I", items).tobytes())
        return self._connection.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?, ?, ?)", row).rowcount == 1

    def first_shown_at(self) -> int | None:
        row = self._connection.execute("SELECT at FROM shown ORDER BY at LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def showings(self, user: str, after: int, until: int) -> "Iterator[tuple[int, bytes, str, array[int]]]":
        """(at, id, version, items) of a user's predictions with `after < at <= until`, by (at, id)."""
        rows = self._connection.execute(
            "SELECT at, id, version, items FROM shown WHERE user = ? AND at > ? AND at <= ? ORDER BY at, id",
            (user, after, until),
        )
        for at, id, version, blob in rows:
            yield at, id, version, array("I", blob)

    def touched_items(self, user: str, from_at: int, before: int) -> set[int]:
        rows = self._connection.execute(
            "SELECT DISTINCT item FROM touches WHERE user = ? AND at >= ? AND at < ?", (user, from_at, before)
        )
        return {item for (item,) in rows}

    def touches(self, user: str, item: int) -> dict[Touch, bool]:
        """The stored touches of a pair by (at, seq), each with whether some prediction was given it."""
        rows = self._connection.execute(
            "SELECT at, seq, kind, bits, taken, rating, joined FROM touches "
            "WHERE user = ? AND item = ? ORDER BY at, seq",
            (user, item),
        )
        return {
            Touch(at, seq, kind, bits, bool(taken), rating): bool(joined)
            for at, seq, kind, bits, taken, rating, joined in rows
        }

    def put_touches(self, user: str, touches: Iterable[Stored]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO touches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(user, item, t.at, t.seq, t.kind, t.bits, t.taken, t.rating_micro, joined) for item, t, joined in touches],
        )

    def follows(self, user: str, at: int, id: bytes) -> dict[int, Follow]:
        """{item: what followed} of one prediction."""
        rows = self._connection.execute(
            "SELECT item, body FROM follows WHERE user = ? AND at = ? AND id = ?", (user, at, id)
        )
        return {item: _decode_follow(body) for item, body in rows}

    def pair_follows(self, user: str, item: int) -> dict[tuple[int, bytes], Follow]:
        """{(at, id) of the prediction: what followed} of one pair."""
        rows = self._connection.execute("SELECT at, id, body FROM follows WHERE user = ? AND item = ?", (user, item))
        return {(at, id): _decode_follow(body) for at, id, body in rows}

    def put_follow(self, user: str, key: tuple[int, bytes], item: int, found: Follow | None) -> None:
        """Store what followed; None takes it away."""
        if found is None:
            self._connection.execute(
                "DELETE FROM follows WHERE user = ? AND at = ? AND id = ? AND item = ?", (user, *key, item)
            )
            return
        self._connection.execute(
            "INSERT OR REPLACE INTO follows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (user, *key, item, found.taken, found.positive, found.rating_micro, _encode_follow(found)),
        )

    def figures(self, since_minute: int) -> Iterator[tuple[str, Counts]]:
        for version, body in self._connection.execute(
            "SELECT version, body FROM figures WHERE minute >= ?", (since_minute,)
        ):
            yield version, decode_counts(body)

    def add_figures(self, changes: dict[tuple[str, int], Counts]) -> None:
        for (version, minute), counts in changes.items():
            row = self._connection.execute(
                "SELECT body FROM figures WHERE version = ? AND minute = ?", (version, minute)
            ).fetchone()
            if row is not None:
                counts.add(decode_counts(row[0]))
            self._connection.execute(
                "INSERT OR REPLACE INTO figures VALUES (?, ?, ?)", (version, minute, encode_counts(counts))
            )

    def forget_touches(self, before: int, limit: int, joined: bool) -> int:
        """Delete up to `limit` touches of before `before`; how many there were."""
        return self._connection.execute(
            "DELETE FROM touches WHERE (user, item, at, seq) IN "
            "(SELECT user, item, at, seq FROM touches WHERE joined = ? AND at < ? LIMIT ?)",
            (joined, before, limit),
        ).rowcount

    def forget_shown(self, before: int, limit: int) -> int:
        """Delete up to `limit` predictions of before `before`; how many there were."""
        return self._connection.execute(
            "DELETE FROM shown WHERE (user, at, id) IN (SELECT user, at, id FROM shown WHERE at < ? LIMIT ?)",
            (before, limit),
        ).rowcount


def to_showing(at: int, id: bytes, version: str, items: "array[int]", item: int) -> Showing | None:
    """The showing of `item` in a prediction's list, None when it is not there."""
    return Showing(at, id, version, items.index(item)) if item in items else None
