"""The protocols of the event log, and its records."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from flyball.core import Refused, load_backend, parse_url
from flyball.events.written import WrittenType

Offsets = tuple[int, ...]
"""For each partition the offset of the next record, which is the number of records before it."""


IMPORTED = 1 << 31
"""The flag of a record ingested as history: its `known_at` was declared, it is not the time of arrival."""


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event as it is stored in the log.

    `key`: the partition key, the text of its first reference. `id`: 16 bytes, the hash of its natural key. `body`: an
    array in msgpack of the event's own fields in declared order (see `Schema.decode`). `flags`: bit i is set when the
    i-th reference named an entity unknown on arrival; `IMPORTED`; where the event came from (`SOURCE_FLAGS`).
    `schema`: the fingerprint of the declaration that `body` was written with (`WrittenType.fingerprint`); 0 for a
    record that is no declared event. `client_id`: what its sender called it (see `client_ids`), b"" for nothing.
    `batch`: the name of the batch that it was ingested with, "" for none.
    """

    type: str
    key: str
    at: int
    known_at: int
    id: bytes
    body: bytes
    flags: int = 0
    schema: int = 0
    client_id: bytes = b""
    batch: str = ""


class Slice(msgspec.Struct, frozen=True):
    """Consecutive records of one partition; `records[i]` has offset `first + i`.

    `stored`: the records as they are stored, where some were written with an earlier declaration. `skipped`: how many
    offsets before `first` hold no event, such as a duplicate that two writers appended at once. The slice covers them
    too, and a reader that has applied it continues at `end`.
    """

    partition: int
    first: int
    records: list[Record]
    stored: list[Record] | None = None
    skipped: int = 0

    @property
    def start(self) -> int:
        """The first offset that the slice covers."""
        return self.first - self.skipped

    @property
    def end(self) -> int:
        """The offset after the last one."""
        return self.first + len(self.records)

    def part(self, start: int, end: int) -> "Slice":
        """The part in offsets [start, end)."""
        first = min(max(start, self.first), max(end, self.start))
        skipped = max(0, min(first, self.first) - max(start, self.start))
        cut = slice(max(0, first - self.first), max(0, end - self.first))
        stored = None if self.stored is None else self.stored[cut]
        return Slice(self.partition, first, self.records[cut], stored, skipped)


class Appended(msgspec.Struct, frozen=True):
    """The result of an append: how many records were written, and the indices of those that were in the log already,
    and of those whose client id names a record of other content; neither is written again."""

    written: int
    duplicates: list[int]
    conflicts: list[int] = []


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

    `append` is durable: what it returned for is in the log. Duplicates (equal `id` or `client_id`) are omitted and
    reported, and so are records whose `client_id` begins like another's (conflicts). When it
    raises `StoreUnavailable`, none of its records is in the log, or some are (a log on several servers cannot take back
    what it wrote): appended again, the missing ones are written and the others are duplicates. Where writers on several
    machines append the same at once, a report may miss a duplicate; readers get one of them all the same.

    `read(after, limit)` returns up to about `limit` records from those offsets on, in append order within a partition.
    A reader that stored its offsets, in `groups` or elsewhere, resumes exactly. A live record may become known when the
    log takes it (`known_at`), by the clock of the log. `schemas`: the declarations that the records were written with.
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


@runtime_checkable
class RestorableLog(EventLog, Protocol):
    """A log that can become the copy of another one, offset by offset.

    `restore` stores consecutive slices of the other log at the offsets that they have there, with all that their
    records hold, `known_at` included; before them it stores those of `written` (all declarations of the other log) that
    are missing. An offset without a record there has none here. Raises `Refused` where a partition does not end at the
    start of its slice, or where other declarations are stored. What a failed call has written is seen in `ends`.
    """

    def restore(self, slices: Sequence[Slice], written: Sequence[WrittenType]) -> None: ...


@runtime_checkable
class ErasableLog(EventLog, Protocol):
    """A log that records can be removed from.

    `check_removal` raises `Refused` where none may be removed. `remove` removes the records at these offsets,
    {partition: offsets}, with their ids, and returns how many there were; the other records keep their offsets, and a
    removed event that is appended again is a new one. `rewrite`: after it no byte of what was removed is in the store.
    Both may be repeated after a process was killed.
    """

    def check_removal(self) -> None: ...

    def remove(self, offsets: Mapping[int, Sequence[int]]) -> int: ...

    def rewrite(self) -> None: ...


BACKENDS = {
    "kafka": "flyball.events.kafka.log:KafkaLog",
    "sqlite": "flyball.events.sqlite:SqliteLog",
}


def open_log(url: str) -> EventLog:
    """Open the log at `url`: `sqlite:///path/events.db?partitions=4&unique=1` or `kafka://host:port/topic`."""
    parsed = parse_url(url)
    log: EventLog = load_backend("event log", BACKENDS, parsed.scheme)(parsed)
    return log


def log_exists(url: str) -> bool:
    """Whether there is a log at `url`; creates none."""
    parsed = parse_url(url)
    return bool(load_backend("event log", BACKENDS, parsed.scheme).exists(parsed))


def check_restored(where: str, slices: Sequence[Slice], ends: Sequence[int]) -> None:
    """Raise `Refused` for slices that do not continue the partitions, which end at `ends`."""
    reached = list(ends)
    for piece in slices:
        if piece.start != reached[piece.partition]:
            raise Refused(
                f"partition {piece.partition} of {where} must end at offset {piece.start} to be continued from a "
                f"copied log, got {reached[piece.partition]}: something else writes to it"
            )
        reached[piece.partition] = piece.end


def missing_schemas(where: str, stored: Sequence[WrittenType], written: Sequence[WrittenType]) -> list[WrittenType]:
    """The declarations of a copied log that its copy has not stored yet; raises `Refused` for a copy with others."""
    if [*stored] != [*written[: len(stored)]]:
        raise Refused(
            f"{where} must hold no declarations but those of the log that is copied to it, got others: name another one"
        )
    return [*written[len(stored) :]]


def partition(key: str, partitions: int) -> int:
    """The partition of a key's records: a stable hash, the same on every machine and in every release.

    >>> partition("42", 4)
    0
    """
    return zlib.crc32(key.encode()) % partitions
