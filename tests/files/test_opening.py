"""Stores of files are opened by URL."""

from pathlib import Path

import pytest

from flyball.core import UnknownBackend
from flyball.files import LocalFiles, files_in, open_files


def test_a_folder_is_opened_as_it_is_and_below(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/history"
    assert open_files("history", url, tmp_path / "cache").folder == tmp_path / "history"
    assert (
        open_files("history", url + "/", tmp_path / "cache", "predictions").folder == tmp_path / "history/predictions"
    )


def test_another_scheme_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownBackend, match="history URL must start with one of az://, file://, gs://, s3://, got ftp"
    ):
        open_files("history", "ftp://host/history", tmp_path)


def test_a_path_is_a_store_of_files(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    assert files_in(files) is files
    assert files_in(tmp_path).folder == tmp_path
