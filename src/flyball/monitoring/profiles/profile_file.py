"""Profiles of the windows of a table, and the file that holds them."""

from functools import reduce
from pathlib import Path

import msgspec
from msgspec import Struct

from flyball.core import BadInput, write_atomic
from flyball.monitoring.profiles.table import TableProfile

FORMAT = 1
ENDING = ".profile"


class WindowProfiles(Struct, frozen=True):
    """The profile of each window of time, by its start in microseconds since 1970; a single one without times.

    `window_us`: the length of a window, 0 without times.
    """

    window_us: int = 0
    windows: dict[int, TableProfile] = {}
    format: int = FORMAT

    def merged(self) -> TableProfile:
        """The profile of all windows together."""
        return reduce(TableProfile.merge, self.in_order(), TableProfile())

    def in_order(self) -> list[TableProfile]:
        """The profiles, that of the earliest window first."""
        return [self.windows[start] for start in sorted(self.windows)]

    def merge(self, other: "WindowProfiles") -> "WindowProfiles":
        """The profiles of both tables, one below the other. Raises `BadInput` for windows of another length."""
        if self.window_us != other.window_us:
            raise BadInput("length of windows", f"{self.window_us} us, as of the other profiles", other.window_us)
        starts = {*self.windows, *other.windows}
        empty = TableProfile()
        windows = {start: self.windows.get(start, empty).merge(other.windows.get(start, empty)) for start in starts}
        return WindowProfiles(self.window_us, windows)

    def beside(self, other: "WindowProfiles") -> "WindowProfiles":
        """The profiles of one table, `other` those of further columns of the same rows."""
        windows = {start: window.beside(other.windows[start]) for start, window in self.windows.items()}
        return WindowProfiles(self.window_us, windows)


def write_profiles(path: Path, profiles: WindowProfiles) -> None:
    """Write `profiles` to `path`; whole or not at all."""
    write_atomic(path, msgspec.msgpack.encode(profiles))


def read_profiles(path: Path) -> WindowProfiles:
    """The profiles in `path`. Raises `BadInput` for a file that holds none, or some of another format."""
    data = path.read_bytes()
    try:
        head = msgspec.msgpack.decode(data, strict=False)
        if isinstance(head, dict) and head.get("format", FORMAT) != FORMAT:
            raise BadInput(f"format of {path}", f"{FORMAT}; write it again with flyball profiles show", head["format"])
        return msgspec.msgpack.decode(data, type=WindowProfiles)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        raise BadInput(f"{path}", "a file that flyball profiles show --out wrote", data[:20]) from None
