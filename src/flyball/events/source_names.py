"""Where each event came from: a number in the flags of its record, and the names of the numbers.

A number is a hash of the name, so that processes need not agree on it; the names lie in a file that each adds to. Files
of one kind that differ in their dates only, such as `shop-2026-11-01.csv`, are one source.
"""

import re
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

_SHIFT, _BYTES = 32, 3
SOURCE_FLAGS = ((1 << 8 * _BYTES) - 1) << _SHIFT
"""The bits of `Record.flags` that hold the number of the source; 0 for an event of unknown source."""

_DIGITS = re.compile(r"\d+(?:[-_.:TZ ]*\d+)*Z?")


def source_kind(name: str) -> str:
    """The name of a source without folders and dates.

    >>> source_kind("/data/in/shop-2026-11-01T12.csv"), source_kind("http")
    ('shop-*.csv', 'http')
    """
    return " ".join(_DIGITS.sub("*", name.rpartition("/")[2]).split()) or name


def source_flags(name: str) -> int:
    """The flags of records that came from a source."""
    digest = blake2b(source_kind(name).encode(), digest_size=_BYTES).digest()
    return max(int.from_bytes(digest, "big"), 1) << _SHIFT


class SourceNames:
    """The names of sources by their flags, in a file to which any process may add a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted: set[str] = set()

    def note(self, name: str) -> None:
        """Keep the name of a source. Where it cannot be written, findings name its number instead."""
        kind = source_kind(name)
        if kind in self._noted:
            return
        self._noted.add(kind)
        with suppress(OSError):
            if source_flags(kind) not in self.names():
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab", buffering=0) as file:  # one write, so that lines of two are not mixed
                    file.write(f"{kind}\n".encode())

    def names(self) -> dict[int, str]:
        """{flags: name}, empty without a file that can be read."""
        try:
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return {}
        return {source_flags(line): line for line in lines if line}
