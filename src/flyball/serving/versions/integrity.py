"""Detects changes of the files of loaded versions."""

from collections.abc import Iterable
from pathlib import Path

Print = tuple[int, int, int]
"""Size, time of the last change in nanoseconds, and inode of a file."""


class ArtifactFiles:
    """Remembers size, time and inode of each version's files; a check costs one stat for each file."""

    def __init__(self) -> None:
        self._prints: dict[str, dict[str, Print | None]] = {}

    def note(self, version: str, folder: Path, names: Iterable[str]) -> None:
        """Remember the present files; call it before they are verified, so that no change is missed in between."""
        self._prints[version] = {str(folder / name): _print_of(folder / name) for name in names}

    def forget(self, kept: Iterable[str]) -> None:
        """Forget all versions but `kept`."""
        self._prints = {version: self._prints[version] for version in kept if version in self._prints}

    def changed(self, version: str) -> bool:
        """Whether a file has changed since it was noted; a deleted file has not, as it is still mapped in memory."""
        now = {path: _print_of(Path(path)) for path in self._prints.get(version, {})}
        return any(
            print_now is not None and print_now != self._prints[version][path] for path, print_now in now.items()
        )

    def gone(self, version: str) -> list[str]:
        """The files that are no longer there."""
        return [path for path in self._prints.get(version, {}) if _print_of(Path(path)) is None]


def _print_of(path: Path) -> Print | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
