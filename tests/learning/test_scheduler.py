"""What is fitted, in which order, and what becomes of what is not needed any more."""

from types import SimpleNamespace
from typing import Any

import pytest

from flyball.core import ManualStopwatch
from flyball.learning import scheduler
from flyball.learning.fit import FitOrder, FitStage, Fitted
from flyball.learning.scheduler import FitScheduler


def order(stage: FitStage, name: str, events: str = "") -> FitOrder:
    return FitOrder(stage=stage, name=name, data="data", folder=f"{stage}/{name}", seed=1, events=events)


class Job(SimpleNamespace):
    """As much of a job as the scheduler needs; with one worker everything is fitted here."""

    def __init__(self) -> None:
        app = SimpleNamespace(source=None, gates=SimpleNamespace(max_fit_us=1))
        super().__init__(runtime=SimpleNamespace(app=app), workers=1, stopwatch=ManualStopwatch(), notes=[], said=[])

    def report(self, stage: str, words: str, candidate: str = "", seconds: float | None = None) -> None:
        self.said.append((stage, candidate, words))


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """(stage, name, what it is evaluated on) of every fit, in order; "bad" fails, "noted" has a note."""
    done: list[tuple[str, str, Any]] = []

    def fit(app: Any, order: FitOrder, evaluation: Any, stopwatch: Any) -> Fitted:
        done.append((order.stage, order.name, evaluation))
        if order.name == "bad":
            raise ValueError("no such column")
        return Fitted({}, 2_000_000, 0.5, note="left out 3 rows" if order.name == "noted" else "")

    monkeypatch.setattr(scheduler, "fit_challenger", fit)
    return done


def test_what_needs_the_past_comes_first_in_its_stage_and_stages_in_their_order(fits: list[Any]) -> None:
    orders = [order("fit", "quick"), order("fit", "long", events="past"), order("refit", "quick")]
    with FitScheduler(Job(), orders, {"fit": "examples"}) as running:  # type: ignore[dict-item, arg-type]
        assert list(running.results("fit", ["quick", "long"])) == ["quick", "long"]
        running.results("refit", ["quick"])
    assert fits == [("fit", "long", "examples"), ("fit", "quick", "examples"), ("refit", "quick", None)]


def test_a_failure_is_its_own_and_reported(fits: list[Any]) -> None:
    job = Job()
    with FitScheduler(job, [order("fit", "bad"), order("fit", "good")], {}) as running:  # type: ignore[arg-type]
        results = running.results("fit", ["bad", "good"])
    assert isinstance(results["bad"], ValueError)
    assert isinstance(results["good"], Fitted)
    assert job.said == [
        ("fit", "", "2 to fit, 1 at a time"),
        ("fit", "bad", "failed: ValueError: no such column"),
        ("fit", "good", "fitted, 2.0 MB"),
    ]


def test_what_no_name_asks_for_is_not_fitted(fits: list[Any]) -> None:
    orders = [order("fit", "a"), order("refit", "a"), order("refit", "b")]
    with FitScheduler(Job(), orders, {}) as running:  # type: ignore[arg-type]
        running.results("fit", ["a"])
        assert set(running.results("refit", ["b"])) == {"b"}
        assert running.results("refit", []) == {}
    assert [(stage, name) for stage, name, _ in fits] == [("fit", "a"), ("refit", "b")]


def test_results_are_kept_so_that_asking_again_fits_nothing_again(fits: list[Any]) -> None:
    with FitScheduler(Job(), [order("fit", "a")], {}) as running:  # type: ignore[arg-type]
        assert running.results("fit", ["a"]) == running.results("fit", ["a"])
    assert len(fits) == 1


def test_leaving_early_fits_nothing_more(fits: list[Any]) -> None:
    with FitScheduler(Job(), [order("fit", "a"), order("refit", "a")], {}) as running:  # type: ignore[arg-type]
        running.results("fit", ["a"])
    assert [stage for stage, _, _ in fits] == ["fit"]


def test_a_note_of_what_will_serve_is_one_of_the_run(fits: list[Any]) -> None:
    job = Job()
    orders = [order("fit", "noted"), order("refit", "noted")]
    with FitScheduler(job, orders, {}) as running:  # type: ignore[arg-type]
        running.results("fit", ["noted"])
        assert job.notes == []
        running.results("refit", ["noted"])
    assert job.notes == ["noted: left out 3 rows"]
    assert ("fit", "noted", "fitted, 2.0 MB; left out 3 rows") in job.said
