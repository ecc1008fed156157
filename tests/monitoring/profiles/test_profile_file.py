"""Profiles come back from their file as they were, and other files are refused."""

from pathlib import Path

import msgspec
import polars as pl
import pytest

from flyball.core import BadInput
from flyball.monitoring import TableProfile, WindowProfiles, read_profiles, write_profiles


def windows(*starts: int) -> WindowProfiles:
    return WindowProfiles(10, {start: TableProfile.of(pl.DataFrame({"a": [start, None]})) for start in starts})


def test_profiles_come_back_as_they_were(tmp_path: Path) -> None:
    write_profiles(tmp_path / "a.profile", windows(20, 0, 10))
    read = read_profiles(tmp_path / "a.profile")
    assert read == windows(20, 0, 10)
    assert [window.columns["a"].numbers.mean for window in read.in_order()] == [0, 10, 20]
    assert read.merged().columns["a"].missing == 3


def test_windows_merge_by_their_start() -> None:
    merged = windows(0, 10).merge(windows(10, 20))
    assert {start: window.rows for start, window in merged.windows.items()} == {0: 2, 10: 4, 20: 2}
    with pytest.raises(BadInput, match="length of windows must be 10 us"):
        windows(0).merge(WindowProfiles(5, {}))


@pytest.mark.parametrize(
    "data", [b"", b"nothing", msgspec.msgpack.encode({"windows": 1}), b"\xc1", b"\x93\x01\x02\x03"]
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "b.profile"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"b\.profile must be a file that flyball profiles show --out wrote"):
        read_profiles(path)


def test_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "c.profile"
    path.write_bytes(msgspec.msgpack.encode({"format": 99}))
    with pytest.raises(BadInput, match="must be 1; write it again with flyball profiles show, got 99"):
        read_profiles(path)
