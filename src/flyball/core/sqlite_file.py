"""A SQLite file shared by threads and processes: WAL mode, durable commits, short write transactions, and errors of
Flyball's tree.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flyball.core import Refused, StoreCorrupt, StoreUnavailable

_UNAVAILABLE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SETUP_TRIES = 100


class SqliteFile:
    """Connections to one file, one for each thread, reopened after a fork. `script` creates missing tables.

    `format`: the format number of the script, stored in the file. Raises `Refused`, with `remedy` in the message, for a
    file of another format, `StoreUnavailable` (locked for `busy_s` seconds, disk full, file deleted or replaced while
    it was open) and `StoreCorrupt`. A write to a deleted file would be lost, so it raises. `durable`: whether what was
    committed outlives a failure of power; without, the file is intact after it but may lack the last transactions.
    """

    def __init__(
        self,
        path: Path,
        script: str,
        busy_s: float = 10.0,
        *,
        format: int = 0,
        remedy: str = "begin a new --home",
        durable: bool = True,
    ) -> None:
        self.path, self._script, self._busy_s = path, script, busy_s
        self._format, self._remedy, self._durable = format, remedy, durable
        self._own = threading.local()
        self._guard = threading.Lock()
        self._open: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._pid = os.getpid()
        self._opened: tuple[int, int] | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a read transaction: its reads see one state of the file."""
        with self._own_errors():
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a write transaction: committed at the end of the block, rolled back when it raises."""
        with self._own_errors():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def copy_to(self, path: Path) -> None:
        """Make `path` a copy of the file as it is now; other processes may write to it meanwhile."""
        with self._own_errors(), closing(sqlite3.connect(path)) as target:
            self._connection().backup(target)

    def rewrite(self) -> None:
        """Write the file again, so that no byte of what was deleted is left in it or in its write-ahead log.

        Writers wait meanwhile, some seconds for each gigabyte. Raises `StoreUnavailable` where another process reads
        all the time.
        """
        with self._own_errors():
            rewrite_file(self._connection(), self.path)

    def close(self) -> None:
        """Close every connection that this process opened."""
        with self._guard:
            if self._pid == os.getpid():
                for _, connection in self._open:
                    connection.close()
            self._open = []
            self._own = threading.local()
            self._opened = None

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", None)
            base = None if code is None else code & 0xFF
            if base in _UNAVAILABLE:
                raise StoreUnavailable(f"{self.path} must be free and writable, got: {error}") from error
            if base in _CORRUPT:
                raise StoreCorrupt(str(self.path), "an intact SQLite file", str(error)) from error
            raise

    def _connection(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            self._after_fork()
        self._check_same()
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._connect()
            self._own.connection = connection
            if self._opened is None:
                self._opened = _identity(self.path)
            self._remember(connection)
        return connection

    def _check_same(self) -> None:
        if self._opened is None:
            return
        present = _identity(self.path)
        if present != self._opened:
            got = "no such file" if present is None else "another file in its place"
            raise StoreUnavailable(
                f"{self.path} must be the file that was opened, got {got}: put it back, or stop and start again"
            )

    def _remember(self, connection: sqlite3.Connection) -> None:
        """Remember a connection for `close`, and close those of threads that have ended."""
        with self._guard:
            ended = [unused for thread, unused in self._open if not thread.is_alive()]
            self._open = [(thread, used) for thread, used in self._open if thread.is_alive()]
            self._open.append((threading.current_thread(), connection))
        for unused in ended:
            unused.close()

    def _after_fork(self) -> None:
        """Set aside the parent's connections: SQLite's locks belong to the process, so they must neither be used nor
        closed here."""
        self._guard = threading.Lock()
        _PARENTS.extend(connection for _, connection in self._open)
        self._open, self._own, self._pid = [], threading.local(), os.getpid()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False)
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        """Set modes and create tables. Tries again when locked: on a new file SQLite's switch to WAL does not wait for
        another process."""
        for attempt in range(_SETUP_TRIES):
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
                connection.execute("PRAGMA wal_autocheckpoint=4000")
                connection.execute("BEGIN IMMEDIATE" if self._lacks_tables(connection) else "BEGIN")
                if self._lacks_tables(connection):
                    connection.execute(f"PRAGMA user_version = {self._format}")
                self._check_format(connection)
                for statement in self._script.split(";"):
                    connection.execute(statement)
                connection.execute("COMMIT")
                return
            except sqlite3.OperationalError as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt == _SETUP_TRIES - 1:
                    raise
                threading.Event().wait(min(0.02, self._busy_s / _SETUP_TRIES))

    def _check_format(self, connection: sqlite3.Connection) -> None:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        if number != self._format:
            raise Refused(
                f"{self.path} must be of format {self._format}, got {number}: another version of flyball wrote it; "
                f"{self._remedy}"
            )

    def _lacks_tables(self, connection: sqlite3.Connection) -> bool:
        return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,))


def rewrite_file(connection: sqlite3.Connection, path: Path) -> None:
    """See `SqliteFile.rewrite`."""
    connection.execute("VACUUM")
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreUnavailable(
            f"{path} must be free for a moment to be written again without what was deleted, got another process that "
            "reads it: run the command again"
        )


def take_content(path: Path, built: Path) -> None:
    """Make a SQLite file a copy of another one, for all who have it open and as a whole; no byte of what was in it
    stays. Waits for those who read or write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(built)) as source, closing(sqlite3.connect(path, timeout=60)) as target:
        target.execute("PRAGMA journal_mode=WAL")
        source.backup(target)
        (busy, *_) = target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreUnavailable(
            f"{path} must be free for a moment to be replaced, got a process that reads it: try again"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


_PARENTS: list[sqlite3.Connection] = []
"""Connections inherited through a fork, referenced here so that the garbage collector does not close them."""


def fold_wal(path: Path) -> None:
    """Bring what a database has in its write-ahead log into its file; raises `StoreUnavailable` where it is in use."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreUnavailable(
            f"{path} must not be in use to be stored, got another process that reads it: run it again"
        )
