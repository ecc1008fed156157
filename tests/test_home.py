"""The URLs of a home lead to its own files, whatever its folder is called."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import FileLock, Refused, parse_url
from flyball.home import HomeLayout, check_own_home, interrupted_removal
from flyball.settings import STORES

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(NAMES.filter(lambda name: name not in (".", "..")))
def test_every_store_lies_in_the_folder(name: str) -> None:
    layout = HomeLayout(Path("/srv") / name)
    for store in STORES:
        assert Path(parse_url(getattr(layout, store)).path).parent == layout.folder, store


@pytest.mark.parametrize("name", ["c#", "50%", "what?", "a b", "café", "a&b=c", "a@b:c"])
def test_names_that_mean_something_in_urls(name: str) -> None:
    assert parse_url(HomeLayout(Path("/srv") / name).events).path == f"/srv/{name}/events.db"


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("erase", "flyball erase APP --continue"),
        ("ingest undo", "flyball ingest undo APP monday"),
        ("retention", "flyball retention APP"),
    ],
)
def test_a_removal_that_nothing_carries_out_is_interrupted(tmp_path: Path, action: str, command: str) -> None:
    layout = HomeLayout(tmp_path)
    assert interrupted_removal(layout) == ""
    layout.removal.mkdir()
    layout.removal_plan.write_text(f'{{"action": "{action}", "subject": "monday"}}')
    assert interrupted_removal(layout).startswith(f"a removal was interrupted: {command} completes it")
    with FileLock(layout.removal_lock, "a removal"):
        assert interrupted_removal(layout) == ""


def test_a_home_that_others_may_write_is_refused(tmp_path: Path) -> None:
    check_own_home(tmp_path / "none")
    tmp_path.chmod(0o700)
    (tmp_path / "settings.toml").write_text("")
    (tmp_path / "settings.toml").chmod(0o666)
    with pytest.raises(Refused, match="must not be writable by everybody"):
        check_own_home(tmp_path)
