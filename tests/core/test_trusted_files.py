"""Code of a file that somebody else may have written is not run."""

import os
from pathlib import Path

import pytest

from flyball.core import Refused, check_trusted_file, check_trusted_home

OTHER = 54_321


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text("")
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    return path


def test_an_own_file_is_trusted_whoever_reads_it_and_whichever_group_writes(file: Path) -> None:
    for mode in (0o600, 0o644, 0o664, 0o444):
        file.chmod(mode)
        check_trusted_file(file, "application file")


def test_a_file_that_everybody_may_write_is_refused_with_what_to_do(file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(Refused, match=r"application file .*shop.py must not be writable by everybody.*666: chmod o-w"):
        check_trusted_file(file, "application file")


def test_a_folder_in_which_it_can_be_replaced_is_refused_unless_it_is_sticky(file: Path) -> None:
    file.parent.chmod(0o777)
    with pytest.raises(Refused, match="folder of application file"):
        check_trusted_file(file, "application file")
    file.parent.chmod(0o1777)
    check_trusted_file(file, "application file")


def test_a_file_of_another_user_is_refused(file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file, OTHER, -1)
        reader = 0
    else:
        reader = OTHER
    with pytest.raises(Refused, match=rf"must be owned by you \(user {reader}\) or by root, .*got user"):
        check_trusted_file(file, "application file", reader)


@pytest.mark.parametrize("name", ["", "settings.toml", "registry.db"])
def test_a_home_that_others_may_write_is_refused(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    names = ["settings.toml", "registry.db"]
    check_trusted_home(home, names)  # none yet
    home.mkdir(0o700)
    check_trusted_home(home, names)
    path = home / name
    if name:
        path.write_text("")
    mode = path.stat().st_mode & 0o777
    path.chmod(mode | 0o002)
    with pytest.raises(Refused, match=rf"home {path} must not be writable by everybody, .*: chmod o-w {path}$"):
        check_trusted_home(home, names)
    path.chmod(mode | 0o020)
    check_trusted_home(home, names)
    reader = os.geteuid() or OTHER + 1
    os.chown(path, OTHER if os.geteuid() == 0 else -1, -1)
    with pytest.raises(Refused, match="must be owned by you"):
        check_trusted_home(home, names, reader if os.geteuid() == 0 else OTHER)
