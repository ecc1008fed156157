"""A log of which a consumer reads some partitions, while consumers on other machines read the others."""

from collections.abc import Collection, Sequence

from flyball.events.log import Appended, EventLog, Offsets, ReaderGroups, Record, Slice, WrittenSchemas


class AssignedPartitions:
    """The partitions `assigned` of a log; the others count as empty, so that no consumer of it lags behind them."""

    def __init__(self, log: EventLog, assigned: Collection[int]) -> None:
        self._log, self._assigned = log, frozenset(assigned)

    @property
    def schemas(self) -> WrittenSchemas:
        return self._log.schemas

    @property
    def groups(self) -> ReaderGroups:
        return self._log.groups

    def append(self, records: Sequence[Record]) -> Appended:
        return self._log.append(records)

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        """`after`: in the other partitions it may be anything."""
        reached = tuple(
            at if partition in self._assigned else end
            for partition, (at, end) in enumerate(zip(after, self._log.ends(), strict=True))
        )
        return [piece for piece in self._log.read(reached, limit) if piece.partition in self._assigned]

    def ends(self) -> Offsets:
        return self.within(self._log.ends())

    def within(self, offsets: Offsets) -> Offsets:
        """These offsets, with 0 for the other partitions."""
        return tuple(at if partition in self._assigned else 0 for partition, at in enumerate(offsets))
