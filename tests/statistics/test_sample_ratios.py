"""Sample ratios: published chi-square values, the exact mean of the e-value, and false alarms under daily looks."""

import numpy as np
import pytest
from scipy import stats
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import sample_ratio, sample_ratio_chi_square, sample_ratio_log_e


def test_growthbooks_ten_cases() -> None:
    """Arms of weight 0 are skipped; one count alone says nothing to the test for one look."""
    known = vectors("gbstats_misc")["srm"]
    for counts, weights, p in known["cases"]:
        assert sample_ratio_chi_square(counts, weights).p == pytest.approx(p, abs=1e-9)


def test_the_e_value_has_mean_one_under_the_declared_shares() -> None:
    counts = np.arange(301)
    log_e = sample_ratio_log_e(np.stack([counts, 300 - counts], axis=1), [0.3, 0.7], concentration=20)
    assert stats.binom.pmf(counts, 300, 0.3) @ np.exp(log_e) == pytest.approx(1.0, rel=1e-8)


def test_order_does_not_matter_and_an_alarm_stays() -> None:
    alarm = sample_ratio([10_000, 11_000], [1, 1])
    later = sample_ratio([20_000, 20_000], [1, 1], largest_before=float(-np.log(alarm.p)))
    assert (alarm.alarm, later.alarm, sample_ratio([20_000, 20_000], [1, 1]).alarm) == (True, True, False)
    assert "compare nothing" in alarm.sentence
    assert "10000 (declared: 10500)" in alarm.sentence
    assert "are split as declared" in sample_ratio([5, 5], [1, 1]).sentence


def test_false_alarms_in_a_month_of_daily_looks() -> None:
    """10,000 experiments of 30 days; chi-square at .001 alarms in .88 % of them."""
    rng = np.random.default_rng(1)
    b = np.cumsum(rng.binomial(1_000, 0.5, size=(10_000, 30)), axis=1)
    counts = np.stack([np.arange(1, 31) * 1_000 - b, b], axis=2)
    alarms = (sample_ratio_log_e(counts, [1, 1]) >= np.log(1_000)).any(axis=1)
    assert alarms.mean() < 0.001
    z = (2 * b - np.arange(1, 31) * 1_000) / np.sqrt(np.arange(1, 31) * 1_000)
    assert 0.005 < (np.abs(z) > stats.norm.isf(0.0005)).any(axis=1).mean() < 0.013


def test_a_planted_loss_of_units_is_found() -> None:
    """5 % of b's units lost: found within 40,000 units."""
    assert sample_ratio([20_000, 19_000], [1, 1]).alarm


def test_bad_arguments_are_refused() -> None:
    for call, message in [
        (lambda: sample_ratio([1, 2, 3], [1, 1]), "at most one for each of 2 weights"),
        (lambda: sample_ratio([1, -2], [1, 1]), "0 or above"),
        (lambda: sample_ratio([1, 2], [0, 0]), "above 0 for one arm"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def test_an_arm_of_weight_0_is_neither_units_nor_a_degree_of_freedom() -> None:
    expected = float(stats.chisquare([1_000, 1_120]).pvalue)
    assert sample_ratio_chi_square([1_000, 1_120], [1, 1]).p == pytest.approx(expected)
    assert sample_ratio_chi_square([1_000, 1_120, 900], [0.5, 0.5, 0]).p == pytest.approx(expected)
