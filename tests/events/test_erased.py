"""An erasure waits for what was checked before it, and for nothing that was checked later."""

import os
import threading
from pathlib import Path

import pytest
from tests.processes import until

from flyball.core import StoreUnavailable
from flyball.events import ErasedPeople
from flyball.events import erased as module


def erased_in(path: Path) -> threading.Thread:
    """Another process that erases somebody."""
    thread = threading.Thread(target=lambda: ErasedPeople(path).add([("user", "42")], 1))
    thread.start()
    return thread


@pytest.mark.parametrize("is_first", [True, False])
def test_it_waits_for_those_who_checked_before_and_later_ones_do_not_keep_it(tmp_path: Path, is_first: bool) -> None:
    path, people = tmp_path / "erased.json", ErasedPeople(tmp_path / "erased.json")
    if not is_first:
        people.add([("user", "7")], 1)
    before = path.stat().st_ino if path.exists() else 0
    with people.holding():
        thread = erased_in(path)
        until(lambda: path.exists() and path.stat().st_ino != before)
        assert thread.is_alive()
        later = people.holding()
        later.__enter__()
    thread.join(10)
    assert not thread.is_alive(), "the later one still holds its lock"
    later.__exit__(None, None, None)
    assert len(os.listdir("/proc/self/fd")) < 500


def test_one_that_is_never_stored_is_an_error_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRIES", 2)
    people = ErasedPeople(tmp_path / "erased.json")
    with people.holding(), pytest.raises(StoreUnavailable, match="stored within a minute .* run the command again"):
        people.add([("user", "42")], 1)
