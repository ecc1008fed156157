"""The online store in this process's memory: simulation, replay, tests."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from threading import RLock

from flyball.core import Url
from flyball.events import Offsets


class MemoryStore:
    """`memory://`: gone with the process."""

    def __init__(self, url: Url | None = None) -> None:
        self._values: dict[bytes, bytes] = {}
        self._sorted: list[bytes] | None = []
        self._offsets: Offsets = ()
        self._lock = RLock()

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        with self._lock:
            return [self._values.get(key) for key in keys], self._offsets

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None:
        with self._lock:
            before = len(self._values)
            deleted_keys = [key for key, value in changes.items() if value is None]
            self._values.update({key: value for key, value in changes.items() if value is not None})
            added = len(self._values) != before
            for key in deleted_keys:
                self._values.pop(key, None)
            if added or deleted_keys:
                self._sorted = None
            self._offsets = tuple(offsets)

    def update(
        self,
        work: Callable[[], tuple[Mapping[bytes, bytes | None], Offsets] | None],
        partitions: Collection[int] | None = None,
    ) -> None:
        """See `SharedStore`; other threads wait."""
        with self._lock:
            if (change := work()) is not None:
                self.write(*change)

    def offsets(self) -> Offsets:
        return self._offsets

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        with self._lock:
            if self._sorted is None:
                self._sorted = sorted(self._values)
            keys = islice(self._sorted, bisect_left(self._sorted, prefix), None)
            pairs = islice(takewhile(lambda key: key.startswith(prefix), keys), limit)
            return iter([(key, self._values[key]) for key in pairs])

    def close(self) -> None:
        """Nothing to release."""
