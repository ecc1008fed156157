"""Times that a source moved by hours are seen and named, and how loads and batches vary is no move."""

import numpy as np
import polars as pl
import pytest

from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.delays import delay_test

HOUR_S = 3600.0
Windows = list[ColumnProfile]


def delayed(seconds: np.ndarray) -> ColumnProfile:
    return ColumnProfile.of(pl.Series(seconds))


def usual(rng: np.random.Generator, windows: int = 20, rows: int = 60) -> Windows:
    """Lines that an hourly upload brings, up to an hour after they happened, and some minutes by the load."""
    return [delayed(rng.uniform(0, HOUR_S, rows) + rng.exponential(120)) for _ in range(windows)]


@pytest.mark.parametrize(("moved", "share"), [(3.0, 1.0), (-2.0, 1.0), (3.0, 0.5), (5.5, 0.3), (1.0, 1.0)])
def test_a_move_by_hours_is_seen_with_its_share_and_its_hours(moved: float, share: float) -> None:
    rng = np.random.default_rng(1)
    now = rng.uniform(0, HOUR_S, 200) + np.where(rng.random(200) < share, moved * HOUR_S, 0.0)
    test = delay_test(usual(rng), delayed(now))
    assert test is not None
    assert test.p < 1e-3
    assert test.distance == pytest.approx(share, abs=0.2 if abs(moved) > 1 else 0.6)
    if abs(moved) > 1:
        assert test.hours == pytest.approx(moved, rel=0.15)
        assert (test.zone == f"{abs(moved):g} hours") == (abs(abs(test.hours) - abs(moved)) <= 0.15)


def test_zones_are_whole_or_half_hours() -> None:
    rng = np.random.default_rng(2)
    parts = [delayed(rng.exponential(2, 100)) for _ in range(10)]
    for moved, zone in ((3.0, "3 hours"), (1.0, "1 hour"), (5.5, "5.5 hours"), (1.27, ""), (40.0, "")):
        test = delay_test(parts, delayed(rng.exponential(2, 100) + moved * HOUR_S))
        assert test is not None
        assert test.zone == zone, moved


def test_without_a_move_it_is_quiet_however_the_delays_vary_by_minutes() -> None:
    rng = np.random.default_rng(3)
    p_values = []
    for _ in range(150):
        now = delayed(rng.uniform(0, HOUR_S, 60) + rng.exponential(120))
        test = delay_test(usual(rng, 12), now)
        assert test is not None
        assert test.distance < 0.05
        p_values.append(test.p)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.01


def test_imported_rows_have_no_delays() -> None:
    rng = np.random.default_rng(4)
    imported = ColumnProfile.of(pl.Series([None] * 50, dtype=pl.Float64))
    assert delay_test(usual(rng), imported) is None
    assert delay_test([imported], usual(rng)[0]) is None
    assert delay_test([], usual(rng)[0]) is None
