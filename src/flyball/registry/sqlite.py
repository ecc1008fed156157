"""The embedded database: one SQLite file in WAL mode.

Reads use the standard library's `sqlite3`, which imports in 4 ms; SQLAlchemy takes 135 ms (measured), too long for a
serving process that only reads its champion. Writes and migrations use SQLAlchemy.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flyball.core import BadSetting, FlyballError, StoreCorrupt, StoreUnavailable, Url, rewrite_file
from flyball.registry.migrate import check_revision

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class SqliteDatabase:
    """`sqlite:///path/registry.db?busy_ms=5000`. `busy_ms`: how long to wait for a lock before `StoreUnavailable`."""

    pause_limit_sql = ""
    now_us_sql = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) * 1000 AS INTEGER)"

    def __init__(self, url: Url) -> None:
        if not url.path:
            raise BadSetting("registry URL must name a file, such as sqlite:///path/registry.db, got no path")
        url.check_options(("busy_ms",))
        self.path = Path(url.path)
        self._busy_s = url.integer("busy_ms", 5_000) / 1_000
        self._engine: Engine | None = None
        if not self._is_current():
            self._upgrade()

    @staticmethod
    def exists(url: Url) -> bool:
        """Whether the file exists."""
        return Path(url.path).exists()

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a SELECT with `:name` parameters, each as {column: value}."""
        with self._unavailable(), closing(self._connect()) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    @contextmanager
    def writing(self) -> Iterator["Connection"]:
        """A transaction that holds the write lock from its start; an exception rolls it back."""
        from sqlalchemy.exc import DatabaseError

        try:
            with self._open().begin() as connection:
                yield connection
        except DatabaseError as error:
            failure = self._failure(error.orig, "writable")
            if failure is None:
                raise
            raise failure from error

    def rewrite(self) -> None:
        """See `RewritableDatabase`."""
        with self._unavailable(), closing(self._connect()) as connection:
            rewrite_file(connection, self.path)

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a missing file is an error, not a new empty registry
        return sqlite3.connect(f"file:{_quoted(self.path)}?mode=rw", uri=True, timeout=self._busy_s)

    @contextmanager
    def _unavailable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            failure = self._failure(error, "readable")
            if failure is None:
                raise
            raise failure from error

    def _failure(self, error: BaseException | None, must: str) -> FlyballError | None:
        if isinstance(error, sqlite3.OperationalError):
            return StoreUnavailable(f"registry {self.path} must be {must}, got: {error}")
        if type(error) is sqlite3.DatabaseError:  # SQLITE_CORRUPT and SQLITE_NOTADB; programming errors are subclasses
            return StoreCorrupt(f"registry {self.path}", "as SQLite wrote it", str(error))
        return None

    def _open(self) -> "Engine":
        if self._engine is None:
            self._engine = _engine(self.path, self._busy_s)
        return self._engine

    def _is_current(self) -> bool:
        if not self.path.exists():
            return False
        with self._unavailable():
            tables = self.rows("SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
            revisions = self.rows("SELECT version_num FROM alembic_version") if tables else []
        return check_revision(revisions[0]["version_num"] if revisions else None)

    def _upgrade(self) -> None:
        from flyball.registry.migrate import upgrade

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._only_one(), self.writing() as connection:
            if connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
                upgrade(connection)
                return
            for statement in _statements_of_new():
                connection.exec_driver_sql(statement)

    def close(self) -> None:
        """Nothing: a connection is closed after each use."""

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        # a file lock, since switching a new file to WAL ignores SQLite's busy timeout
        descriptor = os.open(self.path.with_name(f"{self.path.name}.upgrade.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@cache
def _statements_of_new() -> tuple[str, ...]:
    """What makes of an empty file what all migrations make of it, in 8 ms and not in 59 (measured)."""
    import sqlalchemy as sa

    from flyball.registry.migrate import upgrade

    with sa.create_engine("sqlite://").connect() as connection:
        upgrade(connection)
        dumped = cast(sqlite3.Connection, connection.connection.driver_connection).iterdump()
        return tuple(line for line in dumped if line not in ("BEGIN TRANSACTION;", "COMMIT;"))


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _engine(path: Path, busy_s: float) -> "Engine":
    import sqlalchemy as sa

    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), poolclass=sa.pool.NullPool, connect_args={"timeout": busy_s}
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we begin ourselves: Python 3.11's sqlite3 would not cover DDL
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
