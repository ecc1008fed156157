"""Copies a registry from one database to another, such as from SQLite to PostgreSQL."""

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import Refused
from flyball.registry.store import Registry

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

_AT_ONCE = 1_000
OF_PROCESSES = ("leases", "shared_buckets", "at_work")
"""Tables of what processes do now, which no copy needs."""

TableRows = dict[str, list[dict[str, Any]]]
"""{table: its rows, in the order of their keys}."""


def copy_registry(source_url: str, target_url: str) -> int:
    """Copy all rows but leases of the registry at `source_url` into an empty one at `target_url`; returns their number.

    One transaction of the target: all rows or none. Nothing else may write to the source meanwhile. Raises `Refused`
    for a target that is not empty.
    """
    source, target = Registry(source_url), Registry(target_url)
    for table, rows in registry_rows(target).items():
        if rows:
            raise Refused(
                f"the registry to copy to must be empty, got rows in its table {table}: name another schema or file"
            )
    return mirror_registry(source, target)


def mirror_registry(source: Registry, target: Registry) -> int:
    """Make the rows of `target` those of `source`, in one transaction where they differ; returns their number.

    Where something writes to the source meanwhile, the target may lack some of what was written last.
    """
    rows = registry_rows(source)
    if rows != registry_rows(target):
        with target.database.writing() as connection:
            for table in reversed(_tables()):
                connection.execute(table.delete())
            for table in _tables():
                _insert(connection, table, rows[str(table.name)])
    return sum(map(len, rows.values()))


def registry_rows(registry: Registry) -> TableRows:
    """All rows. Tables that refer to others are read before these, so that what they refer to is among the rows."""
    return {str(table.name): _rows_of(registry, table) for table in reversed(_tables())}


def registry_digest(rows: TableRows) -> str:
    """A digest of rows, whatever database they were read from."""
    return blake2b(msgspec.msgpack.encode(sorted(rows.items())), digest_size=12).hexdigest()


def _tables() -> "list[Table]":
    from flyball.registry.tables import metadata

    return [table for table in metadata.sorted_tables if table.name not in OF_PROCESSES]


def _rows_of(registry: Registry, table: "Table") -> list[dict[str, Any]]:
    import sqlalchemy as sa

    flags = [str(column.name) for column in table.columns if isinstance(column.type, sa.Boolean)]
    keys = [column.name for column in table.primary_key.columns]
    rows = registry.database.rows(f"SELECT {', '.join(table.columns.keys())} FROM {table}")  # noqa: S608
    rows = [row | {name: bool(row[name]) for name in flags if row[name] is not None} for row in rows]
    return sorted(rows, key=lambda row: [str(row[key]).zfill(20) for key in keys])


def _insert(connection: "Connection", table: "Table", rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(table.insert(), rows[start : start + _AT_ONCE])
