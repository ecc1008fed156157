"""The quarantine in a schema on a PostgreSQL server, shared by machines.

Lines, their sources and what is wrong with them are bytes: PostgreSQL's texts cannot hold every character that a bad
line may have (`convert_from(detail, 'UTF8')` shows them as texts).
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any

from flyball.core import PostgresTables, Url
from flyball.events.quarantine import EntryState, Quarantined

_SCRIPT = """
CREATE TABLE quarantine_entries(
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source BYTEA NOT NULL, position BIGINT NOT NULL,
    raw_check BYTEA NOT NULL, at_us BIGINT NOT NULL, reason TEXT NOT NULL, detail BYTEA NOT NULL, raw BYTEA NOT NULL,
    format TEXT NOT NULL, only_type TEXT NOT NULL, header BYTEA NOT NULL, lag_us BIGINT NOT NULL, state TEXT NOT NULL,
    UNIQUE(source, position, raw_check));
CREATE INDEX quarantine_entries_state ON quarantine_entries(state, reason)
"""
_COLUMNS = "at_us, reason, detail, raw, source, position, format, only_type, header, lag_us, state"
_KINDS = ("bigint", "text", "bytea", "bytea", "bytea", "bigint", "text", "text", "bytea", "bigint", "text")
_PUT = f"""
INSERT INTO quarantine_entries({_COLUMNS}, raw_check) SELECT {_COLUMNS}, raw_check
    FROM unnest({", ".join(f"%s::{kind}[]" for kind in (*_KINDS, "bytea"))})
        WITH ORDINALITY AS added({_COLUMNS}, raw_check, place) ORDER BY place
    ON CONFLICT DO NOTHING
"""  # noqa: S608
_RESTORE = f"COPY quarantine_entries(id, {_COLUMNS}, raw_check) FROM STDIN"
_CONTINUE_IDS = """
SELECT setval(pg_get_serial_sequence('quarantine_entries', 'id'), (SELECT max(id) FROM quarantine_entries))
"""
_AT_ONCE = 1_000


class PostgresQuarantine:
    """`postgresql://user@host:port/database?schema=shop`; see `PostgresServer`."""

    def __init__(self, url: Url) -> None:
        remedy = "retry its lines with the version that wrote them"
        self._tables = PostgresTables(url, "quarantine", _SCRIPT, 1, remedy)

    def put(self, entries: Sequence[Quarantined]) -> int:
        if not entries:
            return 0
        count, rows = 0, map(_row, entries)
        with self._tables.writing() as connection:
            while some := list(islice(rows, _AT_ONCE)):
                count += connection.execute(_PUT, [list(column) for column in zip(*some, strict=True)]).rowcount
        return count

    def list(
        self, *, reason: str | None = None, state: str | None = "open", after: int = 0, limit: int = 100
    ) -> list[Quarantined]:
        filters = {"reason": reason, "state": state}
        named = (f"AND {name} = %({name})s" for name, value in filters.items() if value is not None)
        where = f"id > %(after)s {' '.join(named)} ORDER BY id LIMIT %(limit)s"
        query = f"SELECT {_COLUMNS}, id FROM quarantine_entries WHERE {where}"  # noqa: S608
        with self._tables.reading() as connection:
            rows = connection.execute(query, {**filters, "after": after, "limit": limit}).fetchall()
        return [_entry(row) for row in rows]

    def counts(self) -> dict[str, int]:
        count = "SELECT reason, count(*) FROM quarantine_entries WHERE state = 'open' GROUP BY reason"
        with self._tables.reading() as connection:
            return dict(sorted(connection.execute(count).fetchall()))

    def mark(self, ids: Sequence[int], state: EntryState) -> None:
        change = (
            "DELETE FROM quarantine_entries"
            if state == "dropped"
            else "UPDATE quarantine_entries SET state = %(state)s"
        )
        with self._tables.writing() as connection:
            connection.execute(f"{change} WHERE id = ANY(%(ids)s::bigint[])", {"ids": [*ids], "state": state})

    def restore(self, after: int, until: int, entries: Sequence[Quarantined]) -> None:
        """See `RestorableQuarantine`."""
        with self._tables.writing() as connection:
            connection.execute("DELETE FROM quarantine_entries WHERE id > %s AND id <= %s", (after, until))
            if not entries:
                return
            with connection.cursor().copy(_RESTORE) as copy:
                for entry in entries:
                    copy.write_row((entry.id, *_row(entry)))
            connection.execute(_CONTINUE_IDS)

    def rewrite(self) -> None:
        """See `ErasableQuarantine`."""
        self._tables.rewrite("quarantine_entries")

    def close(self) -> None:
        """Close this process's connections."""
        self._tables.close()


def _row(entry: Quarantined) -> tuple[Any, ...]:
    check = blake2b(entry.raw, digest_size=8).digest()
    detail, source = entry.detail.encode(), entry.source.encode()
    texts = (entry.format, entry.only_type, entry.header, entry.lag_us, entry.state)
    return (entry.at_us, entry.reason, detail, entry.raw, source, entry.position, *texts, check)


def _entry(row: tuple[Any, ...]) -> Quarantined:
    at_us, reason, detail, raw, source, *others = row
    return Quarantined(at_us, reason, detail.decode(), raw, source.decode(), *others)
