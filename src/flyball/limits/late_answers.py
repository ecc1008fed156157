"""When answers were last late, for all processes of a machine: those that load in bulk wait then.

Eight bytes of a memory-mapped file, written as a whole: a time of the machine's monotonic clock.
"""

import mmap
import os
from functools import cached_property
from pathlib import Path

_BYTES = 8


class LateAnswers:
    """In the file at `path`, which is made by the first note."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, now_s: float) -> None:
        """Answers are late now, by the monotonic clock in seconds."""
        self._moment[0] = int(now_s * 1e9)

    def were_within(self, seconds: float, now_s: float) -> bool:
        """Whether answers were late in the last `seconds`; a note from before the machine's start is none."""
        if not self._path.exists():
            return False
        return 0 <= now_s * 1e9 - self._moment[0] <= seconds * 1e9

    @cached_property
    def _moment(self) -> memoryview:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _BYTES)
            return memoryview(mmap.mmap(descriptor, _BYTES)).cast("q")
        finally:
            os.close(descriptor)
