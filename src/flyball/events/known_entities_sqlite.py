"""Known entities as one SQLite file, shared by processes."""

from collections.abc import Mapping
from pathlib import Path

from flyball.core import SqliteFile, Url
from flyball.events.log import Offsets

_SCRIPT = """
CREATE TABLE IF NOT EXISTS known(
    number INTEGER PRIMARY KEY, entity TEXT NOT NULL, key TEXT NOT NULL, profile INTEGER NOT NULL, UNIQUE(entity, key));
CREATE TABLE IF NOT EXISTS followed(part INTEGER PRIMARY KEY, next INTEGER NOT NULL)
"""


class SqliteKnownEntities:
    """`sqlite:///path/catalog.db`."""

    def __init__(self, url: Url) -> None:
        url.check_options(())
        remedy = "delete it: it is rebuilt from the log"
        self._file = SqliteFile(Path(url.path), _SCRIPT, format=1, remedy=remedy)

    def add(self, known: Mapping[tuple[str, str], bool], offsets: Offsets | None) -> None:
        with self._file.writing() as connection:
            connection.executemany(
                "INSERT INTO known(entity, key, profile) VALUES (?, ?, ?)"
                " ON CONFLICT(entity, key) DO UPDATE SET profile = 1 WHERE profile = 0 AND excluded.profile = 1",
                [(entity, key, int(profiled)) for (entity, key), profiled in known.items()],
            )
            connection.executemany(
                "INSERT INTO followed VALUES (?, ?) ON CONFLICT(part) DO UPDATE SET next = max(next, excluded.next)",
                list(enumerate(offsets or ())),
            )

    def since(self, number: int) -> list[tuple[int, str, str]]:
        with self._file.reading() as connection:
            return connection.execute(
                "SELECT number, entity, key FROM known WHERE number > ? ORDER BY number", (number,)
            ).fetchall()

    def has(self, entity: str, profiled: bool) -> bool:
        needs = "AND profile = 1" if profiled else ""
        with self._file.reading() as connection:
            row = connection.execute(f"SELECT 1 FROM known WHERE entity = ? {needs} LIMIT 1", (entity,)).fetchone()  # noqa: S608
        return row is not None

    def offsets(self, partitions: int) -> Offsets:
        with self._file.reading() as connection:
            rows = dict(connection.execute("SELECT part, next FROM followed").fetchall())
        return tuple(rows.get(partition, 0) for partition in range(partitions))

    def replace(self, known: Mapping[tuple[str, str], bool], offsets: Offsets) -> None:
        """See `ReplaceableEntities`."""
        with self._file.writing() as connection:
            (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM known").fetchone()
            connection.execute("DELETE FROM known")
            connection.execute("DELETE FROM followed")
            connection.executemany(
                "INSERT INTO known VALUES (?, ?, ?, ?)",
                [(number, *name, int(profiled)) for number, (name, profiled) in enumerate(known.items(), last + 1)],
            )
            connection.executemany("INSERT INTO followed VALUES (?, ?)", list(enumerate(offsets)))
        self._file.rewrite()

    def close(self) -> None:
        """Close this process's connections."""
        self._file.close()
