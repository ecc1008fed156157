"""Selects the new records of a stream, by the offsets in a consumer's own store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from flyball.events import Joiner, Offsets, Positioned, Slice, fresh


class StreamStore(Protocol):
    """Stores the offsets of streams, and pending events of joins, in the transaction that applies the records."""

    def offsets(self, stream: str) -> dict[int, int]: ...

    def put_offsets(self, stream: str, offsets: Offsets) -> None: ...

    def put_pending(self, changes: Mapping[bytes, bytes | None]) -> None: ...

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]: ...

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]: ...


def take_new(store: StreamStore, stream: str, slices: Sequence[Slice]) -> list[Slice]:
    """The part of `slices` that was not applied yet; advances the stored offsets. Raises `BadInput` for a gap."""
    stored = store.offsets(stream)
    new, reached = fresh(slices, tuple(stored.get(partition, 0) for partition in range(max(stored, default=-1) + 1)))
    if new:
        store.put_offsets(stream, reached)
    return new


def take_new_events(
    store: StreamStore, slices: Sequence[Slice], types: Collection[str], joiner: Joiner
) -> list[Positioned]:
    """The new records of `types`, including the joined records that they complete."""
    types = {*types, *joiner.types}
    by_type: dict[str, list[Positioned]] = {}
    for piece in take_new(store, "events", slices):
        for offset, record in enumerate(piece.records, piece.first):
            if record.type in types:
                by_type.setdefault(record.type, []).append((record, offset, piece.partition))
    joined, pending = joiner.apply(by_type, store)
    store.put_pending(pending)
    return [entry for entries in (*by_type.values(), *joined.values()) for entry in entries]
