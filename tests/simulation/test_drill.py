"""Drills plant what they say, repeat with their seed, and the release does what it must."""

from copy import copy
from functools import cache
from typing import Any

import pytest
from scipy.stats import norm

from flyball.app import load_app
from flyball.core import BadInput
from flyball.experiments import Baseline, MetricResult
from flyball.releases import Release
from flyball.simulation import DRILLS, DrillReport, run_drill
from flyball.simulation.drill import _resolution, silent_limit
from flyball.statistics import BURN_IN, Inference


def test_an_unknown_drill_names_those_there_are() -> None:
    with pytest.raises(BadInput, match="bad-release, slow-release, crashing-release, silent-degradation, no-effect"):
        run_drill(load_app("movies"), "mild-release")


APPS = ("delivery", "fraud", "movies")
LOUD = ("bad-release", "slow-release", "crashing-release")


@cache
def drilled(app: str, name: str, seed: int = 1, **settings: Any) -> DrillReport:
    return run_drill(load_app(app), name, seed=seed, **settings)


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("name", LOUD)
def test_a_fault_that_answers_show_is_stopped_in_the_first_step(app: str, name: str) -> None:
    report = drilled(app, name)
    assert report.passed, report.text()
    assert [event.what for event in report.events] == ["start, now canary at 20 %", "abort, now aborted"]
    assert 0 < report.struck <= report.answers < 200
    assert report.struck_units <= report.units <= report.answers < report.all_answers
    assert report.outcome == "aborted"
    assert f"the fault struck {report.struck} answers, of {report.struck_units} units, 200 accepted" in report.text()


def test_a_candidate_that_its_gates_reject_is_drilled_all_the_same() -> None:
    app = copy(load_app("delivery"))
    app.candidates = {"trees": app.candidates["trees"]}  # its intervals cover too little after three days of orders
    report = run_drill(app, "crashing-release", seed=2, days=1)
    assert report.passed, report.text()
    (finding,) = report.findings
    assert finding.startswith("the champion of this drill failed a gate: coverage is 0.")


@pytest.mark.parametrize("app", ["delivery", "movies"])  # fraud has to wait ten virtual days for the traffic
def test_a_good_release_is_promoted(app: str) -> None:
    report = drilled(app, "good-release")
    assert report.passed, report.text()
    assert report.events[-1].what == "promote, now champion"
    assert report.outcome == "promoted"


@pytest.mark.parametrize(
    ("missing", "words"), [("", "an effect of 0.3 or more"), ("20 more units", "not have shown an effect of any size")]
)
def test_what_could_have_been_seen_waits_for_what_is_missing(missing: str, words: str) -> None:
    known = Inference("m", "anytime", 0.1, -0.2, 0.4, 0.5, 0.05, 10, 10, missing=missing)
    result = MetricResult(metric="liked", arm="b", role="primary", kind="rate", better="high", inference=known)
    assert words in _resolution(result)


@pytest.mark.parametrize("app", APPS)
def test_no_effect_is_never_called_a_win_and_it_is_said_what_could_have_been_seen(app: str) -> None:
    report = drilled(app, "no-effect", days=1)
    assert report.passed, report.text()
    assert "better" not in report.outcome
    assert any("could not have shown" in finding or "would have shown" in finding for finding in report.findings)


def test_a_fault_that_only_outcomes_show_is_stopped() -> None:
    report = drilled("delivery", "silent-degradation")
    assert report.passed, report.text()
    assert report.struck == report.answers < 3_000


def test_a_silent_fault_that_is_not_stopped_in_time_fails_and_says_what_was_missing() -> None:
    report = drilled("delivery", "silent-degradation", days=1)
    assert (report.passed, report.outcome) == (False, "canary at 20 % (step 1 of 3)")
    assert any(finding.startswith("not shown yet: ") for finding in report.findings)
    assert "FAILED: it must be stopped; it is canary at 20 % (step 1 of 3)" in report.text()


def test_the_limit_of_a_silent_fault_is_what_a_test_needs_and_what_passes_while_it_waits() -> None:
    release = Release(
        id="rel1",
        kind="canary",
        state="canary",
        arms=(),
        salt="s",
        steps=(2_000, 10_000),
        constants={"n_best": 2_000.0},
    )
    share, margin, variance = 0.2, 0.05, 0.25
    limit = silent_limit(release, Baseline(0.5, variance, 900), margin, 1.0, 0.0)
    both = norm.isf(0.025) + norm.isf(0.1)
    one_look = both**2 * variance / (share * (1 - share) * margin**2) * share
    assert one_look < limit < 3 * one_look, "more than for one look, but not by much"
    assert silent_limit(release, Baseline(0.5, variance, 900), margin, 2.0, 70.0) == pytest.approx(
        2 * limit + 70, abs=2
    )
    assert silent_limit(release, Baseline(0.5, variance, 900), 10.0, 1.0, 0.0) == BURN_IN


def test_the_same_seed_gives_the_same_drill() -> None:
    first = drilled("delivery", "crashing-release")
    again = run_drill(load_app("delivery"), "crashing-release", seed=1)
    assert (first.digest, first.events, first.answers) == (again.digest, again.events, again.answers)
    other = drilled("delivery", "crashing-release", seed=2)
    assert other.digest != first.digest
    assert other.passed
    assert set(DRILLS) >= {first.drill}
