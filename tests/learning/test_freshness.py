"""A planted drift shows as a loss by age, and sets cadence and window; a world that stays as it is shows none."""

from pathlib import Path

import pytest
from tests.learning.changing import START_US, changing, filled

import flyball as fb
from flyball.core import BadInput, NotFound, Refused
from flyball.learning import FreshnessPlan, FreshnessReport, expectation_of, last_freshness, learn, measure_freshness
from flyball.registry import searches_of
from flyball.runtime import Runtime
from flyball.simulation import DAY_US

DAYS = 12
PLAN = FreshnessPlan(
    ages_us=(DAY_US, 2 * DAY_US, 4 * DAY_US), lengths_us=(DAY_US, 4 * DAY_US), windows=2, tolerance=0.03
)


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Kitchens change by up to 1.6 minutes a day."""
    return filled(tmp_path_factory.mktemp("drifting"), changing(period=40.0), DAYS)


@pytest.fixture(scope="module")
def drifted(drifting: Runtime) -> FreshnessReport:
    return measure_freshness(drifting, PLAN)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> FreshnessReport:
    return measure_freshness(filled(tmp_path_factory.mktemp("steady"), changing(), DAYS), PLAN)


def test_where_the_world_drifts_older_data_are_worse_with_every_day(drifted: FreshnessReport) -> None:
    losses = [age.loss for age in drifted.ages]
    assert [age.age_us for age in drifted.ages] == [DAY_US, 2 * DAY_US, 4 * DAY_US]
    assert all(loss.low is not None and loss.low > 0 for loss in losses)
    assert losses[0].value < losses[1].value < losses[2].value
    assert losses[2].value > 2 * losses[0].value
    assert drifted.decays
    assert drifted.curve == pytest.approx([loss.value for loss in losses])


def test_the_cadence_follows_the_drift(drifted: FreshnessReport) -> None:
    assert drifted.cadence_us == DAY_US
    assert 'fb.every("1d")' in drifted.sentence


def test_from_the_last_day_it_learns_best_where_all_else_is_outdated(drifted: FreshnessReport) -> None:
    assert drifted.window == "1d"
    values = {window.name: window.value for window in drifted.windows}
    assert list(values) == ["all", "1d", "4d"]
    assert values["1d"] is not None
    assert values["4d"] is not None
    assert values["all"] is not None
    assert values["1d"] < values["4d"] < values["all"]


def test_where_nothing_changes_nothing_newer_is_worth_anything(steady: FreshnessReport) -> None:
    assert not steady.decays
    assert steady.curve == [0.0, 0.0, 0.0]
    assert (steady.cadence_us, steady.window) == (None, "all")
    assert all(age.loss.low is not None and age.loss.low <= 0 for age in steady.ages)
    assert "no loss by age is certain up to 4d" in steady.sentence


def test_a_drift_that_is_known_gives_a_window_since_then(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(change_day=7.0, slower=6.0), DAYS)
    since_us = START_US + 7 * DAY_US
    plan = FreshnessPlan(ages_us=(DAY_US,), lengths_us=(8 * DAY_US,), windows=2, since_us=since_us)
    report = measure_freshness(runtime, plan)
    assert report.window == "drift"
    assert [window.name for window in report.windows] == ["all", "8d", "drift"]


def test_the_report_is_kept_and_gives_the_expected_gain_of_the_next_case(
    drifting: Runtime, drifted: FreshnessReport
) -> None:
    assert last_freshness(drifting.registry) == drifted
    (search,) = searches_of(drifting.registry, drifted.search)
    assert (search.how, search.status, len(search.trials)) == ("freshness", "done", 6)
    assert expectation_of(drifting.registry, 0).gain is None, "there is no champion"
    learn(drifting, START_US + (DAYS - 2) * DAY_US, workers=1)
    expected = expectation_of(drifting.registry, START_US + DAYS * DAY_US)
    assert expected.gain == pytest.approx(drifted.curve[1])
    assert expected.note.startswith("mae that v1, 2d old, loses by age, measured at 2026-01-")


def test_the_same_again_is_the_same(drifting: Runtime, drifted: FreshnessReport) -> None:
    again = measure_freshness(drifting, PLAN)
    assert again.ages == drifted.ages
    assert again.windows == drifted.windows


def test_ages_beyond_the_data_are_left_out_with_a_note(drifting: Runtime) -> None:
    report = measure_freshness(drifting, FreshnessPlan(ages_us=(DAY_US, 90 * DAY_US), lengths_us=(), windows=1))
    assert [age.age_us for age in report.ages] == [DAY_US]
    assert any("ages above" in note for note in report.notes)


def test_what_cannot_be_measured_is_refused(drifting: Runtime, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="trees"):
        measure_freshness(drifting, FreshnessPlan(candidate="trees"))
    with pytest.raises(BadInput, match="windows must be 1 or more"):
        measure_freshness(drifting, FreshnessPlan(windows=0))
    with pytest.raises(BadInput, match="ages must be longer than 0"):
        measure_freshness(drifting, FreshnessPlan(ages_us=(0,)))
    with pytest.raises(BadInput, match="tolerance"):
        measure_freshness(drifting, FreshnessPlan(tolerance=1.5))
    with pytest.raises(Refused, match="must reach back twice the least age"):
        measure_freshness(drifting, FreshnessPlan(ages_us=(50 * DAY_US,)))
    with pytest.raises(Refused, match="nothing to learn from"):
        measure_freshness(filled(tmp_path, changing(), 1), FreshnessPlan())


def test_a_model_that_fails_is_said(tmp_path: Path) -> None:
    runtime = filled(tmp_path, changing(candidates={"median": fb.GroupMedian("kitchen")}), 6)
    plan = FreshnessPlan(ages_us=(DAY_US,), lengths_us=(3_600_000_000,), windows=1)
    report = measure_freshness(runtime, plan)
    (window,) = (window for window in report.windows if window.name == "1h")
    assert window.failed.endswith("examples, 30 are needed")
