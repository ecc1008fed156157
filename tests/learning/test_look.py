"""What is measured for triggers: labels against a count by hand, and an interval that holds at every look."""

from pathlib import Path

import numpy as np
import pytest
from tests.learning.changing import START_US, changing, filled

import flyball as fb
from flyball.core import ManualStopwatch
from flyball.evaluation import CHAMPION, Estimate, Evaluated, Report
from flyball.learning import learn, measure_evidence, worsening_of
from flyball.policy import trigger_text
from flyball.runtime import Runtime
from flyball.simulation import DAY_US

SPAN_US = 6 * 3_600_000_000
VOLUME, PERFORMANCE = fb.on_volume(100), fb.on_performance("mae", worse_by="5%")


@pytest.fixture(scope="module")
def slowed(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Learned after six days; from the seventh on everything takes four minutes more."""
    folder = tmp_path_factory.mktemp("slowed")
    runtime = filled(folder, changing([VOLUME, PERFORMANCE], change_day=7.0, slower=4.0), 9)
    assert learn(runtime, START_US + 6 * DAY_US, workers=1).released
    return runtime


def test_new_labels_are_the_requests_whose_span_has_passed_since(slowed: Runtime) -> None:
    now_us = slowed.clock.now_us()
    evidence = measure_evidence(slowed, now_us, ManualStopwatch())
    known_us = START_US + 6 * DAY_US
    became_final = [at_us for at_us in order_times(slowed) if known_us - SPAN_US < at_us <= now_us - SPAN_US]
    assert (evidence.champion, evidence.known_us, evidence.at_us) == ("v1", START_US + 6 * DAY_US, now_us)
    assert evidence.labels == len(became_final)


def order_times(runtime: Runtime) -> list[int]:
    """The times of all orders in the log."""
    from flyball.learning.job import Job
    from flyball.learning.look import _past
    from flyball.learning.report import Progress
    from flyball.registry import Run

    def silent(step: Progress) -> None:
        return

    now_us = runtime.clock.now_us()
    run = Run(id="", app="changing", as_of_us=now_us, started_us=now_us, status="running")
    past = _past(Job(runtime, run, silent, 1, 0, "test", ManualStopwatch()))
    return [int(at) for at in past.events("order")["at"].to_physical()]


def test_a_planted_loss_is_seen_against_the_champions_own_evaluation(slowed: Runtime) -> None:
    evidence = measure_evidence(slowed, slowed.clock.now_us(), ManualStopwatch())
    measured = evidence.worsening[trigger_text(PERFORMANCE)]
    own = slowed.registry.version("v1").metrics["mae"]["value"]
    assert measured.own == own
    assert measured.live > own + 1.0, "two of three days are slower by four minutes"
    assert measured.low is not None
    assert 0 < measured.low < measured.worse == pytest.approx(measured.live - own)


def test_before_the_change_nothing_is_worse(slowed: Runtime) -> None:
    evidence = measure_evidence(slowed, START_US + 7 * DAY_US, ManualStopwatch())
    measured = evidence.worsening[trigger_text(PERFORMANCE)]
    assert measured.low is not None
    assert measured.low < 0


def test_without_a_champion_there_is_nothing_to_measure(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing([VOLUME]), 1)
    evidence = measure_evidence(runtime, runtime.clock.now_us(), ManualStopwatch())
    assert (evidence.champion, evidence.labels, evidence.worsening) == ("", None, {})


def test_an_artifact_that_is_away_is_said_and_stops_nothing(slowed: Runtime) -> None:
    folder = slowed.artifacts / slowed.registry.version("v1").artifact
    moved = folder.with_name("moved")
    folder.rename(moved)
    try:
        evidence = measure_evidence(slowed, slowed.clock.now_us(), ManualStopwatch())
    finally:
        moved.rename(folder)
    assert evidence.labels
    assert "artifact" in evidence.missing


def report_of(losses: np.ndarray) -> Report:
    half = float(1.96 * losses.std() / np.sqrt(len(losses)))
    mean = float(losses.mean())
    estimate = Estimate(mean, mean - half, mean + half)
    evaluated = {CHAMPION: Evaluated(CHAMPION, CHAMPION, "", metrics={"mae": estimate})}
    return Report(
        requests=len(losses),
        units=len(losses),
        start_us=0,
        end_us=1,
        seed=0,
        resamples=0,
        evaluated=evaluated,
        better={"mae": "low"},
    )


def own_of(losses: np.ndarray) -> Estimate:
    return report_of(losses).evaluated[CHAMPION].metrics["mae"]


def ever_worse(rng: np.random.Generator, shift: float, looks: int = 40) -> bool:
    """Whether any of the looks at a growing number of losses says worse."""
    own, live = rng.gamma(2.0, 1.0, 400), rng.gamma(2.0, 1.0, 100 * looks) + shift
    for look in range(1, looks + 1):
        measured = worsening_of(PERFORMANCE, report_of(live[: 100 * look]), own_of(own), 400)
        if measured is not None and measured.low is not None and measured.low > 0:
            return True
    return False


def test_forty_looks_at_a_champion_that_is_not_worse_alarm_in_few_of_a_thousand() -> None:
    rng = np.random.default_rng(1)
    assert sum(ever_worse(rng, 0.0) for _ in range(300)) <= 0.05 * 300


def test_one_that_is_worse_is_seen_by_the_end() -> None:
    rng = np.random.default_rng(2)
    assert sum(ever_worse(rng, 0.4) for _ in range(60)) >= 55


def test_too_few_units_or_no_metric_give_no_conclusion() -> None:
    rng = np.random.default_rng(3)
    own = own_of(rng.gamma(2.0, 1.0, 400))
    few = worsening_of(PERFORMANCE, report_of(rng.gamma(2.0, 1.0, 99) + 9), own, 400)
    assert few is not None
    assert few.low is None
    assert worsening_of(PERFORMANCE, report_of(rng.gamma(2.0, 1.0, 200)), None, 400) is None
