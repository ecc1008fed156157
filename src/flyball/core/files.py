"""Atomic writes of files, and a lock file that the system releases when its process dies."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from flyball.core.errors import HomeBusy


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically and durably: readers, also after a crash, see the old file or the new one.

    Where it fails nothing of it is left, so that a full disk does not stay full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in chunks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_TRIES, _PAUSE_S = 50, 0.0002


def lock_soon(descriptor: int) -> None:
    """Lock an open file that others lock for some microseconds at a time; closing it gives the lock back.

    Raises `BlockingIOError` where it is not free within 10 ms, such as when its holder was stopped.
    """
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        else:
            return
    raise BlockingIOError("the file is locked by a process that does not run")


_LOCK, _DAY_S = "lock", 86_400


@contextmanager
def work_folder(parent: Path, prefix: str, now_us: int) -> Iterator[Path]:
    """A new folder in `parent` that goes at the end, or by `remove_abandoned` after its process was killed."""
    remove_abandoned(parent, (prefix,), now_us)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with FileLock(folder / _LOCK, "work in this folder"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(parent: Path, prefixes: Sequence[str], now_us: int) -> list[Path]:
    """Remove the work folders whose process has ended, whose lock the system has released; returns them.

    One without a lock, which its process may be about to take, goes when it is a day old.
    """
    removed = []
    for folder in sorted(path for prefix in prefixes for path in parent.glob(f"{prefix}*") if path.is_dir()):
        try:
            if not (folder / _LOCK).exists() and now_us / 1e6 - folder.stat().st_mtime < _DAY_S:
                continue
            with FileLock(folder / _LOCK, "removal"):
                shutil.rmtree(folder, ignore_errors=True)
        except (HomeBusy, FileNotFoundError):  # its process works there, or has just removed it
            continue
        removed.append(folder)
    return removed


class FileLock:
    """An exclusive lock on a path, released by the operating system when the process dies.

    Raises `HomeBusy` at once when another process holds it. `purpose`: written into the file, for that message.
    """

    def __init__(self, path: Path, purpose: str) -> None:
        self.path, self.purpose = path, purpose
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            raise HomeBusy(
                f"{self.path} must be free, got a lock held by {holder or 'another process'}; "
                "end that one first, or work in another home",
                holder,
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{self.purpose}, process {os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
