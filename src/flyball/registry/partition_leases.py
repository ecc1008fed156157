"""Leases of the partitions of the log, which the log workers of several machines share evenly.

Each worker is a member as long as it renews its row, and has a quota: of P partitions and N members, P / N rounded
down, and one more for the P mod N members that hold the most. It gives up what is over its quota, and takes what is
free up to it: so each partition gets a holder, holders differ by one partition at most, and no partition moves that
need not. All of it is one transaction of the database, by whose clock leases end.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.registry.leases import Lease, changing_leases
from flyball.registry.store import Registry

if TYPE_CHECKING:
    from sqlalchemy import Connection

PARTITION, MEMBER = "partition ", "worker "
"""What the names of leases begin with: of each partition, and of the members."""
WHOLE_LOG = "whole log"
"""The lease of a command that needs all partitions: while another process has it, workers give up what they hold."""


def partition_lease(partition: int) -> str:
    """The name of the lease of a partition."""
    return f"{PARTITION}{partition}"


def quota_of(member: str, assigned: Mapping[str, int], partitions: int) -> int:
    """How many partitions a member must hold; `assigned`: {member: how many it holds}, of all members.

    >>> quota_of("b", {"a": 4, "b": 0, "c": 0}, 4), quota_of("a", {"a": 4, "b": 0, "c": 0}, 4)
    (1, 2)
    """
    order = sorted(assigned, key=lambda name: (-assigned[name], name))
    least, more = divmod(partitions, len(order))
    return least + (order.index(member) < more)


def share_partitions(
    registry: Registry, member: str, partitions: int, for_us: int, assigned: Mapping[int, Lease]
) -> dict[int, Lease]:
    """Renew a member and its leases {partition: lease} for `for_us`; returns those it has by now: it gives up what is
    over its quota, and takes what is free below it. While another process has the lease `WHOLE_LOG`, its quota is 0."""
    with changing_leases(registry, for_us) as connection:
        rows = _Rows(registry, connection)
        rows.put(MEMBER + member, member, 1, for_us)
        own = rows.kept(assigned, for_us)
        members = {name.removeprefix(MEMBER): 0 for name, row in rows.live() if name.startswith(MEMBER)}
        for name, row in rows.live():
            if name.startswith(PARTITION) and row["holder"] in members:
                members[row["holder"]] += 1
        claimed = any(name == WHOLE_LOG and row["holder"] != member for name, row in rows.live())
        quota = 0 if claimed else quota_of(member, members, partitions)
        for partition in sorted(own)[quota:]:
            rows.free(partition_lease(partition))
            del own[partition]
        for partition in rows.vacant(partitions)[: max(0, quota - len(own))]:
            own[partition] = rows.take(partition, member, for_us)
        return own


def is_claimed_by_another(registry: Registry, holder: str) -> bool:
    """Whether another process has the lease `WHOLE_LOG`."""
    sql = f"SELECT holder FROM leases WHERE name = :name AND expires_us > {registry.database.now_us_sql}"  # noqa: S608
    return any(row["holder"] != holder for row in registry.database.rows(sql, name=WHOLE_LOG))


def hold_all_partitions(
    registry: Registry, holder: str, partitions: int, for_us: int, assigned: Mapping[int, Lease]
) -> dict[int, Lease]:
    """Take or keep the leases of all partitions, for a command that needs the whole log; {} where one is not free."""
    with changing_leases(registry, for_us) as connection:
        rows = _Rows(registry, connection)
        own = rows.kept(assigned, for_us)
        vacant = rows.vacant(partitions)
        if len(own) + len(vacant) < partitions:
            for partition in own:
                rows.free(partition_lease(partition))
            return {}
        return own | {partition: rows.take(partition, holder, for_us) for partition in vacant}


def leave_partitions(registry: Registry, member: str, assigned: Mapping[int, Lease]) -> None:
    """Let others take these partitions at once; `member` is none any more."""
    with changing_leases(registry) as connection:
        rows = _Rows(registry, connection)
        for partition in rows.kept(assigned, 0):
            rows.free(partition_lease(partition))
        rows.remove(MEMBER + member)


class _Rows:
    """The leases of partitions and members in one transaction."""

    def __init__(self, registry: Registry, connection: "Connection") -> None:
        import sqlalchemy as sa

        from flyball.registry.tables import leases

        self._table, self._connection = leases, connection
        self.now_us = int(connection.exec_driver_sql(f"SELECT {registry.database.now_us_sql}").scalar_one())
        stored = connection.execute(sa.select(leases)).mappings()
        self._rows: dict[str, dict[str, Any]] = {
            row["name"]: dict(row) for row in stored if row["name"].startswith((PARTITION, MEMBER, WHOLE_LOG))
        }
        for name in [name for name, row in self._rows.items() if name.startswith(MEMBER) and not self._is_live(row)]:
            self.remove(name)

    def live(self) -> list[tuple[str, dict[str, Any]]]:
        """(name, row) of the leases that have not ended."""
        return [(name, row) for name, row in self._rows.items() if self._is_live(row)]

    def kept(self, assigned: Mapping[int, Lease], for_us: int) -> dict[int, Lease]:
        """Those of these leases that have not ended and that no other took, for another `for_us`."""
        kept: dict[int, Lease] = {}
        for partition, lease in assigned.items():
            row = self._rows.get(lease.name)
            if row is not None and row["token"] == lease.token and self._is_live(row):
                self.put(lease.name, lease.holder, lease.token, for_us, lease.taken_us)
                kept[partition] = msgspec.structs.replace(lease, expires_us=self.now_us + for_us)
        return kept

    def vacant(self, partitions: int) -> list[int]:
        """The partitions that nobody holds."""
        live = {name for name, _ in self.live()}
        return [partition for partition in range(partitions) if partition_lease(partition) not in live]

    def take(self, partition: int, holder: str, for_us: int) -> Lease:
        """Its token is greater than all before, as that of every lease."""
        name = partition_lease(partition)
        token = max(self.now_us, self._rows[name]["token"] + 1 if name in self._rows else 1)
        self.put(name, holder, token, for_us)
        return Lease(name, holder, token, self.now_us, self.now_us + for_us)

    def free(self, name: str) -> None:
        row = self._rows[name]
        self.put(name, row["holder"], row["token"], -self.now_us, row["taken_us"])

    def put(self, name: str, holder: str, token: int, for_us: int, taken_us: int | None = None) -> None:
        """Store a lease that ends in `for_us`."""
        before = self._rows.get(name)
        if taken_us is None:
            taken_us = before["taken_us"] if before is not None and name.startswith(MEMBER) else self.now_us
        values = {"holder": holder, "token": token, "taken_us": taken_us, "expires_us": self.now_us + for_us}
        if before is None:
            self._connection.execute(self._table.insert().values(name=name, **values))
        else:
            self._connection.execute(self._table.update().where(self._table.c.name == name).values(**values))
        self._rows[name] = {"name": name, **values}

    def remove(self, name: str) -> None:
        self._connection.execute(self._table.delete().where(self._table.c.name == name))
        self._rows.pop(name, None)

    def _is_live(self, row: Mapping[str, Any]) -> bool:
        return int(row["expires_us"]) > self.now_us
