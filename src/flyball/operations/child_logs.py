"""Reads the log files of child processes, line by line, to show them where there is no terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from flyball.operations.process_specs import log_path

MOST_BYTES = 64_000
"""The most bytes read from one log at a time, so that a child that floods its log delays nothing."""


class ChildLogs:
    """Follows the log files of the named children of a home, from their present ends."""

    def __init__(self, home: Path, names: Sequence[str]) -> None:
        self._paths = {name: log_path(home, name) for name in names}
        self._positions = {name: _size(path) for name, path in self._paths.items()}

    def read(self) -> Iterator[tuple[str, str]]:
        """Yield (name, line) of every complete, nonempty line written since the last call."""
        for name, path in self._paths.items():
            size, position = _size(path), self._positions[name]
            if size < position:  # the file was replaced
                position = 0
            if size == position:
                continue
            with open(path, "rb") as file:
                file.seek(position)
                data = file.read(MOST_BYTES)
            lines = data[: data.rfind(b"\n") + 1] or (data if len(data) == MOST_BYTES else b"")
            self._positions[name] = position + len(lines)
            for line in lines.decode(errors="replace").splitlines():
                if line.strip():
                    yield name, line.rstrip()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
