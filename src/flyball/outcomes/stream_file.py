"""A SQLite file derived from streams: offsets, pending events and transactions.

The derived tables and the offsets of the streams change in one transaction.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from flyball.core import StoreUnavailable
from flyball.events import Offsets

STREAM_TABLES = {
    "offsets": "stream TEXT, partition INTEGER, next INTEGER, PRIMARY KEY(stream, partition)",
    "pending": "key BLOB PRIMARY KEY, value BLOB",
}
"""{name: columns} of the tables that every such file has."""


class StreamFile:
    """A base class. `_connection`: to a file with `STREAM_TABLES`; `_content`: what the file holds, for messages."""

    _content: ClassVar[str]
    _connection: sqlite3.Connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction; raises `StoreUnavailable` when the file is locked or full."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"{self._content} must be writable: {error}") from None
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._connection.execute("ROLLBACK")
            self._undone()
            if isinstance(error, sqlite3.OperationalError):
                raise StoreUnavailable(f"{self._content} must be writable: {error}") from None
            raise

    def _undone(self) -> None:
        """Called after a rollback, to drop what was cached during the transaction."""

    def offsets(self, stream: str) -> dict[int, int]:
        rows = self._connection.execute("SELECT partition, next FROM offsets WHERE stream = ?", (stream,))
        return dict(rows.fetchall())

    def put_offsets(self, stream: str, offsets: Offsets) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)",
            [(stream, partition, following) for partition, following in enumerate(offsets)],
        )

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        """(the values of pending events, the offsets of the events read so far); see `Joiner`."""
        find = "SELECT value FROM pending WHERE key = ?"
        rows = [self._connection.execute(find, (key,)).fetchone() for key in keys]
        reached = self.offsets("events")
        offsets = tuple(reached.get(partition, 0) for partition in range(max(reached, default=-1) + 1))
        return [None if row is None else row[0] for row in rows], offsets

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of pending events whose key starts with `prefix`, in order of the keys, at most `limit`."""
        rows = self._connection.execute(
            "SELECT key, value FROM pending WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
            (prefix, prefix + b"\xff" * 8, -1 if limit is None else limit),
        )
        return iter(rows.fetchall())

    def put_pending(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Store or delete pending events."""
        for key, value in changes.items():
            if value is None:
                self._connection.execute("DELETE FROM pending WHERE key = ?", (key,))
            else:
                self._connection.execute("INSERT OR REPLACE INTO pending VALUES (?, ?)", (key, value))
