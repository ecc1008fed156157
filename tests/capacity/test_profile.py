"""Measurements are kept in a file and read again as they were."""

from pathlib import Path

import pytest
from tests.capacity.planted import planted_profile, with_format

from flyball.capacity import read_profile, write_profile
from flyball.core import BadInput, NotFound


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    profile = planted_profile(log_bytes=None)
    write_profile(tmp_path / "new" / "movies.json", profile)
    assert read_profile(tmp_path / "new" / "movies.json") == profile
    assert profile.law("log_bytes", "events") is None


def test_a_profile_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="flyball plan APP --measure makes them"):
        read_profile(tmp_path / "movies.json")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": 3}'])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "movies.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="measure again"):
        read_profile(path)


def test_a_profile_of_another_format_is_refused(tmp_path: Path) -> None:
    write_profile(tmp_path / "movies.json", with_format(planted_profile(), 99))
    with pytest.raises(BadInput, match="must be of format 3"):
        read_profile(tmp_path / "movies.json")
