"""Files in a folder of this machine."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flyball.core import BadSetting, StoreUnavailable, Url, write_atomic
from flyball.files.types import ABSENT, FileInfo, StoredFile

_LOCK = ".lock"
_UNAVAILABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class LocalFiles:
    """A folder, made when something is written. A tag is the SHA-256 of the content."""

    is_shared = False

    def __init__(self, folder: Path) -> None:
        self.folder, self.where = folder, str(folder)

    def read(self, name: str) -> StoredFile | None:
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        return StoredFile(content, hashlib.sha256(content).hexdigest())

    def write(self, name: str, content: bytes | Path | None, tag: str | None = None) -> None:
        path = self.folder / name
        if tag is not None:
            stored = self.read(name)
            if (stored.tag if stored else ABSENT) != tag:
                raise changed_meanwhile(str(path))
        if content is None:
            path.unlink(missing_ok=True)
        else:
            data = content.read_bytes() if isinstance(content, Path) else content
            try:
                write_atomic(path, data)
            except OSError as error:
                if error.errno not in _UNAVAILABLE:
                    raise
                must = "on a disk that has room and can be written to"
                raise StoreUnavailable(f"{path} must be {must}, got: {error.strerror}") from error

    def local(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(str(path))
        return path

    def names(self, prefix: str = "") -> list[FileInfo]:
        infos = []
        for folder, _, names in os.walk(self.folder / prefix.rpartition("/")[0]):
            for path in (Path(folder) / name for name in names if name != _LOCK):
                full = path.relative_to(self.folder).as_posix()
                if full.startswith(prefix):
                    stat = path.stat()
                    infos.append(FileInfo(full, stat.st_size, stat.st_mtime_ns // 1_000))
        return sorted(infos, key=lambda info: info.name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock of writers, waiting for it; the system releases it when the process dies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def open_local(url: Url, cache: Path) -> LocalFiles:
    """`file:///path/history`; needs no cache."""
    if not url.path:
        raise BadSetting("file:// must name a folder, such as file:///srv/shop/history, got no path")
    url.check_options(())
    return LocalFiles(Path(url.path))


def changed_meanwhile(where: str) -> StoreUnavailable:
    """The error of a write whose tag is not that of the present file."""
    return StoreUnavailable(
        f"{where} must be as it was read to be replaced, got one that another process wrote meanwhile: "
        "what was to be written is read and written again"
    )
