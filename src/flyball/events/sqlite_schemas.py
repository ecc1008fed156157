"""The declarations that a SQLite log's records were written with: a table in the same file, written with the
records."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from flyball.core import SqliteFile
from flyball.events.log import Record, WrittenSchemas, missing_schemas
from flyball.events.schemas_in_use import SchemasInUse
from flyball.events.written import WrittenType

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(WrittenType).decode


class SqliteSchemas(WrittenSchemas):
    """The table `schemas` of `file`."""

    def __init__(self, file: SqliteFile) -> None:
        self._file, self._use = file, SchemasInUse()

    def stored(self) -> list[WrittenType]:
        with self._file.reading() as connection:
            return _rows(connection, 0)

    def offer(self, types: Sequence[WrittenType]) -> None:
        self._use.learn(self.stored()[self._use.count :])
        self._use.offer(types)

    def use(self, connection: sqlite3.Connection, records: Iterable[Record]) -> None:
        """Store the declarations that `records` are the first to have, inside the transaction of their append; raises
        `Refused`."""
        schemas = {record.schema for record in records}
        if schemas == {0}:
            return
        (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM schemas").fetchone()
        if number != self._use.count:
            self._use.learn(_rows(connection, self._use.count))
        _insert(connection, self._use.to_store(schemas))

    def restore(self, connection: sqlite3.Connection, written: Sequence[WrittenType]) -> None:
        """Store the declarations of a copied log that are missing; raises `Refused` where others are stored."""
        _insert(connection, missing_schemas(str(self._file.path), _rows(connection, 0), written))


def _insert(connection: sqlite3.Connection, rows: Sequence[WrittenType]) -> None:
    connection.executemany(
        "INSERT INTO schemas(fingerprint, written) VALUES (?, ?)",
        [(written.fingerprint, _encode(written)) for written in rows],
    )


def _rows(connection: sqlite3.Connection, after: int) -> list[WrittenType]:
    rows = connection.execute("SELECT written FROM schemas WHERE number > ? ORDER BY number", (after,)).fetchall()
    return [_decode(written) for (written,) in rows]
