"""Leases: which of the processes on several machines may do what only one may do at a time.

A lease has a holder, a token that only grows, and an end by the database's clock. What a holder writes to this database
is checked against the token in the same transaction, so that a holder which was paused for longer than its lease and
wakes up writes nothing. Source: Gray and Cheriton, "Leases", SOSP 1989; tokens as in Burrows, "The Chubby lock
service", OSDI 2006 (sequencers).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import LeaseLost
from flyball.registry.database import Database
from flyball.registry.store import Registry

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PAUSED_US = 10_000_000


class Lease(msgspec.Struct, frozen=True):
    """A lease as its holder knows it; times by the database's clock."""

    name: str
    holder: str
    token: int
    taken_us: int
    expires_us: int


class LeaseStanding(msgspec.Struct, frozen=True):
    """A lease as everybody sees it. `left_us`: until it expires, 0 for one that is free; `held_us`: since it was
    taken."""

    name: str
    holder: str
    token: int
    held_us: int
    left_us: int


def take_lease(registry: Registry, name: str, holder: str, for_us: int) -> Lease | None:
    """Take the lease `name` for `for_us`; None while another holds it.

    Its token is greater than all before, also than those of a registry that this one replaced: it is the time in
    microseconds, or the former token and 1.
    """
    import sqlalchemy as sa

    from flyball.registry.tables import leases

    with changing_leases(registry, for_us) as connection:
        now_us = _now_us(registry, connection)
        row = connection.execute(sa.select(leases).where(leases.c.name == name)).mappings().one_or_none()
        if row is not None and row["expires_us"] > now_us:
            return None
        lease = Lease(name, holder, max(now_us, row["token"] + 1 if row else 1), now_us, now_us + for_us)
        if row is None:
            connection.execute(leases.insert().values(**msgspec.structs.asdict(lease)))
        else:
            connection.execute(leases.update().where(leases.c.name == name).values(**msgspec.structs.asdict(lease)))
    return lease


def keep_lease(registry: Registry, lease: Lease, for_us: int) -> Lease:
    """The lease for another `for_us` from now on; raises `LeaseLost` for one that expired or that another took."""
    from flyball.registry.tables import leases

    with changing_leases(registry, for_us) as connection:
        now_us = _checked(registry.database, connection, lease)
        connection.execute(leases.update().where(leases.c.name == lease.name).values(expires_us=now_us + for_us))
    return msgspec.structs.replace(lease, expires_us=now_us + for_us)


def give_back(registry: Registry, lease: Lease) -> None:
    """Let others take the lease at once; does nothing where it is lost."""
    from flyball.registry.tables import leases

    with changing_leases(registry) as connection:
        own = (leases.c.name == lease.name) & (leases.c.token == lease.token)
        connection.execute(leases.update().where(own).values(expires_us=0))


@contextmanager
def changing_leases(registry: Registry, for_us: int = _PAUSED_US) -> Iterator["Connection"]:
    """A transaction of leases. A process that is paused in it keeps others from theirs for as long as a lease lasts."""
    with registry.database.writing() as connection:
        if registry.database.pause_limit_sql:
            limit_ms = min(for_us, _PAUSED_US) // 1_000
            connection.exec_driver_sql(registry.database.pause_limit_sql.format(ms=max(limit_ms, 1_000)))
        yield connection


def lease_standings(registry: Registry) -> list[LeaseStanding]:
    """All leases that were ever taken, by name."""
    rows = registry.database.rows(
        f"SELECT leases.*, {registry.database.now_us_sql} AS now_us FROM leases ORDER BY name"  # noqa: S608
    )
    return [
        LeaseStanding(
            row["name"],
            row["holder"],
            row["token"],
            max(0, row["now_us"] - row["taken_us"]),
            max(0, row["expires_us"] - row["now_us"]),
        )
        for row in rows
    ]


class LeasedDatabase:
    """A database whose every transaction holds only while the lease does: it raises `LeaseLost` otherwise."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self.unleased: Database = database.unleased if isinstance(database, LeasedDatabase) else database
        self.now_us_sql, self.pause_limit_sql = database.now_us_sql, database.pause_limit_sql
        self._lease = lease

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]:
        return self.unleased.rows(sql, **values)

    def close(self) -> None:
        self.unleased.close()

    @contextmanager
    def writing(self) -> Iterator["Connection"]:
        with self.unleased.writing() as connection:
            _checked(self.unleased, connection, self._lease)
            yield connection


def _now_us(registry: Registry, connection: "Connection") -> int:
    return int(connection.exec_driver_sql(f"SELECT {registry.database.now_us_sql}").scalar_one())


def _checked(database: Database, connection: "Connection", lease: Lease) -> int:
    """The time in a transaction in which the lease is held; writers wait for one another, so nobody takes it now."""
    import sqlalchemy as sa

    query = sa.text(f"SELECT holder, token, expires_us, {database.now_us_sql} AS now_us FROM leases WHERE name = :name")  # noqa: S608
    row = connection.execute(query, {"name": lease.name}).mappings().one_or_none()
    if row is None or row["token"] != lease.token:
        got = "none" if row is None else f"{row['token']} of {row['holder']}"
        raise LeaseLost(lease.name, lease.token, got)
    if row["expires_us"] <= row["now_us"]:
        raise LeaseLost(
            lease.name, lease.token, f"one that expired {(row['now_us'] - row['expires_us']) / 1e6:.1f} s ago"
        )
    return int(row["now_us"])
