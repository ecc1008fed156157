"""Where bad lines wait: with their raw bytes, their reason and where they came from."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from flyball.core import NotFound, SqliteFile

_SCRIPT = """
CREATE TABLE IF NOT EXISTS entries(
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, at_us INTEGER NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, raw BLOB NOT NULL, source TEXT NOT NULL, position INTEGER NOT NULL, format TEXT NOT NULL,
    only_type TEXT NOT NULL, header BLOB NOT NULL,
    lag_us INTEGER NOT NULL, state TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entries_state ON entries(state, reason)
"""
_COLUMNS = "at_us, reason, detail, raw, source, position, format, only_type, header, lag_us, state, id"


class Quarantined(msgspec.Struct, frozen=True):
    """One bad line. `position`: its line in `source`, from 1. `header`, `only_type`: what is needed to read it again.

    `lag_us`: from its time to when it became known, for history; -1 for what came in live. `state`: "open", or
    "released" once a retry has brought it into the log. `id` 0: not stored yet.
    """

    at_us: int
    reason: str
    detail: str
    raw: bytes
    source: str
    position: int
    format: str
    only_type: str = ""
    header: bytes = b""
    lag_us: int = -1
    state: str = "open"
    id: int = 0


class Quarantine:
    """Bad lines, kept once each: the same bytes at the same place of the same source are one entry."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(Path(path), _SCRIPT)

    def put(self, entries: Sequence[Quarantined]) -> int:
        """Store the new ones durably; returns how many those were."""
        if not entries:
            return 0
        with self._file.writing() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO entries"
                "(at_us, reason, detail, raw, source, position, format, only_type, header, lag_us, state, digest)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*msgspec.structs.astuple(entry)[:11], _digest(entry)) for entry in entries],
            )
            return connection.total_changes - before

    def list(
        self, *, reason: str | None = None, state: str | None = "open", after: int = 0, limit: int = 100
    ) -> list[Quarantined]:
        """Entries by rising id, from beyond id `after`."""
        with self._file.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE id > ?"
                " AND (? IS NULL OR reason = ?) AND (? IS NULL OR state = ?) ORDER BY id LIMIT ?",
                (after, reason, reason, state, state, limit),
            ).fetchall()
        return [Quarantined(*row) for row in rows]

    def show(self, entry_id: int) -> Quarantined:
        """One entry; raises `NotFound`."""
        with self._file.reading() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM entries WHERE id = ?", (entry_id,)).fetchone()
        if row is None:
            raise NotFound("quarantine entry", str(entry_id))
        return Quarantined(*row)

    def counts(self) -> dict[str, int]:
        """{reason: open entries}."""
        with self._file.reading() as connection:
            return dict(
                connection.execute(
                    "SELECT reason, count(*) FROM entries WHERE state = 'open' GROUP BY reason ORDER BY reason"
                ).fetchall()
            )

    def release(self, ids: Iterable[int]) -> None:
        """Mark entries as brought into the log."""
        with self._file.writing() as connection:
            connection.executemany("UPDATE entries SET state = 'released' WHERE id = ?", [(one,) for one in ids])

    def close(self) -> None:
        """Close this process's connections."""
        self._file.close()


def _digest(entry: Quarantined) -> bytes:
    place = msgspec.msgpack.encode((entry.source, entry.position))
    return hashlib.blake2b(place + entry.raw, digest_size=16).digest()
