"""A log worker's share of the partitions of the log, which workers on several machines read together.

The consumers whose results do not depend on who applies which partition are run so: the state and the history. Each
result is written with the offsets of its partitions in one transaction, which the tokens of their leases guard.
"""

from collections.abc import Mapping

from flyball.core import FlyballError
from flyball.operations.leadership import (
    PARTITIONS,
    RENEWED_PER_LEASE,
    TRIED_PER_LEASE,
    LeaseRenewer,
    lease_logger,
    worker_leases,
)
from flyball.registry import Lease, hold_all_partitions, leave_partitions, partition_lease, share_partitions
from flyball.runtime import Runtime


def renewers_of(runtime: Runtime, everything: bool = False) -> dict[str, LeaseRenewer]:
    """{lease: what takes and keeps it}, of all that the log worker of this machine needs. `everything`: see
    `ShareRenewer`."""
    return {
        name: ShareRenewer(runtime, everything)
        if name == PARTITIONS
        else LeaseRenewer(runtime, name, yields=not everything)
        for name in worker_leases(runtime)
    }


def tokens_of(renewers: Mapping[str, LeaseRenewer]) -> dict[str, int]:
    """{lease: token} of the leases that a process has by now, one for each partition of a share."""
    tokens: dict[str, int] = {}
    for name, renewer in renewers.items():
        if isinstance(renewer, ShareRenewer):
            tokens |= {partition_lease(partition): token for partition, token in renewer.tokens.items()}
        elif (lease := renewer.lease) is not None:
            tokens[name] = lease.token
    return tokens


def partitions_in(tokens: Mapping[str, int], partitions: int) -> dict[int, int]:
    """{partition: token} of a share among {lease: token}."""
    names = {partition: partition_lease(partition) for partition in range(partitions)}
    return {partition: tokens[name] for partition, name in names.items() if name in tokens}


class ShareRenewer(LeaseRenewer):
    """Takes and keeps a worker's share. `everything`: all partitions or none, for a command beside the workers.

    While the registry is away the share is kept, as a lease is.
    """

    def __init__(self, runtime: Runtime, everything: bool = False) -> None:
        super().__init__(runtime, PARTITIONS)
        self._count, self._everything = len(runtime.log.ends()), everything
        self._assigned: dict[int, Lease] = {}

    @property
    def tokens(self) -> dict[int, int]:
        """{partition: token} of the share."""
        return {partition: lease.token for partition, lease in self._assigned.items()}

    @property
    def complete(self) -> bool:
        """Whether the share is all of the log."""
        return len(self._assigned) == self._count

    @property
    def lease(self) -> Lease | None:
        """The lease of the first partition; None without any."""
        return next(iter(self._assigned.values()), None)

    def release(self) -> None:
        with self._changed:
            assigned, self._assigned = self._assigned, {}
            try:
                leave_partitions(self._registry, self._holder, assigned)
            except Exception as error:  # they expire by themselves
                lease_logger.warning("leases of partitions could not be given back, and expire: %s", error)

    def lose(self) -> None:
        with self._changed:
            self._assigned = {}

    def step(self) -> float:
        with self._changed:
            before = set(self._assigned)
            try:
                share = hold_all_partitions if self._everything else share_partitions
                self._assigned = share(self._registry, self._holder, self._count, self._for_us, self._assigned)
                if set(self._assigned) != before:
                    lease_logger.warning("has partitions %s of %d", sorted(self._assigned) or "none", self._count)
                self._trouble = ""
            except Exception as error:  # the registry is away; whatever it is, the thread goes on and says so once
                self._say(error)
            parts = RENEWED_PER_LEASE if before == set(self._assigned) != set() else TRIED_PER_LEASE
        return self._for_us / 1e6 / parts

    def _say(self, error: Exception) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            words = self._trouble if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"
            lease_logger.warning("lease %s: %s", PARTITIONS, words)
