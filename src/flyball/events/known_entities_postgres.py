"""Known entities in a schema on a PostgreSQL server, shared by machines.

Keys are bytes: PostgreSQL's texts cannot hold every character that a key may have.
"""

from collections.abc import Mapping
from itertools import islice

from flyball.core import PostgresTables, Url
from flyball.events.log import Offsets

_SCRIPT = """
CREATE TABLE known_entities(
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entity TEXT NOT NULL, key BYTEA NOT NULL,
    profile BOOLEAN NOT NULL, UNIQUE(entity, key));
CREATE TABLE known_entity_offsets(part INTEGER PRIMARY KEY, next BIGINT NOT NULL)
"""
_ADD = """
INSERT INTO known_entities(entity, key, profile)
    SELECT entity, key, profile FROM unnest(%s::text[], %s::bytea[], %s::boolean[])
        WITH ORDINALITY AS added(entity, key, profile, place) ORDER BY place
    ON CONFLICT(entity, key) DO UPDATE SET profile = TRUE WHERE NOT known_entities.profile AND excluded.profile
"""
_ADVANCE = """
INSERT INTO known_entity_offsets SELECT * FROM unnest(%s::integer[], %s::bigint[])
    ON CONFLICT(part) DO UPDATE SET next = greatest(known_entity_offsets.next, excluded.next)
"""
_SINCE = "SELECT number, entity, key FROM known_entities WHERE number > %s ORDER BY number LIMIT %s"
_AT_ONCE, _PAGE = 5_000, 50_000


class PostgresKnownEntities:
    """`postgresql://user@host:port/database?schema=shop`; see `PostgresServer`."""

    def __init__(self, url: Url) -> None:
        remedy = "drop its tables: they are rebuilt from the log"
        self._tables = PostgresTables(url, "catalog", _SCRIPT, 1, remedy)

    def add(self, known: Mapping[tuple[str, str], bool], offsets: Offsets | None) -> None:
        self._add(known, offsets, empty=False)

    def replace(self, known: Mapping[tuple[str, str], bool], offsets: Offsets) -> None:
        """See `ReplaceableEntities`. A truncated table gets a new file, so nothing of the old one is left in it."""
        self._add(known, offsets, empty=True)

    def _add(self, known: Mapping[tuple[str, str], bool], offsets: Offsets | None, empty: bool) -> None:
        rows = iter(known.items())
        with self._tables.writing() as connection:
            if empty:
                connection.execute("TRUNCATE known_entities, known_entity_offsets CONTINUE IDENTITY")
            while some := list(islice(rows, _AT_ONCE)):
                columns = zip(*((entity, key.encode(), profile) for (entity, key), profile in some), strict=True)
                connection.execute(_ADD, [list(column) for column in columns])
            if offsets:
                connection.execute(_ADVANCE, (list(range(len(offsets))), list(offsets)))

    def since(self, number: int) -> list[tuple[int, str, str]]:
        entities: list[tuple[int, str, str]] = []
        with self._tables.reading() as connection:
            while page := connection.execute(_SINCE, (number, _PAGE)).fetchall():
                entities += [(row, entity, key.decode()) for row, entity, key in page]
                number = page[-1][0]
                if len(page) < _PAGE:
                    break
        return entities

    def has(self, entity: str, profiled: bool) -> bool:
        find = "SELECT 1 FROM known_entities WHERE entity = %s AND (profile OR NOT %s) LIMIT 1"
        with self._tables.reading() as connection:
            return connection.execute(find, (entity, profiled)).fetchone() is not None

    def offsets(self, partitions: int) -> Offsets:
        with self._tables.reading() as connection:
            rows = dict(connection.execute("SELECT part, next FROM known_entity_offsets").fetchall())
        return tuple(rows.get(partition, 0) for partition in range(partitions))

    def close(self) -> None:
        """Close this process's connections."""
        self._tables.close()
