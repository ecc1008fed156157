"""What child processes write into their log files, line by line, for whoever runs without a terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from flyball.operations.process_specs import log_path

MOST_BYTES = 64_000
"""Of one log at a time: a child that floods its log holds nothing up, and its file has the rest."""


class ChildLogs:
    """Follows the logs of the named children of a home, from where they end now."""

    def __init__(self, home: Path, names: Sequence[str]) -> None:
        self._paths = {name: log_path(home, name) for name in names}
        self._positions = {name: _size(path) for name, path in self._paths.items()}

    def read(self) -> Iterator[tuple[str, str]]:
        """(name, line) of every whole line written since the last call that holds anything."""
        for name, path in self._paths.items():
            size, position = _size(path), self._positions[name]
            if size < position:  # begun anew
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
