"""Copies a log, offset by offset."""

from collections.abc import Callable
from hashlib import blake2b

import msgspec

from flyball.core import Refused, StoreCorrupt
from flyball.events import EventLog, Offsets, RestorableLog, Slice

AT_ONCE = 20_000
_encode = msgspec.msgpack.Encoder().encode


class LogDigest:
    """Sums the digests of a log's records and their offsets, as far as it has read them; equal for equal logs."""

    def __init__(self, log: EventLog, partitions: int) -> None:
        self._log, self.offsets, self._sum = log, (0,) * partitions, 0

    def read_to(self, ends: Offsets, on_step: Callable[[], object] = lambda: None) -> str:
        """The digest of the records before `ends`, of which those that were read already are not read again."""
        while any(offset < end for offset, end in zip(self.offsets, ends, strict=True)):
            before = self.offsets
            for piece in self._log.read(before, AT_ONCE):
                end = ends[piece.partition]
                if piece.start < end:
                    self._add(piece.part(piece.start, end))
            if self.offsets == before:
                raise StoreCorrupt("a log that is copied", f"readable up to {ends}", before)
            on_step()
        return f"{self._sum:032x}"

    def _add(self, piece: Slice) -> None:
        part = piece.partition
        for offset, record in enumerate(piece.records, piece.first):
            digest = blake2b(_encode((part, offset, record)), digest_size=16).digest()
            self._sum = (self._sum + int.from_bytes(digest)) % (1 << 128)
        reached = max(self.offsets[part], piece.end)
        self.offsets = (*self.offsets[:part], reached, *self.offsets[part + 1 :])


class LogCopy:
    """The copy of `source` into `target`, which continues where the target ends."""

    def __init__(self, name: str, source: EventLog, target: RestorableLog) -> None:
        self.name, self._source, self._target = name, source, target
        self.copied = 0
        partitions = len(source.ends())
        self._digests = LogDigest(source, partitions), LogDigest(target, partitions)

    def step(self) -> int:
        """Copy some records; returns how many offsets the target has moved on, 0 at the end of the source."""
        slices = self._source.read(self._target.ends(), AT_ONCE)
        if slices:
            self._target.restore(slices, self._source.schemas.stored())
            self.copied += sum(len(piece.records) for piece in slices)
        return sum(piece.end - piece.start for piece in slices)

    def behind(self) -> int:
        """How many offsets the target is behind the source."""
        return sum(self._source.ends()) - sum(self._target.ends())

    def verify(self, on_step: Callable[[], object] = lambda: None) -> tuple[int, str]:
        """The number of offsets and the digest of what is in both; raises `Refused` where they differ."""
        ends, source_ends = self._target.ends(), self._source.ends()
        if any(end > source_end for end, source_end in zip(ends, source_ends, strict=True)):
            raise Refused(f"{self.name} of the copy must end at {source_ends} or before, got {ends}: {_REMEDY}")
        own, copy = (digest.read_to(ends, on_step) for digest in self._digests)
        if own != copy:
            raise Refused(f"{self.name} of the copy must be equal to those before {ends}, got others: {_REMEDY}")
        return sum(ends), copy


_REMEDY = "something else was written to it; name another store"
