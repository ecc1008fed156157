"""A log that passes every call to the log behind it: what logs that change some of the calls begin from."""

from collections.abc import Iterator, Mapping, Sequence

from flyball.events.log import Appended, EventLog, Offsets, ReaderGroups, Record, Slice, WrittenSchemas
from flyball.events.reading import read_where


class ForwardingLog:
    """The log `_log`, unchanged. A `SearchableLog`."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    @property
    def schemas(self) -> WrittenSchemas:
        return self._log.schemas

    @property
    def groups(self) -> ReaderGroups:
        return self._log.groups

    def append(self, records: Sequence[Record]) -> Appended:
        return self._log.append(records)

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        return self._log.read(after, limit)

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
        return read_where(self._log, partition, after, until, types, at_us)

    def close(self) -> None:
        """Close the log's connections of this process."""
        close = getattr(self._log, "close", None)
        if close is not None:
            close()
