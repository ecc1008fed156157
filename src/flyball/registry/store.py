"""The registry, opened by URL, over a database with rows and transactions."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import NotFound, Refused, load_backend, parse_url
from flyball.registry.at_work import at_work, note_begun, note_ended
from flyball.registry.database import Database
from flyball.registry.types import (
    Arrangement,
    AuditEntry,
    JsonObject,
    ReleaseRow,
    ReleaseStep,
    Run,
    RunStatus,
    Version,
    VersionState,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

BACKENDS = {
    "sqlite": "flyball.registry.sqlite:SqliteDatabase",
    "postgresql": "flyball.registry.postgres:PostgresDatabase",
}

_DOCUMENTS = ("params", "metrics", "gates", "artifact_files", "declaration", "features", "code", "training")


_VERSIONS = "flyball versions list shows all, flyball learn makes one"
_ARRANGEMENTS = "flyball arrangements list shows all, flyball learn makes the first"


class Registry:
    """Open, create or upgrade the registry at `url` (`sqlite:///path/registry.db`) and read it.

    Raises `Refused` for a database of a newer Flyball, and the errors of `Database`. Functions change it: `begin_run`,
    `add_versions`, `end_run`, `replace_release`.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self.database: Database = load_backend("registry", BACKENDS, parsed.scheme)(parsed)

    def version(self, version_id: str) -> Version:
        """The version `version_id`; raises `NotFound`, which lists the newest ones."""
        number = version_id[1:]
        rows: list[dict[str, Any]] = []
        if version_id[:1] == "v" and number.isascii() and number.isdecimal() and len(number) < 10:
            rows = self.database.rows("SELECT * FROM versions WHERE number = :number", number=int(number))
        if not rows or f"v{rows[0]['number']}" != version_id:
            newest = self.database.rows("SELECT number FROM versions ORDER BY number DESC LIMIT 12")
            raise NotFound("version", version_id, [f"v{row['number']}" for row in newest], _VERSIONS)
        return _version(rows[0])

    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        return [_version(row) for row in self.database.rows("SELECT * FROM versions ORDER BY number")]

    def runs(self) -> list[Run]:
        """All runs, oldest first; "interrupted" are also those whose process was killed, which have no end yet."""
        runs = [_run(row) for row in self.database.rows("SELECT * FROM runs ORDER BY number")]
        if all(run.status != "running" for run in runs):
            return runs
        alive = at_work(self.database)
        return [
            msgspec.structs.replace(run, status="interrupted")
            if run.status == "running" and f"run {run.id}" not in alive
            else run
            for run in runs
        ]

    def audit(self) -> list[AuditEntry]:
        """All entries of the audit trail, oldest first."""
        return [_entry(row) for row in self.database.rows("SELECT * FROM audit ORDER BY number")]

    def arrangement(self, revision: str) -> Arrangement:
        """The arrangement `revision`; raises `NotFound`, which lists all."""
        for arrangement in self.arrangements():
            if arrangement.id == revision:
                return arrangement
        raise NotFound("arrangement", revision, [arrangement.id for arrangement in self.arrangements()], _ARRANGEMENTS)

    def arrangements(self) -> list[Arrangement]:
        """All arrangements, oldest first."""
        return [_arrangement(row) for row in self.database.rows("SELECT * FROM arrangements ORDER BY number")]

    def release_objects(self) -> list[JsonObject]:
        """The present documents of all releases, oldest first."""
        rows = self.database.rows("SELECT document FROM release_objects ORDER BY number")
        return [msgspec.json.decode(row["document"]) for row in rows]

    def release_steps(self, number: int) -> list[ReleaseStep]:
        """All changes of release `number`, oldest first, without the documents."""
        query = (
            "SELECT t.*, o.kind FROM release_transitions t JOIN release_objects o ON o.number = t.release_number "
            "WHERE t.release_number = :number ORDER BY t.number"
        )
        return [_step(row) for row in self.database.rows(query, number=number)]

    def released(self) -> ReleaseRow | None:
        """The present release state; None before the first release."""
        rows = self.database.rows("SELECT serial, changed_us, document FROM releases ORDER BY serial DESC LIMIT 1")
        return None if not rows else _released(rows[0])


