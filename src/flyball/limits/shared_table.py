"""Tables of buckets in a memory-mapped file, which all processes of a machine share.

A row is locked by a lock on a byte of the file, which the system releases when the process ends. A process that does
not get a lock lets others run, and tries again, `TRIES` times at most, since the holder may have been stopped: then it
continues without, and what the two admit at this moment may be counted once. `lock_waits` counts how often.
"""

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from flyball.limits.bucket_table import SLOT_BYTES, WAYS, BucketTable, LockRow

ROWS = 4_096
"""Of a table: 32,768 names are remembered at a time, in 512 KiB."""

TRIES = 64
_KEY_BYTES = _HEAD_BYTES = 64


class SharedTables:
    """One table for each of `names`, in the file at `path`, which is made unless it is there."""

    def __init__(self, path: Path, names: Sequence[str], rows: int = ROWS) -> None:
        self.lock_waits = 0
        size = rows * WAYS * SLOT_BYTES
        file_bytes = _HEAD_BYTES + size * len(names)
        self._descriptor = _opened(path, file_bytes)
        self._map = mmap.mmap(self._descriptor, file_bytes)
        view = memoryview(self._map)
        key = bytes(view[:_KEY_BYTES])
        self._tables = {}
        for number, name in enumerate(names):
            begin = _HEAD_BYTES + number * size
            slots = view[begin : begin + size].cast("q")
            self._tables[name] = BucketTable(slots, key, self._locks_from(number * rows))

    def __getitem__(self, name: str) -> BucketTable:
        return self._tables[name]

    def _locks_from(self, first: int) -> LockRow:
        return lambda row: self._locked(first + row)

    @contextmanager
    def _locked(self, byte: int) -> Iterator[None]:
        for _ in range(TRIES):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
                break
            except (BlockingIOError, PermissionError):
                os.sched_yield()  # whoever has it may wait for this processor
        else:
            self.lock_waits += 1
            yield
            return
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)


def _opened(path: Path, size: int) -> int:
    """A descriptor of the file, which has `size` bytes; of processes that make it at a time, all get the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if path.stat().st_size != size:  # of another release
            path.unlink()
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:
            file.write(os.urandom(_KEY_BYTES))
            file.truncate(size)
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)
