"""Tables derived from streams, in one database: the SQL that all backends understand, and the function that opens one.

A store of outcomes writes its statements once, with `?` for values and `ON CONFLICT`. Types are those of SQLite.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from flyball.core import Url, load_backend, parse_url

Location = Path | str
"""Where tables lie: a SQLite file, or a URL."""

ALL = 1 << 62
"""A limit that limits nothing."""


class Result(Protocol):
    """The rows of a statement. `rowcount`: how many it changed."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Sql(Protocol):
    """Runs statements; outside `transaction` each by itself. `stream`: the rows of a long SELECT, which sees one time.

    `transaction` commits at its end and rolls back when it raises: `StoreUnavailable` where tables cannot be written.
    """

    def execute(self, statement: str, values: Sequence[object] = ()) -> Result: ...

    def executemany(self, statement: str, rows: Iterable[Sequence[object]]) -> object: ...

    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[Any]: ...

    def transaction(self) -> AbstractContextManager[None]: ...

    def close(self) -> None: ...


class Tables(Sql, Protocol):
    """`format`: the number that they were created with, 0 without tables. `create` drops all and creates these, within
    a transaction; {name: columns}, {index: where}. `name`: content and location, for messages."""

    name: str

    def format(self) -> int: ...

    def create(self, tables: Mapping[str, str], indexes: Mapping[str, str], format: int) -> None: ...


OUTCOME_BACKENDS = {
    "sqlite": "flyball.outcomes.tables_sqlite:SqliteTables",
    "postgresql": "flyball.outcomes.tables_postgres:PostgresOutcomeTables",
}


def open_tables(location: Location, content: str, read_only: bool = False) -> Tables:
    """The tables at `location`. `content`: what they hold, for messages."""
    url = Url("sqlite", str(location), {}) if isinstance(location, Path) else parse_url(location)
    tables: Tables = load_backend("outcomes", OUTCOME_BACKENDS, url.scheme)(url, content, read_only)
    return tables


def location_of(url: str, name: str) -> Location:
    """Where the tables `name` of an application lie, whose `outcomes` lie at `url`."""
    location: Location = load_backend("outcomes", OUTCOME_BACKENDS, parse_url(url).scheme).location(url, name)
    return location


def take_place(location: Location, built: Location) -> None:
    """Let the tables that were built beside take the place of those at `location`, of which nothing is left.

    Readers see all old or all new tables. Does nothing where none were built.
    """
    if not tables_exist(built):
        return
    url = Url("sqlite", str(location), {}) if isinstance(location, Path) else parse_url(location)
    load_backend("outcomes", OUTCOME_BACKENDS, url.scheme).take_place(location, built)


def outcomes_beside(url: str, folder: Path) -> str:
    """The URL of outcomes that are built beside those at `url`: in `folder`, or in another schema of the database."""
    built: str = load_backend("outcomes", OUTCOME_BACKENDS, parse_url(url).scheme).beside(url, folder)
    return built


def discard_tables(location: Location) -> None:
    """Remove what an interrupted run has built beside other tables."""
    url = Url("sqlite", str(location), {}) if isinstance(location, Path) else parse_url(location)
    load_backend("outcomes", OUTCOME_BACKENDS, url.scheme).discard(location)


def tables_exist(location: Location) -> bool:
    """Whether tables may lie at `location`: a file that is there, or a database."""
    return not isinstance(location, Path) or location.exists()
