"""What senders took of their buckets since it was last looked at, for the other machines to know."""

import threading
from hashlib import blake2b

import msgspec

KEPT, SHARED = 4_096, 256
"""How many senders are noted at a time, and how many of these are shared: those that took most. Others are limited on
each machine alone, so that a flood of addresses is none of a database."""


class BucketUse(msgspec.Struct, frozen=True):
    """What was taken of a bucket: how much longer it takes until it is full, and how long ago that began."""

    table: str
    name: bytes
    cost_ns: int
    age_ns: int

    @property
    def shared_name(self) -> str:
        """The bucket's name among machines, which shows neither addresses nor users."""
        return blake2b(self.table.encode() + b"|" + self.name, digest_size=16).hexdigest()


class Usage:
    """Notes uses in one thread, and hands them over in another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[tuple[str, bytes], tuple[int, int]] = {}

    def note(self, table: str, name: bytes, cost_ns: int, now_ns: int) -> None:
        """Something was taken."""
        bucket = (table, name)
        with self._lock:
            cost, since = self._uses.get(bucket, (0, now_ns))
            if cost or len(self._uses) < KEPT:
                self._uses[bucket] = cost + cost_ns, since

    def take(self, now_ns: int) -> list[BucketUse]:
        """What was noted since the last call, of the `SHARED` buckets of which most was taken."""
        with self._lock:
            uses, self._uses = self._uses, {}
        most = sorted(uses.items(), key=lambda use: -use[1][0])[:SHARED]
        return [BucketUse(table, name, cost, now_ns - since) for (table, name), (cost, since) in most]
