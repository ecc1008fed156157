"""Calibration gaps: published curves, planted gaps, sequences that hold at every look, bets by hand."""

import json

import numpy as np
import pytest
from scipy import stats
from tests.data import real

from flyball.core import BadInput
from flyball.statistics import calibration_errors, calibration_gap, calibration_log_e

RUNS = 300


def planted(rng: np.random.Generator, rows: int, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    p = rng.beta(2, 6, rows)
    return p, (rng.random(rows) < p + gap).astype(float)


def test_the_error_is_that_of_the_published_curve() -> None:
    vectors = json.loads(real("..", "vectors", "calibration.json").read_text())
    (case,) = (case for case in vectors["calibration_curve"] if case["strategy"] == "quantile")
    error, _ = calibration_errors(case["p"], case["y"], case["bins"])
    assert error == pytest.approx(vectors["ece_from_curve_COMPUTED_HERE"]["quantile 2 bins"])


def test_the_debiased_error_is_0_on_average_where_the_other_grows_as_rows_get_fewer() -> None:
    rng = np.random.default_rng(1)
    for rows in (50, 400):
        errors, debiased = zip(*(calibration_errors(*planted(rng, rows)) for _ in range(RUNS)), strict=True)
        assert np.mean(errors) > 0.6 / np.sqrt(rows)
        assert np.mean(np.square(debiased)) < np.mean(np.square(errors)) / 2
        assert np.median(debiased) < np.median(errors) / 2


def test_the_debiased_error_is_a_planted_gap() -> None:
    rng = np.random.default_rng(2)
    squares = [calibration_errors(*planted(rng, 400, 0.1))[1] ** 2 for _ in range(RUNS)]
    assert np.sqrt(np.mean(squares)) == pytest.approx(0.1, abs=0.008)


def test_the_sequence_contains_no_gap_at_every_look() -> None:
    rng, left = np.random.default_rng(3), 0
    for _ in range(100):
        p, y = planted(rng, 300)
        for look in range(60, 301, 60):
            gap = calibration_gap(np.round(p[:look], 2), y[:look], n_best=150)
            if not gap.low <= 0 <= gap.high:
                left += 1
                break
    assert left <= stats.binom.ppf(0.999, 100, 0.05)


def test_a_planted_gap_is_seen() -> None:
    p, y = planted(np.random.default_rng(4), 3_000, 0.08)
    gap = calibration_gap(p, y, n_best=3_000)
    assert gap.rows == 3_000
    assert gap.low > 0.03
    assert gap.high < 0.13
    assert gap.low < 0.08 < gap.high
    assert gap.gap == pytest.approx(gap.happened - gap.predicted)
    assert gap.log_e > 20
    assert gap.debiased == pytest.approx(0.08, abs=0.03)


def test_e_values_have_a_mean_of_at_most_1() -> None:
    rng = np.random.default_rng(5)
    e = np.exp([calibration_log_e(*planted(rng, 30)) for _ in range(4_000)])
    assert e.mean() < 1 + 4 * e.std() / np.sqrt(len(e))
    assert (e >= 20).mean() <= 0.05


def test_an_e_value_by_hand() -> None:
    stakes = np.array([0.01, 0.03, 0.1, 0.3, 0.8])
    wealth = [(1 + stake * 0.7) * (1 + stake * -0.4) for stake in (*stakes, *-stakes)]
    assert np.exp(calibration_log_e([0.3, 0.4], [1, 0])) == pytest.approx(np.mean(wealth))


def test_bins_of_equal_numbers_by_hand() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.8, 0.9, 1.0])
    y = np.array([0, 0, 1, 1, 1, 0])
    error, debiased = calibration_errors(p, y, 2)
    gaps = np.array([1 / 3 - 0.2, 2 / 3 - 0.9])
    chance = (2 / 9) / 2
    assert error == pytest.approx(np.abs(gaps).mean())
    assert debiased == pytest.approx(np.sqrt(max(0.0, (gaps**2 - chance).mean())))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(BadInput, match="outcomes must be 0 or 1, got 0.5"):
        calibration_gap([0.5], [0.5])
    with pytest.raises(BadInput, match="outcomes must be one for each of 2 probabilities"):
        calibration_gap([0.5, 0.5], [1])
    with pytest.raises(BadInput, match="outcomes must be one for each of 0 probabilities"):
        calibration_gap([], [])
    with pytest.raises(BadInput, match="bins must be one or more"):
        calibration_errors([0.5], [1], 0)
