"""The gate through which all writes to a home's stores go: file locks, and two small files that say where it is now.

A writer holds a shared lock for the time of its write; who closes the gate takes the exclusive lock. Writers pass a
turnstile first, which is locked before: else a stream of writers whose locks overlap would keep it out for ever.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from flyball.core import Refused, Stopwatch, StoreUnavailable, write_atomic
from flyball.home import HomeLayout

_TRY_AGAIN_S = 0.002

Content = TypeVar("Content")


class Moved(msgspec.Struct, frozen=True):
    """Says in a home that it was moved. `home`: to which; `serial`: the later move between two homes has the higher."""

    home: str
    serial: int
    at_us: int


class Copying(msgspec.Struct, frozen=True):
    """Says in a home that it is a copy which is not complete. `home`: of which; `begun`: the parts that were empty when
    they were begun, so that what is in them is the copy's."""

    home: str
    begun: tuple[str, ...] = ()


class WriteGate:
    """The gate of the home in `layout`.

    `was`: where the home was moved to before this process opened it, None where it was here. A store that the process
    uses for the first time after a later move follows that move, as those do that it had in use.
    """

    def __init__(self, layout: HomeLayout) -> None:
        self._layout = layout
        self.was = self.moved()

    @contextmanager
    def writing(self) -> Iterator[Moved | None]:
        """The time of a write; yields where the home was moved to, None where it is here.

        Raises `StoreUnavailable` while the gate is closed, and `Refused` in a copy that is not complete.
        """
        turnstile = _locked(self._layout.turnstile, fcntl.LOCK_SH)
        try:
            lock = None if turnstile is None else _locked(self._layout.write_lock, fcntl.LOCK_SH)
        finally:
            _unlock(turnstile)
        if lock is None:
            raise StoreUnavailable(
                f"home {self._layout.folder} must not be on the move to be written to, got a cutover, which ends "
                "within seconds: send it again in a moment"
            )
        try:
            moved = self.moved()
            if moved is None and (copying := self.copying()) is not None:
                raise Refused(
                    f"home {self._layout.folder} must be complete to be written to, got a copy of {copying.home} that "
                    "flyball migrate has not switched to: run it with --switch"
                )
            yield moved
        finally:
            _unlock(lock)

    @contextmanager
    def closed(self, stopwatch: Stopwatch, within_s: float) -> Iterator[None]:
        """Keep all writers out. Raises `StoreUnavailable` where a write takes longer than `within_s` seconds to end."""
        turnstile = self._wait(self._layout.turnstile, stopwatch, within_s)
        try:
            lock = self._wait(self._layout.write_lock, stopwatch, within_s)
            try:
                yield
            finally:
                _unlock(lock)
        finally:
            _unlock(turnstile)

    def moved(self) -> Moved | None:
        """Where this home was moved to; None where it is here, also after it was moved back."""
        own = _read(self._layout.moved, Moved)
        if own is None:
            return None
        there = _read(HomeLayout(Path(own.home)).moved, Moved)
        is_back = there is not None and there.serial > own.serial and Path(there.home) == self._layout.folder
        return None if is_back else own

    def copying(self) -> Copying | None:
        """Of which home this is a copy that is not complete; None for any other home."""
        copying = _read(self._layout.copying, Copying)
        if copying is None:
            return None
        moved = WriteGate(HomeLayout(Path(copying.home))).moved()
        return None if moved is not None and Path(moved.home) == self._layout.folder else copying

    def begin_copy(self, copying: Copying) -> None:
        """Say in this home that it is a copy."""
        self._layout.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._layout.copying, msgspec.json.encode(copying))

    def move_to(self, other: HomeLayout, at_us: int) -> None:
        """Say that the home is the other one from now on: the point of no return. The gate must be closed."""
        serials = [moved.serial for layout in (self._layout, other) if (moved := _read(layout.moved, Moved))]
        moved = Moved(str(other.folder), max(serials, default=0) + 1, at_us)
        write_atomic(self._layout.moved, msgspec.json.encode(moved))
        other.moved.unlink(missing_ok=True)
        other.copying.unlink(missing_ok=True)

    @staticmethod
    def _wait(path: Path, stopwatch: Stopwatch, within_s: float) -> int:
        deadline_s = stopwatch.read_s() + within_s
        while (lock := _locked(path, fcntl.LOCK_EX)) is None:
            if stopwatch.read_s() > deadline_s:
                raise StoreUnavailable(
                    f"writes to home {path.parent} must end within {within_s:g} s to be moved, got one that did not: "
                    "run the command again"
                )
            threading.Event().wait(_TRY_AGAIN_S)
        return lock


def _locked(path: Path, kind: int) -> int | None:
    """A descriptor that holds the lock on the file, None where another holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreUnavailable(f"{path} must be writable, got: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _read(path: Path, kind: type[Content]) -> Content | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError):
        return None
