"""What newer data is worth is seen beside the champion as it serves, though its recipe is the same."""

from pathlib import Path

import pytest
from tests.learning.changing import START_US, changing, filled
from tests.tasks.predict.city import DAY_US

import flyball as fb
from flyball.learning import LearnReport, learn
from flyball.runtime import Runtime

CHANGE_DAY, END_DAY = 36, 40


def learned_twice(folder: Path, slower: float, first_day: int, **candidates: fb.Linear) -> tuple[LearnReport, Runtime]:
    """The second run: the first one's champion had learned on `first_day`, kitchens are slower from day 36 on."""
    app = changing(candidates={"linear": fb.Linear(), **candidates}, change_day=CHANGE_DAY, slower=slower)
    runtime = filled(folder, app, END_DAY)
    first = learn(runtime, START_US + first_day * DAY_US, workers=1)
    assert first.champion == "v1", first.reason
    return learn(runtime, workers=1), runtime


def gate(report: LearnReport, name: str, candidate: str = "linear") -> dict[str, object]:
    (described,) = (each for each in report.candidates if each.name == candidate)
    return next((gate for gate in described.gates if gate["name"] == name), {})


def test_after_a_change_newer_data_is_better_than_what_serves_though_the_recipe_is_equal(tmp_path: Path) -> None:
    report, _ = learned_twice(tmp_path, slower=15.0, first_day=35)
    assert report.evaluation["differences"]["mae"]["linear"]["champion:v1"]["value"] == 0.0
    served = report.served
    assert served is not None
    assert served.missing == ""
    assert (served.version, served.candidate, served.metric) == ("v1", "linear", "mae")
    assert served.difference is not None
    assert served.champion is not None
    assert served.difference.high is not None
    assert served.difference.high < 0, str(served)
    # of orders since the change the champion is 15 minutes wrong, and its like was fitted on 1.5 days of them at most
    assert served.champion.value > 10, str(served)
    held = gate(report, "holds_served_champion")
    assert held["passed"], held
    assert "which neither has seen" in str(held["reason"])
    assert "which is this model" in str(gate(report, "holds_champion")["reason"])


def test_nobody_had_seen_the_requests_that_they_are_compared_on(tmp_path: Path) -> None:
    report, runtime = learned_twice(tmp_path, slower=15.0, first_day=35)
    served = report.served
    assert served is not None
    champion_us = runtime.registry.version("v1").as_of_us
    assert champion_us < served.from_us < report.as_of_us
    orders_since = (report.as_of_us - champion_us) / DAY_US * 200
    assert served.requests == pytest.approx(orders_since / 2, rel=0.2), "the later half of what came since"
    assert served.from_us - champion_us == pytest.approx((report.as_of_us - champion_us) / 2, rel=0.2)


def test_without_a_change_neither_is_better(tmp_path: Path) -> None:
    report, _ = learned_twice(tmp_path, slower=0.0, first_day=35)
    assert report.served is not None
    difference = report.served.difference
    assert difference is not None
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low <= 0.05, str(report.served)
    assert difference.high >= -0.05, str(report.served)
    assert gate(report, "holds_served_champion")["passed"]


def test_too_little_since_it_was_learned_is_said_and_rejects_nothing(tmp_path: Path) -> None:
    app = changing(candidates={"linear": fb.Linear()})
    runtime = filled(tmp_path, app, END_DAY)
    learn(runtime, runtime.clock.now_us() - 60_000_000, workers=1)
    report = learn(runtime, workers=1)
    assert report.served is not None
    assert "is not compared with v1 as it serves: since it was learned, " in str(report.served)
    assert gate(report, "holds_served_champion") == {}
    assert gate(report, "holds_champion")["passed"]


def test_an_old_champion_is_compared_as_it_is_with_all_candidates(tmp_path: Path) -> None:
    report, _ = learned_twice(tmp_path, slower=15.0, first_day=20)
    assert report.served is None
    assert report.evaluation["differences"]["mae"]["linear"]["champion:v1"]["value"] != 0.0
    assert gate(report, "holds_served_champion") == {}
