"""The database of several machines: tables in one schema of a PostgreSQL server.

Reads use the driver alone, as SQLite's do; writes and migrations use SQLAlchemy. Writers wait for one another, so that
numbers and serials are given as by SQLite.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flyball.core import PostgresServer, Url
from flyball.registry.migrate import check_revision

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


class PostgresDatabase:
    """`postgresql://user@host:port/database?schema=shop`; see `PostgresServer`."""

    now_us_sql = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
    pause_limit_sql = "SET LOCAL idle_in_transaction_session_timeout = {ms}"

    def __init__(self, url: Url) -> None:
        self._server = PostgresServer(url, "registry")
        self._engine: Engine | None = None
        self._lent = threading.local()
        if not self._is_current():
            self._upgrade()

    @staticmethod
    def exists(url: Url) -> bool:
        """Whether the schema has a registry's tables."""
        server = PostgresServer(url, "registry")
        try:
            return server.has_table("alembic_version")
        finally:
            server.close()

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a SELECT with `:name` parameters, each as {column: value}."""
        statement = _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")) if values else sql
        with self._server.reading() as connection:
            cursor = connection.execute(statement, values or None)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def writing(self) -> Iterator["Connection"]:
        """A transaction for which other writers wait; an exception rolls it back."""
        from sqlalchemy.exc import DBAPIError

        engine = self._open()  # before the lock, for which others wait
        try:
            with self._server.writing() as driver_connection:
                self._lent.connection = _Lent(driver_connection)
                with engine.connect() as connection, connection.begin():
                    yield connection
        except DBAPIError as error:
            failure = self._server.failure(error.orig)
            if failure is None:
                raise
            raise failure from error

    def rewrite(self) -> None:
        """See `RewritableDatabase`."""
        from flyball.registry.tables import metadata

        self._server.rewrite(*metadata.tables)

    def close(self) -> None:
        self._server.close()

    def _open(self) -> "Engine":
        """SQLAlchemy over the connection that `writing` lends it, without a pool and transactions of its own."""
        import sqlalchemy as sa

        if self._engine is None:
            self._engine = sa.create_engine(
                "postgresql+psycopg://",
                creator=lambda: self._lent.connection,
                poolclass=sa.pool.NullPool,
                use_native_hstore=False,
            )
        return self._engine

    def _is_current(self) -> bool:
        revisions = []
        if self._server.has_table("alembic_version"):
            revisions = self.rows("SELECT version_num FROM alembic_version")
        return check_revision(revisions[0]["version_num"] if revisions else None)

    def _upgrade(self) -> None:
        from flyball.registry.migrate import upgrade

        with self._server.creating():
            pass  # the schema
        with self.writing() as connection:
            upgrade(connection)


class _Lent:
    """A connection whose transaction `PostgresServer` begins and ends, whatever SQLAlchemy says."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...
