"""Derived tables in one SQLite file."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flyball.core import StoreUnavailable, Url, parse_url, quoted_path, take_content

_KEYED_BY_BLOB = ("requested", "label_events", "attributions", "counts", "pending")
"""Tables without row ids: their rows lie in order of the key."""


class SqliteTables:
    """`sqlite:///path/outcomes.db`; one writer, any number of readers."""

    def __init__(self, url: Url, content: str, read_only: bool = False) -> None:
        url.check_options(())
        self._content, path = content, Path(url.path)
        self.name = f"{content} {path}"
        if read_only:
            self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute("PRAGMA cache_size=-65536")

    @staticmethod
    def location(url: str, name: str) -> Path:
        """The file of the tables `name`, beside that of the outcomes."""
        path = Path(parse_url(url).path)
        return path if name == "outcomes" else path.with_name(f"{name}.db")

    @staticmethod
    def beside(url: str, folder: Path) -> str:
        """See `beside` of the tables."""
        return f"sqlite://{quoted_path(folder)}/outcomes.db"

    @staticmethod
    def discard(location: Path) -> None:
        """Delete the file with those beside it."""
        for end in ("", "-wal", "-shm"):
            location.with_name(f"{location.name}{end}").unlink(missing_ok=True)

    @staticmethod
    def take_place(location: Path, built: Path) -> None:
        """See `take_place` of the tables."""
        take_content(location, built)

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            if self._connection.in_transaction:  # `transaction` says what is wrong
                raise
            raise StoreUnavailable(f"{self._content} must be readable: {error}") from None

    def executemany(self, statement: str, rows: Iterable[Sequence[object]]) -> object:
        return self._connection.executemany(statement, rows)

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[Any]:
        return self.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"{self._content} must be writable: {error}") from None
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise StoreUnavailable(f"{self._content} must be writable: {error}") from None
            raise

    def format(self) -> int:
        return int(self.execute("PRAGMA user_version").fetchone()[0])

    def create(self, tables: Mapping[str, str], indexes: Mapping[str, str], format: int) -> None:
        for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            self._connection.execute(f"DROP TABLE {name}")
        for name, columns in tables.items():
            tail = " WITHOUT ROWID" if name in _KEYED_BY_BLOB else ""
            self._connection.execute(f"CREATE TABLE {name}({columns}){tail}")
        for name, where in indexes.items():
            self._connection.execute(f"CREATE INDEX {name} ON {where}")
        self._connection.execute(f"PRAGMA user_version={format}")

    def close(self) -> None:
        self._connection.close()
