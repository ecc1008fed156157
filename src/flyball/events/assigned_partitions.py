"""A log of which a consumer reads some partitions, while consumers on other machines read the others."""

from collections.abc import Collection, Iterator, Mapping

from flyball.events.forwarding_log import ForwardingLog
from flyball.events.log import EventLog, Offsets, Slice


class AssignedPartitions(ForwardingLog):
    """The partitions `assigned` of a log; the others count as empty, so that no consumer of it lags behind them."""

    def __init__(self, log: EventLog, assigned: Collection[int]) -> None:
        super().__init__(log)
        self._assigned = frozenset(assigned)

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        """`after`: in the other partitions it may be anything."""
        reached = tuple(
            at if partition in self._assigned else end
            for partition, (at, end) in enumerate(zip(after, self._log.ends(), strict=True))
        )
        return [piece for piece in self._log.read(reached, limit) if piece.partition in self._assigned]

    def read_where(
        self,
        partition: int,
        after: int,
        until: int,
        types: Mapping[str, int] | None = None,
        at_us: tuple[int, int] | None = None,
    ) -> Iterator[Slice]:
        return super().read_where(partition, after, until, types, at_us) if partition in self._assigned else iter(())

    def ends(self) -> Offsets:
        return self.within(self._log.ends())

    def within(self, offsets: Offsets) -> Offsets:
        """These offsets, with 0 for the other partitions."""
        return tuple(at if partition in self._assigned else 0 for partition, at in enumerate(offsets))
