"""The texts of all tables, for those who must change one, and the file without the former ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from flyball.registry.store import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@runtime_checkable
class RewritableDatabase(Protocol):
    """A database that keeps bytes of what was changed until it is written again."""

    def rewrite(self) -> None: ...


def text_columns() -> "Iterator[tuple[str, list[str], list[str]]]":
    """(table, its primary key, its columns of text that are not in the key)."""
    import sqlalchemy as sa

    from flyball.registry.tables import metadata

    for table in metadata.sorted_tables:
        keys = [column.name for column in table.primary_key]
        texts = [
            column.name for column in table.columns if isinstance(column.type, sa.Text) and column.name not in keys
        ]
        if texts:
            yield table.name, keys, texts


def replace_texts(registry: Registry, table: str, key: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Replace texts of one row."""
    from flyball.registry.tables import metadata

    described = metadata.tables[table]
    with registry.database.writing() as connection:
        change = described.update().values(**texts)
        for name, value in key.items():
            change = change.where(described.c[name] == value)
        connection.execute(change)


def rewrite_registry(registry: Registry) -> None:
    """Write the registry's file or tables again, so that no byte of replaced texts is left."""
    database: Any = registry.database
    while not isinstance(database, RewritableDatabase):  # behind a gate or a lease
        database = getattr(database, "_database", None) or database.unleased
    database.rewrite()