def registry_exists(url: str) -> bool:
    """Whether there is a registry at `url`; creates none."""
    parsed = parse_url(url)
    return bool(load_backend("registry", BACKENDS, parsed.scheme).exists(parsed))


def begin_run(registry: Registry, app: str, as_of_us: int, now_us: int) -> Run:
    """Register the start of a run; its id is never reused, even if the run fails."""
    from flyball.registry.tables import runs as table

    with registry.database.writing() as connection:
        number = _next(connection, table.c.number)
        connection.execute(
            table.insert().values(
                number=number,
                app=app,
                as_of_us=as_of_us,
                snapshot="",
                started_us=now_us,
                ended_us=None,
                status="running",
                report="{}",
            )
        )
        note_begun(registry.database, connection, f"run r{number}")
    return Run(id=f"r{number}", app=app, as_of_us=as_of_us, started_us=now_us, status="running")


def add_versions(registry: Registry, versions: Sequence[Version]) -> list[Version]:
    """Register `versions` in one transaction; returns them with their ids."""
    from flyball.registry.tables import versions as table

    added: list[Version] = []
    with registry.database.writing() as connection:
        for version in versions:
            number = _next(connection, table.c.number)
            connection.execute(table.insert().values(number=number, **_columns(version)))
            added.append(msgspec.structs.replace(version, id=f"v{number}"))
    return added


def add_arrangement(registry: Registry, app: str, value: JsonObject, by: str, reason: str, now_us: int) -> Arrangement:
    """The arrangement with `value`: the newest one when its value is the same, else a new revision."""
    from flyball.registry.tables import arrangements as table

    digest = sha256(_text(value).encode()).hexdigest()
    with registry.database.writing() as connection:
        number = _next(connection, table.c.number) - 1
        if number:
            newest = connection.execute(table.select().where(table.c.number == number)).mappings().one()
            if newest["digest"] == digest:
                return _arrangement(dict(newest))
        row: dict[str, Any] = {
            "number": number + 1,
            "app": app,
            "value": _text(value),
            "digest": digest,
            "created_us": now_us,
            "created_by": by,
            "reason": reason,
        }
        connection.execute(table.insert().values(**row))
    return _arrangement(row)


def end_run(
    registry: Registry, run: Run, status: RunStatus, now_us: int, *, report: JsonObject, snapshot: str = ""
) -> None:
    """Register the end of a run, with its status and report."""
    from flyball.registry.tables import runs as table

    with registry.database.writing() as connection:
        connection.execute(
            table.update()
            .where(table.c.number == _number(run.id))
            .values(status=status, ended_us=now_us, report=_text(report), snapshot=snapshot)
        )
        note_ended(connection, [f"run {run.id}"])


def replace_release(
    registry: Registry,
    expected_serial: int,
    document: JsonObject,
    states: Mapping[str, VersionState],
    entry: AuditEntry,
    steps: Sequence[ReleaseStep] = (),
) -> ReleaseRow:
    """Replace the release state by `document`, set the `states` of versions, add `entry` and `steps`, atomically.

    Raises `Refused` when the present serial is not `expected_serial` (0 before the first release).
    """
    import sqlalchemy as sa

    from flyball.registry.tables import releases, versions

    with registry.database.writing() as connection:
        serial = connection.execute(sa.select(sa.func.max(releases.c.serial))).scalar() or 0
        if serial != expected_serial:
            raise Refused(
                f"release must start from serial {expected_serial}, got {serial}: "
                "another release came in between, look at it and try again"
            )
        row = ReleaseRow(serial + 1, entry.at_us, document)
        connection.execute(
            releases.insert().values(
                serial=row.serial,
                changed_us=row.changed_us,
                champion=document.get("champion"),
                previous=document.get("previous"),
                document=_text(document),
            )
        )
        for version_id, state in states.items():
            connection.execute(versions.update().where(versions.c.number == _number(version_id)).values(state=state))
        write_entry(connection, entry)
        for step in steps:
            _note_step(connection, step, entry, row.serial)
    return row


