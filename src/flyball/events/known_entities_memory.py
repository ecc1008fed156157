"""Known entities in this process only, for tests and simulations."""

import threading
from collections.abc import Mapping

from flyball.core import Url
from flyball.events.log import Offsets


class MemoryKnownEntities:
    """`memory://`."""

    def __init__(self, url: Url) -> None:
        self._profiled: dict[tuple[str, str], bool] = {}
        self._before = 0
        self._offsets: dict[int, int] = {}
        self._guard = threading.Lock()

    def add(self, known: Mapping[tuple[str, str], bool], offsets: Offsets | None) -> None:
        with self._guard:
            for name, profiled in known.items():
                self._profiled[name] = self._profiled.get(name, False) or profiled
            for partition, offset in enumerate(offsets or ()):
                self._offsets[partition] = max(offset, self._offsets.get(partition, 0))

    def since(self, number: int) -> list[tuple[int, str, str]]:
        with self._guard:
            return [(index, *name) for index, name in enumerate(self._profiled, self._before + 1) if index > number]

    def has(self, entity: str, profiled: bool) -> bool:
        with self._guard:
            return any(
                kind == entity and (by_profile or not profiled) for (kind, _), by_profile in self._profiled.items()
            )

    def offsets(self, partitions: int) -> Offsets:
        with self._guard:
            return tuple(self._offsets.get(partition, 0) for partition in range(partitions))

    def replace(self, known: Mapping[tuple[str, str], bool], offsets: Offsets) -> None:
        """See `ReplaceableEntities`."""
        with self._guard:
            self._before += len(self._profiled)
            self._profiled, self._offsets = dict(known), dict(enumerate(offsets))

    def close(self) -> None:
        """Nothing to close."""
