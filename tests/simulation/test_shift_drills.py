"""The table of shift drills and the form of a shift over time."""

import pytest

from flyball.simulation import DAY_US, SHIFT_DRILLS, SHIFT_FORMS, WORLD_SHIFTS
from flyball.simulation.shift_drills import FORMED, RAMP_US, share_at

MONDAY_US = 1_767_571_200_000_000
HOUR_US = DAY_US // 24


def test_each_drill_moves_the_world_or_what_serves_it() -> None:
    assert set(FORMED) < set(SHIFT_DRILLS)
    for name, drill in SHIFT_DRILLS.items():
        assert bool(drill.moves) != bool(drill.serving), name
        assert drill.moves in (*WORLD_SHIFTS, "")
        assert bool(drill.words) == (not drill.moves), name
    assert SHIFT_FORMS == ("sudden", "gradual", "seasonal")


def test_a_sudden_shift_begins_at_its_time_and_ends_after_its_length() -> None:
    begin_us = MONDAY_US + 5
    shares = [share_at("sudden", begin_us + after_us, begin_us, 10) for after_us in (-1, 0, 9, 10)]
    assert shares == [0.0, 1.0, 1.0, 0.0]
    assert share_at("sudden", begin_us + 400 * DAY_US, begin_us) == 1.0


def test_a_gradual_shift_grows_evenly_for_a_week() -> None:
    shares = [share_at("gradual", MONDAY_US + part * RAMP_US // 4, MONDAY_US) for part in range(-1, 6)]
    assert shares == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1])


def test_a_season_is_each_weekend_whatever_its_beginning() -> None:
    shares = [share_at("seasonal", MONDAY_US + hour * HOUR_US, MONDAY_US + 9 * DAY_US) for hour in range(14 * 24)]
    weekends = [hour // 24 % 7 >= 5 for hour in range(14 * 24)]
    assert shares == [float(weekend) for weekend in weekends]
