"""The protocols of the event log, and its records."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from flyball.core import load_backend, parse_url
from flyball.events.written import WrittenType

Offsets = tuple[int, ...]
"""For each partition the offset of the next record, which is the number of records before it."""


IMPORTED = 1 << 31
"""The flag of a record ingested as history: its `known_at` was declared, it is not the time of arrival."""


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event as it is stored in the log.

    `key`: the partition key, the text of its first reference. `id`: 16 bytes, the hash of its natural key. `body`: an
    array in msgpack of the event's own fields in declared order (see `Schema.decode`). `flags`: bit i is set when the
    i-th reference named an entity unknown on arrival; `IMPORTED`. `schema`: the fingerprint of the declaration that
    `body` was written with (`WrittenType.fingerprint`); 0 for a record that is no declared event.
    """

    type: str
    key: str
    at: int
    known_at: int
    id: bytes
    body: bytes
    flags: int = 0
    schema: int = 0


class Slice(msgspec.Struct, frozen=True):
    """Consecutive records of one partition; `records[i]` has offset `first + i`.

    `stored`: the records as they are stored, where some were written with an earlier declaration.
    """

    partition: int
    first: int
    records: list[Record]
    stored: list[Record] | None = None

    def part(self, start: int, end: int) -> "Slice":
        """The part in offsets [start, end)."""
        first = max(start, self.first)
        cut = slice(first - self.first, max(0, end - self.first))
        return Slice(self.partition, first, self.records[cut], None if self.stored is None else self.stored[cut])


class Appended(msgspec.Struct, frozen=True):
    """The result of an append: how many records were written, and the indices of those that were in the log already."""

    written: int
    duplicates: list[int]


class Appends(Protocol):
    """Something records can be appended to: a log, or an `Appender`."""

    def append(self, records: Sequence[Record]) -> Appended: ...


class WrittenSchemas(Protocol):
    """The declarations that a log's records were written with, stored beside the records.

    `stored`: in the order in which they came into use; one that came back into use is listed again. `offer`: the
    declarations of records that will be appended through this handle. The log stores a declaration with the first
    record that has it. `append` raises `Refused` for a record whose `schema` was neither stored nor offered, or was
    closed by one that was stored after the offer.
    """

    def stored(self) -> list[WrittenType]: ...

    def offer(self, types: Sequence[WrittenType]) -> None: ...


class ReaderGroups(Protocol):
    """Offsets that readers store in the log itself under the name of their group, like Kafka's consumer groups.

    `committed`: the offsets committed last; 0 in every partition for a group that never committed.
    """

    def commit(self, group: str, offsets: Offsets) -> None: ...

    def committed(self, group: str) -> Offsets: ...


class EventLog(Protocol):
    """An append-only log, partitioned by key, replayable.

    `append` is durable and atomic: it writes all new records or none; duplicates (equal `id`) are omitted and reported.
    `read(after, limit)` returns up to about `limit` records from those offsets on, in append order within a partition.
    A reader that stored its offsets, in `groups` or elsewhere, resumes exactly. `schemas`: the declarations that the
    records were written with.
    """

    @property
    def schemas(self) -> WrittenSchemas: ...

    @property
    def groups(self) -> ReaderGroups: ...

    def append(self, records: Sequence[Record]) -> Appended: ...

    def read(self, after: Offsets, limit: int) -> list[Slice]: ...

    def ends(self) -> Offsets: ...


@runtime_checkable
class SearchableLog(EventLog, Protocol):
    """A log that can skip what a reader does not need; `flyball.events.read_where` works on any log."""

    def read_where(
        self,
        partition: int,
        after: int,
        until: int,
        types: Mapping[str, int] | None = None,
        at_us: tuple[int, int] | None = None,
    ) -> Iterator[Slice]: ...


BACKENDS = {"sqlite": "flyball.events.sqlite:SqliteLog"}


def open_log(url: str) -> EventLog:
    """Open the log at `url`: `sqlite:///path/events.db?partitions=4&unique=1`."""
    parsed = parse_url(url)
    log: EventLog = load_backend("event log", BACKENDS, parsed.scheme)(parsed)
    return log


def log_exists(url: str) -> bool:
    """Whether there is a log at `url`; creates none."""
    parsed = parse_url(url)
    return bool(load_backend("event log", BACKENDS, parsed.scheme).exists(parsed))


def partition(key: str, partitions: int) -> int:
    """The partition of a key's records: a stable hash, the same on every machine and in every release.

    >>> partition("42", 4)
    0
    """
    return zlib.crc32(key.encode()) % partitions
