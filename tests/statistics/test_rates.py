"""Rates: published intervals, exact error probabilities by dynamic programming, and laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import (
    bounded_mean_interval,
    concentration,
    rate_difference,
    rate_difference_interval,
    rate_difference_log_e,
    rate_interval,
    rate_log_e,
)


def test_intervals_of_one_rate_are_confseqs() -> None:
    cases = vectors("confseq_uniform_boundaries")["bernoulli_confidence_interval"]["cases"]
    assert len(cases) == 8
    for successes, trials, alpha, n_best, low, high in cases:
        found = rate_interval(successes, trials, alpha, n_best)
        assert [float(end) for end in found] == pytest.approx([low, high], abs=2e-6)


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.5, 0.97])
def test_one_rate_errs_with_alpha_at_most_exactly(rate: float) -> None:
    """The probability that any of 150 looks leaves the true rate out, summed over all paths."""
    k, alpha = concentration(60, 0.05), 0.05
    alive, erred = np.array([1.0]), 0.0
    for n in range(1, 151):
        alive = np.convolve(alive, [1 - rate, rate])
        out = rate_log_e(np.arange(n + 1), n, rate, k) >= -np.log(alpha)
        erred += float(alive[out].sum())
        alive[out] = 0.0
    assert erred <= alpha


@pytest.mark.parametrize("chances", [(0.5, 0.5, 0.0), (0.1, 0.2, 0.7), (0.3, 0.0, 0.7), (0.02, 0.96, 0.02)])
def test_a_mean_of_values_from_0_to_1_errs_with_alpha_at_most_exactly(chances: tuple[float, float, float]) -> None:
    """Values 0, a half and 1 with these chances: the probability that any of 100 looks leaves the mean out."""
    mean, alpha = 0.5 * chances[1] + chances[2], 0.05
    alive, erred = np.array([1.0]), 0.0  # by twice the sum of the values
    for n in range(1, 101):
        alive = np.convolve(alive, chances)
        low, high = bounded_mean_interval(np.arange(2 * n + 1) / 2, n, alpha, n_best=50)
        out = (low > mean) | (high < mean)
        erred += float(alive[out].sum())
        alive[out] = 0.0
    assert erred <= alpha


def test_a_mean_of_zeros_and_ones_is_a_rate() -> None:
    assert bounded_mean_interval(17.0, 60, 0.1, 100) == rate_interval(17, 60, 0.1, 100)
    with pytest.raises(BadInput, match="from 0 to the counts"):
        bounded_mean_interval(5.5, 5)


@pytest.mark.parametrize(("rate", "difference"), [(0.1, 0.0), (0.5, 0.0), (0.03, 0.0), (0.3, 0.2), (0.6, -0.5)])
def test_a_difference_errs_with_alpha_at_most_exactly(rate: float, difference: float) -> None:
    alpha = 0.2
    alive, erred, other = np.array([[1.0]]), 0.0, rate + difference
    for n in range(1, 46):
        grown = np.zeros((n + 1, n + 1))
        for step_a, p_a in ((0, 1 - rate), (1, rate)):
            for step_b, p_b in ((0, 1 - other), (1, other)):
                grown[step_a : step_a + n, step_b : step_b + n] += alive * p_a * p_b
        alive = grown
        s_a, s_b = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        out = rate_difference_log_e(s_a, n, s_b, n, difference, 60, alpha) >= -np.log(alpha)
        erred += float(alive[out].sum())
        alive[out] = 0.0
    assert erred <= alpha


@settings(max_examples=25)
@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400), st.integers(0, 400), st.floats(-0.9, 0.9))
def test_the_least_over_all_rates_is_found(s_a: int, f_a: int, s_b: int, f_b: int, difference: float) -> None:
    """Against a fine grid over every rate of a."""
    found = float(rate_difference_log_e(s_a, s_a + f_a, s_b, s_b + f_b, difference, 400))
    p = np.linspace(max(0.0, -difference), min(1.0, 1.0 - difference), 4_001)
    grid = [naive_log_e(s_a, f_a, s_b, f_b, rate, rate + difference, 400) for rate in p[1:-1:40]]
    # a value above the least would leave out too much
    assert found <= min(grid) + 1e-4 + 1e-5 * abs(found)


def naive_log_e(s_a: int, f_a: int, s_b: int, f_b: int, p_a: float, p_b: float, n_best: float) -> float:
    """The mixture as its definition says, one term at a time."""
    nodes, weights = special.roots_hermitenorm(20)
    level = -2 * np.log(0.05)
    variance = (p_a * (1 - p_a) + p_b * (1 - p_b)) / 2
    scale = min(np.sqrt((level + np.log1p(level)) / (n_best / 4 * variance)), 0.5)
    terms = []
    for node in nodes * scale:
        moved_a, moved_b = special.expit(special.logit(p_a) - node / 2), special.expit(special.logit(p_b) + node / 2)
        term = special.xlogy(s_a, moved_a / p_a) + special.xlogy(f_a, (1 - moved_a) / (1 - p_a))
        terms.append(term + special.xlogy(s_b, moved_b / p_b) + special.xlogy(f_b, (1 - moved_b) / (1 - p_b)))
    k = concentration(n_best / 2, 0.05)
    apart = float(rate_log_e(s_a, s_a + f_a, p_a, k) + rate_log_e(s_b, s_b + f_b, p_b, k))
    together = float(special.logsumexp(terms, b=weights / weights.sum()))
    return float(np.logaddexp(np.log(0.8) + together, np.log(0.2) + apart))


def test_intervals_hold_the_estimate_and_narrow() -> None:
    counts = np.array([100, 1_000, 10_000, 100_000])
    low, high = rate_difference_interval(counts // 10, counts, counts * 3 // 25, counts, n_best=20_000)
    assert ((low < 0.02) & (high > 0.02)).all()
    assert (np.diff(high - low) < 0).all()
    assert low[3] > 0
    mirrored = rate_difference_interval(counts * 3 // 25, counts, counts // 10, counts, n_best=20_000)
    assert mirrored[0] == pytest.approx(-high, rel=1e-6)


def test_zero_lies_outside_exactly_when_the_e_value_is_large() -> None:
    for successes in range(30, 75, 3):
        low, _ = rate_difference_interval(30, 1_000, successes, 1_000, n_best=2_000)
        log_e = float(rate_difference_log_e(30, 1_000, successes, 1_000, 0.0, 2_000))
        assert (low > 0) == (log_e >= np.log(20))


def test_without_units_nothing_is_known() -> None:
    assert [float(end) for end in rate_interval(0, 0)] == [0.0, 1.0]
    assert rate_difference(0, 0, 0, 0, n_best=100).verdict == "too early"
    level = rate_difference(500, 10_000, 500, 10_000, n_best=20_000, margin=0.02)
    assert level.verdict == "not worse than the margin"
    assert level.p < 0.05
    worse = rate_difference(500, 10_000, 900, 10_000, n_best=20_000, margin=0.02, higher_is_better=False)
    assert (worse.verdict, worse.p) == ("worse than the margin", 1.0)
    with pytest.raises(BadInput, match="successes of b"):
        rate_difference(1, 2, 3, 2, n_best=100)


def test_a_small_share_of_units_costs_what_the_fixed_interval_costs() -> None:
    """At 5 % of units to b, the declared share keeps the sequence as near to the fixed interval as at half."""
    ratios = []
    for share in (0.5, 0.05):
        n_b = round(100_000 * share)
        n_a = 100_000 - n_b
        low, high = rate_difference_interval(n_a // 10, n_a, n_b // 10, n_b, n_best=100_000, share=share)
        ratios.append((high - low) / (2 * 1.96 * np.sqrt(0.09 / n_a + 0.09 / n_b)))
    assert ratios == pytest.approx([1.6, 1.6], abs=0.05)
    with pytest.raises(BadInput, match="share"):
        rate_difference_interval(1, 2, 1, 2, share=1.0)
