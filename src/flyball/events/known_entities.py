"""The protocol of the entity catalog's store, and the function that opens one."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from flyball.core import load_backend, parse_url
from flyball.events.log import Offsets


class KnownEntities(Protocol):
    """Known entities, numbered in the order in which they became known, and the log offsets they were read up to.

    `add` stores {(entity, key): whether a profile made it known} and optionally offsets, which never decrease,
    atomically. `since` returns (number, entity, key) beyond a number. `has`: whether any entity of a kind is known
    (`profiled`: by a profile). `offsets`: of that many partitions, 0 where none were stored.
    """

    def add(self, known: Mapping[tuple[str, str], bool], offsets: Offsets | None) -> None: ...

    def since(self, number: int) -> list[tuple[int, str, str]]: ...

    def has(self, entity: str, profiled: bool) -> bool: ...

    def offsets(self, partitions: int) -> Offsets: ...

    def close(self) -> None: ...


@runtime_checkable
class ReplaceableEntities(Protocol):
    """Known entities of which all can be replaced, so that no byte of the others is left in the store.

    `replace`: by these, as `add` stores them. They get higher numbers than all before, so that who reads on from a
    number gets all of them.
    """

    def replace(self, known: Mapping[tuple[str, str], bool], offsets: Offsets) -> None: ...


CATALOG_BACKENDS = {
    "sqlite": "flyball.events.known_entities_sqlite:SqliteKnownEntities",
    "postgresql": "flyball.events.known_entities_postgres:PostgresKnownEntities",
    "memory": "flyball.events.known_entities_memory:MemoryKnownEntities",
}


def open_known_entities(url: str) -> KnownEntities:
    """Open the store at `url`: `sqlite:///path/catalog.db`, `postgresql://host/database?schema=shop` or
    `memory://`."""
    parsed = parse_url(url)
    entities: KnownEntities = load_backend("catalog", CATALOG_BACKENDS, parsed.scheme)(parsed)
    return entities
