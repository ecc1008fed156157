"""A folder keeps the contract of the stores of files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flyball.core import BadSetting, parse_url
from flyball.files import ABSENT, FileInfo, LocalFiles
from flyball.files.local import open_local
from flyball.testing.files_contract import CHECKS, Open


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Open], None], tmp_path: Path) -> None:
    check(lambda: LocalFiles(tmp_path / "files"))


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path / "files")
    assert files.read("a") is None
    assert files.names("parts/") == []
    assert not files.folder.exists()


def test_the_lock_is_no_file_of_the_store(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    with files.writing():
        files.write("a", b"1", ABSENT)
    assert [info.name for info in files.names()] == ["a"]


def test_a_url_must_name_a_folder() -> None:
    with pytest.raises(BadSetting, match="must name a folder"):
        open_local(parse_url("file://"), Path("unused"))


def test_a_listing_has_sizes(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.write("a", b"12345")
    (info,) = files.names()
    assert info == FileInfo("a", 5, (tmp_path / "a").stat().st_mtime_ns // 1_000)
