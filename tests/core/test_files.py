"""Files appear whole, locks end with their process, counters add up, backends are found by URL."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flyball.core import (
    BadSetting,
    Counters,
    FileLock,
    HomeBusy,
    UnknownBackend,
    load_backend,
    parse_url,
    remove_abandoned,
    sha256_file,
    work_folder,
    write_atomic,
)


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_sha256_of_the_standards_example(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-4, appendix B.1
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_second_process_finds_the_lock_held_and_by_whom(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from flyball.core import FileLock, HomeBusy\n"
        "try:\n    FileLock(Path(sys.argv[1]), 'second').__enter__()\nexcept HomeBusy as error: print(error)"
    )
    with FileLock(tmp_path / "lock", "first"):
        said = subprocess.run([sys.executable, "-c", script, str(tmp_path / "lock")], capture_output=True, text=True)
        assert "held by first, process" in said.stdout
        assert "; end that one first, or work in another home" in said.stdout
    with FileLock(tmp_path / "lock", "third"):
        pass


def test_the_lock_is_free_after_its_holder_left(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock", "first"), pytest.raises(HomeBusy):
        FileLock(tmp_path / "lock", "second").__enter__()
    FileLock(tmp_path / "lock", "second").__enter__()


def test_counters_of_several_processes_add_up_and_survive_a_restart(tmp_path: Path) -> None:
    bounds = [1.0, 10.0]
    names = ["asked", *Counters.histogram_names("ms", bounds)]
    first, second = Counters(tmp_path, "one", names), Counters(tmp_path, "two", names)
    first.add("asked", 3)
    second.add("asked")
    for value in (0.5, 1.0, 5.0, 99.0):
        second.observe("ms", value, bounds)
    assert Counters(tmp_path, "one", names).get("asked") == 3
    total = Counters.sum(tmp_path)
    assert total["asked"] == 4
    histogram = Counters.histogram(total, "ms", bounds)
    assert histogram.counts == [2, 1, 1]
    assert histogram.percentile(0.5) == 1.0
    assert Counters.histogram({}, "ms", bounds).percentile(0.5) is None


def test_a_process_lives_as_long_as_it_keeps_counters(tmp_path: Path) -> None:
    assert Counters.living(tmp_path) == set()
    first, second = Counters(tmp_path, "one", ["a"]), Counters(tmp_path, "two", ["a"])
    assert Counters.living(tmp_path) == {"one", "two"}
    again = Counters(tmp_path, "one", ["a"])  # restarted while the one before still ends
    first.add("a")
    del first, second
    assert Counters.living(tmp_path) == {"one"}
    assert again.get("a") == 1
    killed = "import os, sys, pathlib; from flyball.core import Counters; "
    killed += "kept = Counters(pathlib.Path(sys.argv[1]), 'three', ['a']); kept.add('a'); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False).returncode == -9
    assert Counters.living(tmp_path) == {"one"}
    assert Counters.sum(tmp_path) == {"a": 2}


def test_changed_names_start_a_fresh_file(tmp_path: Path) -> None:
    Counters(tmp_path, "one", ["a"]).add("a")
    assert Counters(tmp_path, "one", ["b", "a"]).get("a") == 0


def test_urls() -> None:
    url = parse_url("sqlite:///a/b.db?partitions=4")
    assert (url.scheme, url.path, url.integer("partitions", 1), url.integer("other", 7)) == ("sqlite", "/a/b.db", 4, 7)
    with pytest.raises(BadSetting, match="scheme://path"):
        parse_url("events.db")
    with pytest.raises(BadSetting, match="whole number"):
        parse_url("sqlite:///a?partitions=x").integer("partitions", 1)
    with pytest.raises(UnknownBackend, match="must start with one of lmdb://, memory://, got redis://"):
        load_backend("state store", {"memory": "a:b", "lmdb": "c:d"}, "redis")
    assert load_backend("decoder", {"json": "json:JSONDecoder"}, "json") is json.JSONDecoder


DAY_US = 86_400_000_000


def test_a_work_folder_goes_at_the_end_also_of_work_that_fails(tmp_path: Path) -> None:
    with work_folder(tmp_path, "search-", 0) as folder:
        (folder / "data").write_text("rows")
        assert folder.parent == tmp_path
    with pytest.raises(ZeroDivisionError), work_folder(tmp_path, "search-", 0):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_at_the_next_start_and_nothing_that_is_in_use(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from flyball.core import work_folder;"
        "work = work_folder(pathlib.Path(sys.argv[1]), 'search-', 0); folder = work.__enter__();"
        "(folder / 'data').write_text('rows'); print(folder, flush=True); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    assert (left / "data").exists()
    (tmp_path / "state").mkdir()
    unlocked = tmp_path / "backtest-of-before"
    unlocked.mkdir()
    now_us = int(unlocked.stat().st_mtime * 1e6)
    with work_folder(tmp_path, "backtest-", now_us) as used:
        assert remove_abandoned(tmp_path, ("search-", "backtest-"), now_us + DAY_US - 1_000_000) == [left]
        assert remove_abandoned(tmp_path, ("search-", "backtest-"), now_us + DAY_US + 1_000_000) == [unlocked]
        assert used.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
