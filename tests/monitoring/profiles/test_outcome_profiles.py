"""Profiles of outcomes: those that became final in the window, of every kind of label."""

from pathlib import Path

import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, WITHIN_DAYS, bank, kitchen, market

from flyball.monitoring.profiles.outcome_profiles import outcome_profiles


def test_the_outcomes_that_became_final_in_the_window(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=10, daily=60, change=lambda day, scores: (scores, (scores > 0.4).astype(float)))
    day_us = START_US + WITHIN_DAYS * DAY_US
    (table,) = outcome_profiles(runtime, day_us, day_us + DAY_US)
    first = outcome_profiles(runtime, day_us, day_us + DAY_US)[table]
    whole = outcome_profiles(runtime, day_us, day_us + 10 * DAY_US)[table]
    assert first.rows == 60
    assert whole.rows == 600
    assert first.columns["value"].kind == "number"
    assert 0 < first.columns["value"].numbers.mean < 1
    assert set(whole.columns["value"].frequent.counts) == {0.0, 1.0}
    assert 1 < whole.keys.estimate() < 600
    assert outcome_profiles(runtime, START_US, day_us)[table].rows == 0


def test_numbers_and_positions(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (cooked,) = outcome_profiles(kitchen(tmp_path / "a", days=2), START_US, START_US + 30 * DAY_US).values()
    assert cooked.columns["value"].numbers.mean == pytest.approx(30, rel=0.1)
    shown = market(tmp_path / "b", days=3, hits=lambda day: float(day == 1))
    (taken,) = outcome_profiles(shown, START_US, START_US + 30 * DAY_US).values()
    assert taken.columns["value"].frequent.counts == {0.0: 200, 2.0: 100}
