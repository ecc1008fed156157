"""The rows of alerts, incidents, silences and notifications: documents, whose meaning is that of the room `monitoring`.

Promises: all changes of one `changing_incidents` are one transaction; a change of an incident is refused when another
came in between.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import Refused
from flyball.registry.store import Registry, write_entry
from flyball.registry.types import AuditEntry, IncidentEntry, JsonObject

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ENTRIES = "SELECT * FROM incident_entries"


class IncidentRows:
    """What one transaction changes."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    def documents(self, table: str) -> list[JsonObject]:
        """The documents of all rows of a table, in order of its key."""
        stored, key = self._table(table), _key_of(table)
        rows = self._connection.execute(stored.select()).mappings().all()
        return [msgspec.json.decode(row["document"]) for row in sorted(rows, key=lambda row: row[key])]

    def next_number(self, table: str) -> int:
        """The number of the next row of a table."""
        import sqlalchemy as sa

        return (self._connection.execute(sa.select(sa.func.max(self._table(table).c.number))).scalar() or 0) + 1

    def put(self, table: str, key: int | str, document: object, **columns: object) -> None:
        """Add or replace the row with this key."""
        stored, name = self._table(table), _key_of(table)
        values = {**columns, "document": _text(document)}
        if not self._connection.execute(stored.update().where(stored.c[name] == key).values(**values)).rowcount:
            self._connection.execute(stored.insert().values(**{name: key}, **values))

    def put_incident(self, number: int, revision: int, document: object, state: str, severity: str) -> None:
        """Add the incident as its revision 1, or replace revision `revision` - 1; raises `Refused` where that is
        another."""
        stored = self._table("incidents")
        values = {"revision": revision, "document": _text(document), "state": state, "severity": severity}
        if revision == 1:
            self._connection.execute(stored.insert().values(number=number, **values))
            return
        before = (stored.c.number == number) & (stored.c.revision == revision - 1)
        if not self._connection.execute(stored.update().where(before).values(**values)).rowcount:
            raise Refused(
                f"inc{number} must be at revision {revision - 1}, got another: someone changed it in between; look at "
                "it again"
            )

    def add_entry(self, entry: IncidentEntry) -> None:
        """Add to the timeline of an incident."""
        self._connection.execute(
            self._table("incident_entries")
            .insert()
            .values(
                number=self.next_number("incident_entries"),
                incident_number=entry.incident,
                at_us=entry.at_us,
                by_whom=entry.by,
                command=entry.command,
                state_before=entry.before,
                state_after=entry.after,
                reason=entry.reason,
                evidence=_text(entry.evidence),
            )
        )

    def note(self, entry: AuditEntry) -> None:
        """Add an entry of the audit trail, in the same transaction."""
        write_entry(self._connection, entry)

    def _table(self, name: str) -> Any:
        from flyball.registry.tables import metadata

        return metadata.tables[name]


@contextmanager
def changing_incidents(registry: Registry) -> Iterator[IncidentRows]:
    """The rows in one transaction, which an exception rolls back."""
    with registry.database.writing() as connection:
        yield IncidentRows(connection)


def incident_documents(registry: Registry, table: str, where: str = "", **values: object) -> list[JsonObject]:
    """The documents of a table in order of its key. `where`: SQL with `:name` parameters."""
    key = _key_of(table)
    condition = f" WHERE {where}" if where else ""
    rows = registry.database.rows(f"SELECT {key}, document FROM {table}{condition}", **values)  # noqa: S608
    return [msgspec.json.decode(row["document"]) for row in sorted(rows, key=lambda row: row[key])]


def incident_entries(registry: Registry, number: int | None = None) -> Sequence[IncidentEntry]:
    """The timeline of an incident, or of all, oldest first."""
    rows = (
        registry.database.rows(f"{_ENTRIES} ORDER BY number")
        if number is None
        else registry.database.rows(f"{_ENTRIES} WHERE incident_number = :number ORDER BY number", number=number)
    )
    return [
        IncidentEntry(
            incident=row["incident_number"],
            at_us=row["at_us"],
            by=row["by_whom"],
            command=row["command"],
            before=row["state_before"],
            after=row["state_after"],
            reason=row["reason"],
            evidence=msgspec.json.decode(row["evidence"]),
        )
        for row in rows
    ]


def _key_of(table: str) -> str:
    """The column that rows are sorted by, here and not by the database, whose order of texts depends on its locale."""
    return {"alerts": "fingerprint", "sinks": "name"}.get(table, "number")


def _text(document: object) -> str:
    return msgspec.json.encode(document, order="deterministic").decode()
