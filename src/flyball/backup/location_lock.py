"""Keeps `flyball backup delete` apart from backups that are being stored at the same location.

In a folder: a lock of the operating system, which ends with its process. In an object store, where other machines write
too: a file for each user of the location. Each writes its own file first and looks for others then, so that of two that
begin at once at least one sees the other. Times are compared by the store's own clock.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flyball.core import HomeBusy
from flyball.files import FileStore

_LOCK, _MARKS = ".lock", "locks/"
_SHARED, _ALONE = "shared", "alone"
_DAY_US = 86_400_000_000
"""A file in an object store whose process died is ignored after a day; a process that lives renews its own."""


@contextmanager
def lock_location(files: FileStore, purpose: str, alone: bool) -> Iterator[Callable[[], None]]:
    """Hold the location, alone or with others that share it; yields a function that renews the lock in long work.

    Raises `HomeBusy` at once where another process holds it in a way that excludes this one.
    """
    if files.is_shared:
        with _marked(files, purpose, alone) as renew:
            yield renew
    else:
        with _locked(files.folder, purpose, alone):
            yield lambda: None


@contextmanager
def _locked(folder: Path, purpose: str, alone: bool) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(str(path), os.pread(descriptor, 200, 0).decode(errors="replace").strip()) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _holder(purpose), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _marked(files: FileStore, purpose: str, alone: bool) -> Iterator[Callable[[], None]]:
    name = f"{_MARKS}{_ALONE if alone else _SHARED}-{os.urandom(8).hex()}"

    def renew() -> None:
        files.write(name, _holder(purpose))

    renew()
    try:
        infos = files.names(_MARKS)
        now_us = max(info.written_us for info in infos if info.name == name)
        for info in infos:
            excludes = info.name != name and (alone or info.name.startswith(f"{_MARKS}{_ALONE}"))
            if excludes and info.written_us > now_us - _DAY_US:
                stored = files.read(info.name)
                if stored is not None:
                    raise _busy(f"{info.name} in {files.where}", stored.content.decode(errors="replace").strip())
        yield renew
    finally:
        files.write(name, None)


def _holder(purpose: str) -> bytes:
    return f"{purpose}, process {os.getpid()} on {os.uname().nodename}\n".encode()


def _busy(where: str, holder: str) -> HomeBusy:
    return HomeBusy(
        f"{where} must be free, got a lock held by {holder or 'another process'}: run this again when that has ended "
        "(in an object store the file of a process that died is ignored after a day; it may be deleted earlier)",
        holder,
    )
