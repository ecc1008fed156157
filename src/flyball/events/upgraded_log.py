"""A log that upgrades its records as they are read; all other calls are passed to the log behind it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from flyball.events.forwarding_log import ForwardingLog
from flyball.events.log import Offsets, Slice


class UpgradedLog(ForwardingLog, ABC):
    """`log` with every slice converted by `_as_declared`."""

    @abstractmethod
    def _as_declared(self, piece: Slice) -> Slice:
        """The slice with its records as declared today."""

    def _stored_types(self, types: Mapping[str, int]) -> Mapping[str, int]:
        """The types that a reader wants, with all names under which they may be stored."""
        return types

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        return [self._as_declared(piece) for piece in super().read(after, limit)]

    def read_where(
        self,
        partition: int,
        after: int,
        until: int,
        types: Mapping[str, int] | None = None,
        at_us: tuple[int, int] | None = None,
    ) -> Iterator[Slice]:
        stored = None if types is None else self._stored_types(types)
        for piece in super().read_where(partition, after, until, stored, at_us):
            yield self._as_declared(piece)