def _note_step(connection: "Connection", step: ReleaseStep, entry: AuditEntry, serial: int) -> None:
    from flyball.registry.tables import release_objects, release_transitions

    known = release_objects.c.number == step.release
    values = {"kind": step.kind, "state": step.after, "document": _text(step.document)}
    if not connection.execute(release_objects.update().where(known).values(**values)).rowcount:
        connection.execute(release_objects.insert().values(number=step.release, **values))
    connection.execute(
        release_transitions.insert().values(
            number=_next(connection, release_transitions.c.number),
            release_number=step.release,
            at_us=entry.at_us,
            by_whom=entry.by,
            command=step.command,
            state_before=step.before,
            state_after=step.after,
            step=step.step,
            reason=step.reason,
            evidence=_text(step.evidence),
            serial=serial,
        )
    )


def add_entry(registry: Registry, entry: AuditEntry) -> None:
    """Add an audit entry for an action that changes neither versions nor the release."""
    with registry.database.writing() as connection:
        write_entry(connection, entry)


def write_entry(connection: "Connection", entry: AuditEntry) -> None:
    """Add an audit entry in the transaction of what it is about."""
    from flyball.registry.tables import audit

    connection.execute(
        audit.insert().values(
            number=_next(connection, audit.c.number),
            at_us=entry.at_us,
            by_whom=entry.by,
            action=entry.action,
            subject=entry.subject,
            reason=entry.reason,
            before_json=_text(entry.before),
            after_json=_text(entry.after),
        )
    )


def _next(connection: "Connection", column: Any) -> int:
    # the transaction holds the write lock, so numbers are unique; on PostgreSQL the primary key would refuse a second
    import sqlalchemy as sa

    return (connection.execute(sa.select(sa.func.max(column))).scalar() or 0) + 1


def _number(name: str) -> int:
    return int(name[1:])


def _text(document: object) -> str:
    return msgspec.json.encode(document, order="deterministic").decode()


def _columns(version: Version) -> dict[str, Any]:
    columns = msgspec.structs.asdict(version)
    del columns["id"]
    columns["run_number"] = _number(columns.pop("run"))
    return columns | {name: _text(columns[name]) for name in _DOCUMENTS}


def _version(row: Mapping[str, Any]) -> Version:
    columns = dict(row)
    columns |= {name: msgspec.json.decode(columns[name]) for name in _DOCUMENTS}
    columns["code_dirty"] = bool(columns["code_dirty"])
    return Version(id=f"v{columns.pop('number')}", run=f"r{columns.pop('run_number')}", **columns)


def _arrangement(row: Mapping[str, Any]) -> Arrangement:
    return Arrangement(
        id=f"a{row['number']}",
        app=row["app"],
        value=msgspec.json.decode(row["value"]),
        digest=row["digest"],
        created_us=row["created_us"],
        by=row["created_by"],
        reason=row["reason"],
    )


def _run(row: Mapping[str, Any]) -> Run:
    columns = dict(row)
    columns["report"] = msgspec.json.decode(columns["report"])
    return Run(id=f"r{columns.pop('number')}", **columns)


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        at_us=row["at_us"],
        by=row["by_whom"],
        action=row["action"],
        subject=row["subject"],
        reason=row["reason"],
        before=msgspec.json.decode(row["before_json"]),
        after=msgspec.json.decode(row["after_json"]),
    )


def _step(row: Mapping[str, Any]) -> ReleaseStep:
    return ReleaseStep(
        release=row["release_number"],
        kind=row["kind"],
        command=row["command"],
        before=row["state_before"],
        after=row["state_after"],
        step=row["step"],
        reason=row["reason"],
        evidence=msgspec.json.decode(row["evidence"]),
        at_us=row["at_us"],
        by=row["by_whom"],
        serial=row["serial"],
    )


def _released(row: Mapping[str, Any]) -> ReleaseRow:
    return ReleaseRow(row["serial"], row["changed_us"], msgspec.json.decode(row["document"]))
