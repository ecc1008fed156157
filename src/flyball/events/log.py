"""The contract of the event log, and what lies in it."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from flyball.core import load_backend, parse_url
from flyball.events.written import WrittenType

Offsets = tuple[int, ...]
"""Per partition, the offset of the next record: how many records lie before it."""


IMPORTED = 1 << 31
"""The flag of a record that came in as history: its `known_at` is what was declared, not the time of its arrival."""


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event as it lies in the log.

    `key`: what it is partitioned by, the text of its first reference. `id`: 16 bytes, the hash of its natural key.
    `body`: msgpack of the event's own fields in declared order (an array; `Schema.decode` gives the event back).
    `flags`: bit i set when the i-th reference named an entity unknown on arrival; `IMPORTED`. `schema`: the fingerprint
    of the declaration that `body` was written with (`WrittenType.fingerprint`); 0 for what is no declared event.
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

    `stored`: the records as they lie in the log, where some were written with an earlier declaration.
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
    """What an append did: how many records were written, and which (indices into the call) were there already."""

    written: int
    duplicates: list[int]


class Appends(Protocol):
    """Takes records in: a log, or an `Appender` before one."""

    def append(self, records: Sequence[Record]) -> Appended: ...


class WrittenSchemas(Protocol):
    """The declarations that a log's records were written with, beside the records.

    `stored`: those in use, in the order in which they came into use; one that came back into use is there again.
    `offer`: those that records appended through this handle are written with. The log stores one with the first record
    that names it. `append` raises `Refused` for a record whose `schema` was neither stored nor offered, or was closed
    by one stored after the offer.
    """

    def stored(self) -> list[WrittenType]: ...

    def offer(self, types: Sequence[WrittenType]) -> None: ...


class ReaderGroups(Protocol):
    """Offsets that readers keep in the log itself, by the name of their group, as Kafka's consumer groups do.

    `committed`: what was committed last; 0 in every partition for a group that never committed.
    """

    def commit(self, group: str, offsets: Offsets) -> None: ...

    def committed(self, group: str) -> Offsets: ...


class EventLog(Protocol):
    """Append-only, partitioned by key, replayable.

    `append` is durable and atomic: all of its new records or none, duplicates (equal `id`) left out and reported.
    `read(after, limit)` gives up to about `limit` records from those offsets on, in append order within a partition.
    A reader that stored its offsets, here in `groups` or elsewhere, resumes exactly. `schemas`: what the records were
    written with.
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
    """Whether there is a log at `url` already; opens none."""
    parsed = parse_url(url)
    return bool(load_backend("event log", BACKENDS, parsed.scheme).exists(parsed))


def partition(key: str, partitions: int) -> int:
    """The partition that holds a key's records; the same everywhere and for ever.

    >>> partition("42", 4)
    0
    """
    return zlib.crc32(key.encode()) % partitions
