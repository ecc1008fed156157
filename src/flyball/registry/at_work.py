"""Which process is at work on a run, a case or a search, so that what a killed one left is known as interrupted.

A process on this machine is looked up among those that run. Of one on another machine, its last sign of life must not
be older than it promised, by the database's clock. What was copied from another database has no process at work.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from flyball.core import ProcessIdentity, is_alive, this_process

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flyball.registry.database import Database

INTERRUPTED = "the process ended before the run did"
"""The outcome of what a killed process left."""

SIGN_OF_LIFE_US = 30_000_000
"""For how long one sign of life counts, seen from another machine."""


class AtWork(msgspec.Struct, frozen=True):
    """A process at work on `subject`, such as "run r5". `left_us`: until its last sign of life is too old."""

    subject: str
    process: ProcessIdentity
    left_us: int

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        here = is_alive(self.process)
        return self.left_us > 0 if here is None else here


def at_work(database: "Database") -> dict[str, AtWork]:
    """{subject: the process that lives and is at work on it}."""
    rows = database.rows(f"SELECT at_work.*, {database.now_us_sql} AS now_us FROM at_work")  # noqa: S608
    known = [
        AtWork(
            row["subject"],
            msgspec.json.decode(row["process"], type=ProcessIdentity),
            row["expires_us"] - row["now_us"],
        )
        for row in rows
    ]
    return {work.subject: work for work in known if work.alive}


def elsewhere(database: "Database") -> set[str]:
    """The subjects that a process other than this one is at work on."""
    own = this_process()
    return {subject for subject, work in at_work(database).items() if work.process != own}


def give_sign(database: "Database", subject: str, for_us: int = SIGN_OF_LIFE_US) -> None:
    """Note that this process is still at work on `subject`; nothing where another noted its end."""
    from flyball.registry.tables import at_work as table

    with database.writing() as connection:
        expires_us = _now_us(database, connection) + for_us
        connection.execute(table.update().where(table.c.subject == subject).values(expires_us=expires_us))


def note_begun(database: "Database", connection: "Connection", subject: str, for_us: int = SIGN_OF_LIFE_US) -> None:
    """Note in a transaction that this process begins to work on `subject`."""
    from flyball.registry.tables import at_work as table

    process = msgspec.json.encode(this_process(), order="deterministic").decode()
    note_ended(connection, [subject])
    expires_us = _now_us(database, connection) + for_us
    connection.execute(table.insert().values(subject=subject, process=process, expires_us=expires_us))


def note_ended(connection: "Connection", subjects: Sequence[str]) -> None:
    """Note in a transaction that nobody works on `subjects` any more."""
    from flyball.registry.tables import at_work as table

    connection.execute(table.delete().where(table.c.subject.in_(subjects)))


def _now_us(database: "Database", connection: "Connection") -> int:
    return int(connection.exec_driver_sql(f"SELECT {database.now_us_sql}").scalar_one())
