"""The parts of a run: holdout, shared data, lineage, challengers."""

import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.learning.challengers import compared
from flyball.learning.lineage import UNKNOWN, code_state, dependencies, dependencies_hash
from flyball.learning.shared_data import read_data, write_data
from flyball.models import Interactions, Popular, Random
from flyball.tasks.recommend.holdout import holdouts
from flyball.tasks.recommend.training_data import interactions_of, training_data


def interactions(at_us: list[int], weights: list[float] | None = None) -> Interactions:
    n = len(at_us)
    return Interactions(
        users=[f"u{place}" for place in range(n)],
        items=["a", "ü b"],
        user_index=np.arange(n, dtype=np.int32),
        item_index=np.zeros(n, np.int32),
        weights=np.array(weights if weights is not None else [1.0] * n, np.float32),
        ratings=np.full(n, np.nan, np.float32),
        at_us=np.array(at_us, np.int64),
        user_group=np.full(n, -1, np.int32),
        groups=["g"],
        as_of_us=1_000,
    )


def test_the_first_window_holds_the_latest_fifth() -> None:
    found = holdouts(interactions(list(range(100, 110))))
    assert [(each.start_us, each.positives) for each in found] == [(108, 2), (107, 3), (106, 4), (105, 5)]
    assert {each.end_us for each in found} == {1_001}


def test_a_time_is_never_divided() -> None:
    found = holdouts(interactions([1, 2, 3, 4, 5, 6, 7, 9, 9, 9]))
    assert [(each.start_us, each.positives, each.share) for each in found] == [(9, 3, 0.3), (7, 4, 0.4), (6, 5, 0.5)]


def test_only_positives_count() -> None:
    data = interactions([1, 2, 3, 4, 500, 600], [1, 1, 1, 1, 0.25, 0])
    assert holdouts(data)[0].start_us == 4


@pytest.mark.parametrize("at_us", [[], [5], [5, 5, 5]])
def test_no_window_without_a_before(at_us: list[int]) -> None:
    assert holdouts(interactions(at_us)) == []


@given(st.lists(st.integers(0, 50), max_size=60))
def test_windows_widen_and_leave_something_to_learn_from(at_us: list[int]) -> None:
    found = holdouts(interactions(at_us))
    starts = [each.start_us for each in found]
    assert starts == sorted(set(starts), reverse=True)
    for each in found:
        inside = [at for at in at_us if each.start_us <= at < each.end_us]
        assert len(inside) == each.positives < len(at_us)


def test_what_is_passed_arrives_mapped_and_whole(tmp_path: Path) -> None:
    data = interactions([3, 1, 2])
    write_data(tmp_path / "data", training_data(data))
    found = interactions_of(read_data(tmp_path / "data"))
    for field in msgspec.structs.fields(Interactions):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(data, field.name))
    assert not found.at_us.flags.writeable


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_commit_of_the_application_and_whether_it_was_changed(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("one")
    git(tmp_path, "init")
    git(tmp_path, "add", "app.py")
    git(tmp_path, "commit", "-m", "one")
    state = code_state(file)
    assert len(state.commit) == 40
    assert not state.dirty
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "registry.db").write_text("not the application's code")
    assert not code_state(file).dirty
    file.write_text("two")
    assert code_state(file) == type(state)(state.commit, True)
    untracked = tmp_path / "other.py"
    untracked.write_text("three")
    assert code_state(untracked).dirty


def test_without_a_repository_or_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_state(tmp_path / "app.py").commit == UNKNOWN
    assert code_state(None).commit == UNKNOWN
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_state(Path(__file__)).commit == UNKNOWN


def test_the_dependencies_are_those_that_flyball_needs() -> None:
    found = [line.split("==")[0] for line in dependencies()]
    assert {"flyball", "numpy", "sqlalchemy", "mako"} <= set(found)
    assert {"scikit-learn", "skops"} <= set(found)  # an extra, which an estimator answers with
    assert "pytest" not in found
    assert dependencies() == sorted(dependencies())
    assert dependencies_hash() == dependencies_hash()
    assert dependencies("no-such-package") == []


BASELINES = {"random": Random(), "popular": Popular()}


def test_a_candidate_that_equals_a_baseline_is_both() -> None:
    popular = BASELINES["popular"]
    found = compared({"mine": popular}, BASELINES)
    assert (found.candidates, found.baselines) == (("mine",), ("random", "mine"))


def test_a_baseline_gives_way_to_a_candidate_of_its_name() -> None:
    other = msgspec.structs.replace(BASELINES["popular"], smoothing=1.0)
    found = compared({"popular": other}, BASELINES)
    assert found.baselines == ("random", "baseline:popular")
    assert found.models["popular"] == other
