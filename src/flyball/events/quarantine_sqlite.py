"""The quarantine as one SQLite file."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from flyball.core import SqliteFile, Url
from flyball.events.quarantine import EntryState, Quarantined

# Positions increase within a source, so new entries go to one end of the index: an index of random digests alone cost
# 5 us a line, more than to parse and check it. `raw_check` distinguishes different lines at the same position.
_SCRIPT = """
CREATE TABLE IF NOT EXISTS entries(
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, position INTEGER NOT NULL, raw_check BLOB NOT NULL,
    at_us INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, raw BLOB NOT NULL, format TEXT NOT NULL,
    only_type TEXT NOT NULL, header BLOB NOT NULL, lag_us INTEGER NOT NULL, state TEXT NOT NULL,
    UNIQUE(source, position, raw_check));
CREATE INDEX IF NOT EXISTS entries_state ON entries(state, reason);
"""
_COLUMNS = "at_us, reason, detail, raw, source, position, format, only_type, header, lag_us, state, id"


class SqliteQuarantine:
    """`sqlite:///path/quarantine.db`."""

    def __init__(self, url: Url) -> None:
        url.check_options(())
        self._file = SqliteFile(
            Path(url.path), _SCRIPT, format=1, remedy="retry its lines with the version that wrote it"
        )

    def put(self, entries: Sequence[Quarantined]) -> int:
        if not entries:
            return 0
        with self._file.writing() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO entries"
                "(at_us, reason, detail, raw, source, position, format, only_type, header, lag_us, state, raw_check)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*msgspec.structs.astuple(entry)[:11], _raw_check(entry.raw)) for entry in entries],
            )
            return connection.total_changes - before

    def list(
        self, *, reason: str | None = None, state: str | None = "open", after: int = 0, limit: int = 100
    ) -> list[Quarantined]:
        with self._file.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE id > ?"  # noqa: S608
                " AND (? IS NULL OR reason = ?) AND (? IS NULL OR state = ?) ORDER BY id LIMIT ?",
                (after, reason, reason, state, state, limit),
            ).fetchall()
        return [Quarantined(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        with self._file.reading() as connection:
            return dict(
                connection.execute(
                    "SELECT reason, count(*) FROM entries WHERE state = 'open' GROUP BY reason ORDER BY reason"
                ).fetchall()
            )

    def mark(self, ids: Sequence[int], state: EntryState) -> None:
        rows = [(entry_id,) for entry_id in ids]
        with self._file.writing() as connection:
            if state == "dropped":
                connection.executemany("DELETE FROM entries WHERE id = ?", rows)
            else:
                connection.executemany(f"UPDATE entries SET state = '{state}' WHERE id = ?", rows)  # noqa: S608

    def restore(self, after: int, until: int, entries: Sequence[Quarantined]) -> None:
        """See `RestorableQuarantine`."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM entries WHERE id > ? AND id <= ?", (after, until))
            connection.executemany(
                f"INSERT INTO entries({_COLUMNS}, raw_check) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                [(*msgspec.structs.astuple(entry), _raw_check(entry.raw)) for entry in entries],
            )

    def rewrite(self) -> None:
        """See `ErasableQuarantine`."""
        self._file.rewrite()

    def close(self) -> None:
        """Close this process's connections."""
        self._file.close()


def _raw_check(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=8).digest()
