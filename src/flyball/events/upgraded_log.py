"""A log that upgrades its records as they are read; all other calls are passed to the log behind it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from flyball.events.log import Appended, EventLog, Offsets, ReaderGroups, Record, Slice, WrittenSchemas
from flyball.events.reading import read_where


class UpgradedLog(ABC):
    """`log` with every slice converted by `_as_declared`. A `SearchableLog`."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    @abstractmethod
    def _as_declared(self, piece: Slice) -> Slice:
        """The slice with its records as declared today."""

    def _stored_types(self, types: Mapping[str, int]) -> Mapping[str, int]:
        """The types that a reader wants, with all names under which they may be stored."""
        return types

    @property
    def schemas(self) -> WrittenSchemas:
        return self._log.schemas

    @property
    def groups(self) -> ReaderGroups:
        return self._log.groups

    def append(self, records: Sequence[Record]) -> Appended:
        return self._log.append(records)

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        return [self._as_declared(piece) for piece in self._log.read(after, limit)]

    def ends(self) -> Offsets:
        return self._log.ends()

    def read_where(
        self,
        partition: int,
        after: int,
        until: int,
        types: Mapping[str, int] | None = None,
        at_us: tuple[int, int] | None = None,
    ) -> Iterator[Slice]:
        stored = None if types is None else self._stored_types(types)
        for piece in read_where(self._log, partition, after, until, stored, at_us):
            yield self._as_declared(piece)

    def close(self) -> None:
        """Close the log's connections of this process."""
        close = getattr(self._log, "close", None)
        if close is not None:
            close()
