"""A running instance says whether it can use the stores of another home, as it reads that home's settings."""

from pathlib import Path

import pytest
from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.operations import ask_reach, store_urls
from flyball.operations.process_specs import ReachQuestion, UpReport, write_report
from flyball.operations.reach import ReachAnswers, reach_of
from flyball.runtime import Runtime, load_settings

APP = CINEMA + (
    'app = fb.App("cinema", events=[Watch], task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), '
    'positive=fb.outcome(Watch, within="1d")), candidates={"popular": fb.Popular()})\n'
)


class Hurried:
    """A stopwatch on which ten seconds pass between two looks."""

    now_s = 0.0

    def read_s(self) -> float:
        self.now_s += 10.0
        return self.now_s


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    (tmp_path / "cinema.py").write_text(APP)
    (tmp_path / "second").mkdir()
    return Runtime(load_app(str(tmp_path / "cinema.py"), {}), load_settings(tmp_path / "first"), ManualClock(0))


def with_settings(folder: Path, text: str) -> ReachQuestion:
    (folder / "second" / "settings.toml").write_text(text)
    return ReachQuestion(str(folder / "second"), "5")


def test_stores_that_can_be_used_are_named_without_secrets(runtime: Runtime, tmp_path: Path) -> None:
    reach = reach_of(runtime, with_settings(tmp_path, 'zone = "Europe/Paris"\n'))
    assert reach.troubles == {}
    assert reach.stores == store_urls(Runtime(runtime.app, load_settings(tmp_path / "second"), runtime.clock))
    secret = Runtime(
        runtime.app, load_settings(tmp_path / "x", options={"state": "redis://ann:s3cret@cache:1/0"}), runtime.clock
    )
    assert store_urls(secret)["state"] == "redis://ann:***@cache:1/0"


def test_a_store_that_cannot_be_used_is_named_with_the_reason(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    reach = reach_of(runtime, with_settings(tmp_path, f'registry = "sqlite://{tmp_path}/taken/registry.db"\n'))
    assert list(reach.troubles) == ["registry"]
    unknown = reach_of(runtime, with_settings(tmp_path, 'wrong = "red"\n'))
    assert list(unknown.troubles) == ["settings"]
    assert "got 'wrong'" in unknown.troubles["settings"]


def test_each_question_is_answered_once_and_others_get_no_answer(runtime: Runtime, tmp_path: Path) -> None:
    answers = ReachAnswers(runtime)
    answers.step()
    assert answers.answer is None
    assert ask_reach(runtime, tmp_path / "second", "7", Hurried(), 60.0) is None
    answers.step()
    assert answers._thread is not None
    answers._thread.join()
    answers.step()
    assert answers.answer is not None
    assert answers.answer.id == "7"
    write_report(runtime.home, "up", UpReport(0, 1, 1, 0, [], {}, answers.answer))
    assert ask_reach(runtime, tmp_path / "second", "7", Hurried(), 60.0) == answers.answer
    assert ask_reach(runtime, tmp_path / "second", "8", Hurried(), 60.0) is None
