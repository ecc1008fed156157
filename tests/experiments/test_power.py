"""What an experiment is said to find, it finds as often as is said."""

from pathlib import Path

import numpy as np
import pytest
from tests.experiments.market import Buy, market, shop

import flyball as fb
from flyball.core import BadInput, Refused
from flyball.experiments import Baseline, UnitValues, baseline, power_report, row_of, units_by
from flyball.experiments.power import days_until, largest_mean, room_text
from flyball.operations import catch_up
from flyball.statistics import Design, Sums, adjusted_contrast, welch


def counts(rng: np.random.Generator, units: int, effect: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(whether of the candidate, before, after)"""
    taste, arm = rng.gamma(2.0, 1.0, units), rng.random(units) < 0.5
    return arm, rng.poisson(2 * taste).astype(float), rng.poisson(taste) + effect * arm


def test_the_smallest_effect_is_found_four_times_in_five() -> None:
    """The planted truth: experiments with just that effect, adjusted as in the analysis."""
    metric = fb.metric.count_per_unit(Buy)
    rng = np.random.default_rng(1)
    _, before, after = counts(rng, 20_000)
    now = baseline(metric, UnitValues(np.ones(20_000, dtype=bool), after, None, before))
    assert now is not None
    assert now.mean == pytest.approx(2.0, abs=0.05)
    assert now.adjusted_by is not None
    assert now.adjusted_by > 0.2
    row = row_of("count", 7, 2_000, now, Design(variance=1.0))
    wins = 0
    for _ in range(500):
        arm, earlier, later = counts(rng, 2_000, row.detectable)
        table = np.column_stack([later, earlier])
        wins += welch(adjusted_contrast(Sums.of(table[~arm]), Sums.of(table[arm]))).verdict == "better"
    assert 0.74 < wins / 500 < 0.86  # three standard errors around .8


def test_units_come_in_as_they_lately_did() -> None:
    assert [units_by(days, [100.0, 50.0, 10.0]) for days in (0.5, 1, 2.5, 3, 4)] == [50, 100, 155, 160, 170]
    assert days_until(165, [100.0, 50.0, 10.0]) == pytest.approx(3.5)
    assert days_until(165, [100.0, 0.0, 0.0]) is None


def test_a_report_is_made_from_the_log(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=1_200)
    catch_up(runtime)
    report = power_report(runtime, runtime.clock.now_us(), days=(2, 4, 8), effect=0.05)
    views = [row for row in report.rows if row.metric == "views"]
    assert [row.days for row in views] == [2, 4, 8]
    assert views[1].units == pytest.approx(1_200, rel=0.1)
    assert views[0].detectable > views[1].detectable
    assert views[1].adjusted_by is not None
    assert {"bought", "views", "taken"} <= {row.metric for row in report.rows}
    half = power_report(runtime, runtime.clock.now_us(), days=(4,), traffic=0.5)
    assert half.rows[0].units == pytest.approx(report.rows[1].units / 2, rel=0.01)
    assert "would be found four times in five" in report.rows[0].sentence


def test_a_rate_cannot_rise_above_one(tmp_path: Path) -> None:
    row = row_of("bought", 7, 500, Baseline(0.974, 0.974 * 0.026, 500), Design(variance=1.0), 1.0)
    assert (row.possible, row.detectable > 0.026) == ("fall", True)
    assert "a fall of 0.0" in row.sentence
    assert row.sentence.endswith("It is at most 1, so it can rise by 0.026 (2.7 %) at most.")
    rare = row_of("bought", 7, 500, Baseline(0.004, 0.004, 500), Design(variance=1.0), 1.0)
    assert (rare.possible, "a rise of 0.0" in rare.sentence) == ("rise", True)
    few = row_of("bought", 7, 4, Baseline(0.5, 0.25, 4), Design(variance=1.0), 1.0)
    assert few.possible == "none"
    assert "it can neither rise nor fall by" in few.sentence
    assert row_of("spent", 7, 4, Baseline(0.5, 0.25, 4), Design(variance=1.0)).possible == "either way"

    runtime = market(tmp_path, users=1_200)
    catch_up(runtime)
    report = power_report(runtime, runtime.clock.now_us(), days=(2,), effect=9.0)
    (bought,) = (row for row in report.rows if row.metric == "bought")
    assert report.impossible["bought"] == room_text(bought.mean, 1.0)
    assert "views" not in report.impossible
    assert power_report(runtime, runtime.clock.now_us(), days=(2,), effect=0.01).impossible == {}


def test_what_is_a_share_has_a_largest_mean() -> None:
    about = shop().task.about
    assert largest_mean(about, fb.metric.rate(Buy)) == largest_mean(about, fb.metric.model("accuracy")) == 1.0
    assert largest_mean(about, fb.metric.count_per_unit(Buy)) is largest_mean(about, fb.metric.model("brier")) is None


def test_without_answers_there_is_nothing_to_plan_by(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=0)
    with pytest.raises(Refused, match="2 days of answers or more to plan by, got none: serve first"):
        power_report(runtime, runtime.clock.now_us())
    with pytest.raises(BadInput, match="traffic"):
        power_report(runtime, runtime.clock.now_us(), traffic=0)
    assert shop().metrics
