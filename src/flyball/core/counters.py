"""Counters that many processes keep and any process can sum.

Each process owns one small memory-mapped file of 64-bit slots, so an increment is a store, never a lock or a call
to another process; a reader maps all files of the folder and adds them up. A restarted process continues its file.
A process holds a shared lock on its file, which the system releases when the process ends: so a reader can tell which
processes are alive.
"""

import fcntl
import json
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

from flyball.core.files import write_atomic

_SLOT = struct.Struct("=q")


class Histogram:
    """Bucket counts over fixed upper bounds (inclusive), the last bucket open; percentiles by interpolation."""

    def __init__(self, bounds: Sequence[float], counts: Sequence[int]) -> None:
        self.bounds, self.counts = list(bounds), list(counts)

    def percentile(self, share: float) -> float | None:
        """The value below which `share` (0 to 1] of the observations lie; None without observations."""
        total = sum(self.counts)
        if total == 0:
            return None
        rank, below = share * total, 0
        for index, count in enumerate(self.counts):
            if below + count >= rank and count:
                low = self.bounds[index - 1] if index else 0.0
                high = self.bounds[min(index, len(self.bounds) - 1)]
                return low + (high - low) * (rank - below) / count
            below += count
        return self.bounds[-1]


class Counters:
    """Named whole-number counters of one process, in `folder/<process>.counts`.

    `names` fixes the slots; `Counters.sum(folder)` reads all processes. Threads of one process may race on the
    same name by design of the caller: one writer thread per name.
    """

    def __init__(self, folder: Path, process: str, names: Sequence[str]) -> None:
        self.names = list(names)
        self._index = {name: index for index, name in enumerate(self.names)}
        folder.mkdir(parents=True, exist_ok=True)
        path, described = folder / f"{process}.counts", folder / f"{process}.names.json"
        description = json.dumps(self.names).encode()
        if not described.exists() or described.read_bytes() != description or not path.exists():
            path.unlink(missing_ok=True)
            path.write_bytes(bytes(8 * len(self.names)))
            write_atomic(described, description)
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # lasts as long as the map, which keeps the file open
            self._slots = memoryview(mmap.mmap(descriptor, 8 * len(self.names))).cast("q")
        finally:
            os.close(descriptor)

    def add(self, name: str, by: int = 1) -> None:
        self._slots[self._index[name]] += by

    def observe(self, name: str, value: float, bounds: Sequence[float]) -> None:
        """Count `value` into the histogram `name`, whose slots are `name|0` … `name|len(bounds)`."""
        self.add(f"{name}|{bisect_left(bounds, value)}")

    def get(self, name: str) -> int:
        return self._slots[self._index[name]]

    @staticmethod
    def histogram_names(name: str, bounds: Sequence[float]) -> list[str]:
        return [f"{name}|{index}" for index in range(len(bounds) + 1)]

    @staticmethod
    def per_process(folder: Path) -> dict[str, dict[str, int]]:
        """{process: {name: value}} of every process that ever kept counters in `folder`."""
        counts = {}
        for described in sorted(folder.glob("*.names.json")):
            process = described.name.removesuffix(".names.json")
            names, data = json.loads(described.read_bytes()), (folder / f"{process}.counts").read_bytes()
            counts[process] = {name: _SLOT.unpack_from(data, 8 * index)[0] for index, name in enumerate(names)}
        return counts

    @staticmethod
    def living(folder: Path) -> set[str]:
        """The names of the running processes that keep counters in `folder`."""
        processes = set()
        for path in folder.glob("*.counts"):
            with open(path, "rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    processes.add(path.name.removesuffix(".counts"))
        return processes

    @classmethod
    def sum(cls, folder: Path) -> dict[str, int]:
        total: dict[str, int] = {}
        for counts in cls.per_process(folder).values():
            for name, value in counts.items():
                total[name] = total.get(name, 0) + value
        return total

    @staticmethod
    def histogram(total: Mapping[str, int], name: str, bounds: Sequence[float]) -> Histogram:
        return Histogram(bounds, [total.get(f"{name}|{index}", 0) for index in range(len(bounds) + 1)])
