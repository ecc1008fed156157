"""Files appear whole, locks end with their process, counters add up, backends are found by URL."""

import json
import operator
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
    run_parallel,
    sha256_file,
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


@pytest.mark.parametrize("workers", [1, 2])
def test_parallel_work_yields_results_and_errors(workers: int) -> None:
    found = dict(run_parallel(operator.floordiv, [(4, 2), (1, 0), (9, 3)], workers))
    assert found[0] == 2
    assert found[2] == 3
    assert isinstance(found[1], ZeroDivisionError)
