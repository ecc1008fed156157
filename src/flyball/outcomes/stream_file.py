"""Tables derived from streams: offsets, pending events and transactions.

The derived tables and the offsets of the streams change in one transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from flyball.core import LeaseLost
from flyball.events import Offsets
from flyball.outcomes.tables import ALL, Tables

STREAM_TABLES = {
    "offsets": "stream TEXT, partition INTEGER, next INTEGER, PRIMARY KEY(stream, partition)",
    "pending": "key BLOB PRIMARY KEY, value BLOB",
}
"""{name: columns} of the tables that every such file has."""


_PUT_PENDING = "INSERT INTO pending VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value"


_TOKEN = "lease token"  # the name of a key # noqa: S105 # nosec B105
"""Under the name of this stream lies the highest token with which the tables were written to."""


class StreamFile:
    """A base class. `_tables`: where `STREAM_TABLES` are among others. `token`: of the lease of the writer, 0 without
    one."""

    _tables: Tables
    token = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction; raises `StoreUnavailable` when the tables are locked, full or gone."""
        try:
            with self._tables.transaction():
                yield
        except BaseException:
            self._undone()
            raise

    def check_token(self) -> None:
        """Within a transaction: raise `LeaseLost` where a writer with a higher token wrote."""
        latest = self.offsets(_TOKEN).get(0, 0)
        if latest > self.token:
            raise LeaseLost(f"of {self._tables.name}", self.token, str(latest))

    def put_token(self) -> None:
        """Within a transaction: refuse writers with lower tokens from now on."""
        if self.token and self.offsets(_TOKEN).get(0, 0) != self.token:
            self.put_offsets(_TOKEN, (self.token,))

    def _undone(self) -> None:
        """Called after a rollback, to drop what was cached during the transaction."""

    def offsets(self, stream: str) -> dict[int, int]:
        rows = self._tables.execute("SELECT partition, next FROM offsets WHERE stream = ?", (stream,))
        return dict(rows.fetchall())

    def put_offsets(self, stream: str, offsets: Offsets) -> None:
        self._tables.executemany(
            "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT(stream, partition) DO UPDATE SET next = excluded.next",
            [(stream, partition, following) for partition, following in enumerate(offsets)],
        )

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        """(the values of pending events, the offsets of the events read so far); see `Joiner`."""
        find = "SELECT value FROM pending WHERE key = ?"
        rows = [self._tables.execute(find, (key,)).fetchone() for key in keys]
        reached = self.offsets("events")
        offsets = tuple(reached.get(partition, 0) for partition in range(max(reached, default=-1) + 1))
        return [None if row is None else row[0] for row in rows], offsets

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of pending events whose key starts with `prefix`, in order of the keys, at most `limit`."""
        rows = self._tables.execute(
            "SELECT key, value FROM pending WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
            (prefix, prefix + b"\xff" * 8, ALL if limit is None else limit),
        )
        return iter(rows.fetchall())

    def put_pending(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Store or delete pending events."""
        for key, value in changes.items():
            if value is None:
                self._tables.execute("DELETE FROM pending WHERE key = ?", (key,))
            else:
                self._tables.execute(_PUT_PENDING, (key, value))
