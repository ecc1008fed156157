"""The tables of one store in a schema of PostgreSQL, made when first used, with the number of their format."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flyball.core.errors import Refused
from flyball.core.postgres_server import PostgresServer
from flyball.core.urls import Url

if TYPE_CHECKING:
    import psycopg

_FORMATS = "store_formats"


class PostgresTables:
    """`content`: what the store holds, such as "catalog". `script` creates its tables, in format `format`.

    Nothing is opened before the first use. Raises `Refused`, with `remedy` in the message, for tables of another
    format, and what `PostgresServer` raises.
    """

    def __init__(self, url: Url, content: str, script: str, format: int, remedy: str) -> None:
        self._server = PostgresServer(url, content)
        self._content, self._script, self._format, self._remedy = content, script, format, remedy
        self._ready = False

    @contextmanager
    def reading(self) -> Iterator["psycopg.Connection[Any]"]:
        """A connection on which each statement sees what was committed before it."""
        self._prepare()
        with self._server.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator["psycopg.Connection[Any]"]:
        """A connection inside a transaction, for which other writers of this store wait."""
        self._prepare()
        with self._server.writing() as connection:
            yield connection

    def rewrite(self, *tables: str) -> None:
        """See `PostgresServer.rewrite`."""
        self._prepare()
        self._server.rewrite(*tables)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._server.close()

    def _prepare(self) -> None:
        if self._ready:
            return
        if self._stored_format() is None:
            self._create()
        number = self._stored_format()
        if number != self._format:
            raise Refused(
                f"{self._server.name} must be of format {self._format}, got {number}: another version of flyball made "
                f"it; {self._remedy}"
            )
        self._ready = True

    def _stored_format(self) -> int | None:
        if not self._server.has_table(_FORMATS):
            return None
        with self._server.reading() as connection:
            find = f"SELECT format FROM {_FORMATS} WHERE store = %s"  # noqa: S608
            row = connection.execute(find, (self._content,)).fetchone()
        return None if row is None else int(row[0])

    def _create(self) -> None:
        with self._server.creating() as connection:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_FORMATS}(store TEXT PRIMARY KEY, format INTEGER NOT NULL)"
            )
            note = f"INSERT INTO {_FORMATS} VALUES (%s, %s) ON CONFLICT DO NOTHING"  # noqa: S608
            if connection.execute(note, (self._content, self._format)).rowcount:
                connection.execute(self._script)
