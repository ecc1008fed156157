"""The reviews of a day that the processes of one home tell each other at once, in a file that each appends to.

It makes a limit of a day exact among them; what it lacks, such as reviews of before it was there or of other homes, the
log of predictions has a moment later.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

from flyball.core import lock_soon

_NAME = "reviews-"


class ReviewFile:
    """One file a day in `folder`, of lines such as "+01KG..." for a review and "-01KG..." for one that was not sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[date, int] = {}

    @contextmanager
    def of_day(self, day: date) -> Iterator["_SharedLines"]:
        """The lines of a day, which no other process can add to meanwhile. Raises `OSError` where that cannot be."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / f"{_NAME}{day}", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            lock_soon(descriptor)
            new = os.pread(descriptor, os.fstat(descriptor).st_size, self._read.get(day, 0))
            whole_lines = new[: new.rfind(b"\n") + 1]  # a process may have been killed within a line
            self._read[day] = self._read.get(day, 0) + len(whole_lines)
            yield _SharedLines(descriptor, whole_lines.decode().split())
        finally:
            os.close(descriptor)

    def forget_before(self, day: date) -> None:
        """Remove the files of earlier days."""
        self._read = {known: read for known, read in self._read.items() if known >= day}
        for path in self._folder.glob(f"{_NAME}*"):
            if path.name < f"{_NAME}{day}":
                path.unlink(missing_ok=True)


class _SharedLines:
    """`new`: the lines since the last look."""

    def __init__(self, descriptor: int, new: list[str]) -> None:
        self.new, self._descriptor = new, descriptor

    def add(self, line: str) -> None:
        """Where it cannot be written, such as on a full disk, others learn of it from the log of predictions."""
        with suppress(OSError):
            os.write(self._descriptor, f"{line}\n".encode())
