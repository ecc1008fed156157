"""The contract of the event log, and what lies in it."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from flyball.core import Refused, load_backend, parse_url

Offsets = tuple[int, ...]
"""Per partition, the offset of the next record: how many records lie before it."""


IMPORTED = 1 << 31
"""The flag of a record that came in as history: its `known_at` is what was declared, not the instant of its arrival."""


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event as it lies in the log.

    `key`: what it is partitioned by, the text of its first reference. `id`: 16 bytes, the hash of its natural key.
    `body`: msgpack of the event's own fields in declared order (an array; `Schema.decode` gives the event back).
    `flags`: bit i set when the i-th reference named an entity unknown on arrival; `IMPORTED`.
    """

    type: str
    key: str
    at: int
    known_at: int
    id: bytes
    body: bytes
    flags: int = 0


class Slice(msgspec.Struct, frozen=True):
    """Consecutive records of one partition; `records[i]` has offset `first + i`."""

    partition: int
    first: int
    records: list[Record]


class Appended(msgspec.Struct, frozen=True):
    """What an append did: how many records were written, and which (indices into the call) were there already."""

    written: int
    duplicates: list[int]


class Appends(Protocol):
    """Takes records in: a log, or an `Appender` before one."""

    def append(self, records: Sequence[Record]) -> Appended: ...


class EventLog(Protocol):
    """Append-only, partitioned by key, replayable.

    `append` is durable and atomic: all of its new records or none, duplicates (equal `id`) left out and told.
    `read(after, limit)` yields up to about `limit` records from those offsets on, in append order within a partition.
    A reader that stored its offsets resumes exactly.
    """

    def append(self, records: Sequence[Record]) -> Appended: ...

    def read(self, after: Offsets, limit: int) -> list[Slice]: ...

    def ends(self) -> Offsets: ...

    def commit(self, group: str, offsets: Offsets) -> None: ...

    def committed(self, group: str) -> Offsets: ...


BACKENDS = {"sqlite": "flyball.events.sqlite:SqliteLog"}


def open_log(url: str) -> EventLog:
    """Open the log at `url`: `sqlite:///path/events.db?partitions=4&unique=1`."""
    parsed = parse_url(url)
    log: EventLog = load_backend("event log", BACKENDS, parsed.scheme)(parsed)
    return log


def partition(key: str, partitions: int) -> int:
    """The partition that holds a key's records; the same everywhere and for ever.

    >>> partition("42", 4)
    0
    """
    return zlib.crc32(key.encode()) % partitions


def after_slices(offsets: Offsets, slices: Sequence[Slice]) -> Offsets:
    """The offsets once `slices` have been applied."""
    moved = list(offsets)
    for piece in slices:
        moved[piece.partition] = max(moved[piece.partition], piece.first + len(piece.records))
    return tuple(moved)


def read_until(log: EventLog, after: Offsets, until: Offsets, limit: int) -> Iterator[list[Slice]]:
    """Exactly the records from `after` up to `until`, some `limit` at a time, whatever is appended meanwhile.

    Partitions that `after` or `until` does not name count as 0. Raises `Refused` when the log ends before `until`.
    """
    ends = log.ends()
    after, wanted = _padded(after, len(ends)), _padded(until, len(ends))
    while any(at < goal for at, goal in zip(after, wanted, strict=True)):
        # a partition that has arrived is read after its end, so that nothing of it is read in vain
        reading = tuple(end if at >= goal else at for at, goal, end in zip(after, wanted, ends, strict=True))
        found = log.read(reading, limit)
        if not found:
            raise Refused(f"the log must hold all records up to {until}, got none after {after}")
        slices = [piece for piece in (_clipped(piece, wanted[piece.partition]) for piece in found) if piece.records]
        if slices:
            yield slices
            after = after_slices(after, slices)
        ends = log.ends()


def _clipped(piece: Slice, end: int) -> Slice:
    """The part of a slice before offset `end`."""
    return Slice(piece.partition, piece.first, piece.records[: max(0, end - piece.first)])


def _padded(offsets: Offsets, partitions: int) -> Offsets:
    return offsets + (0,) * (partitions - len(offsets))
