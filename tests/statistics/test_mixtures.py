"""Boundaries against the published values of confseq's reference implementation, and Ville's inequality."""

import numpy as np
import pytest
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import (
    best_rho,
    beta_binomial_log_mixture,
    beta_binomial_r,
    double_stitching_bound,
    empirical_process_bound,
    gamma_exponential_log_mixture,
    gamma_poisson_log_mixture,
    mixture_bound,
    normal_log_mixture,
    normal_mixture_bound,
    poly_stitching_bound,
)


def test_all_nineteen_values_of_confseq() -> None:
    two, one = float(best_rho(100, 0.05)), float(best_rho(100, 0.05, 1))
    beta = {sides: float(beta_binomial_r(100, 0.05, 0.2, 0.8, sides)) for sides in (1, 2)}

    def exponential(s: float) -> float:
        return gamma_exponential_log_mixture(s, 100, one, 2)

    def poisson(s: float) -> float:
        return gamma_poisson_log_mixture(s, 100, one, 2)

    def binomial(sides: int, s: float) -> float:
        return float(beta_binomial_log_mixture(s, 100, beta[sides], 0.2, 0.8, sides))

    found = [
        two,
        float(normal_log_mixture(10, 100, two)),
        float(normal_mixture_bound(100, 0.05, two)),
        float(normal_log_mixture(10, 100, one, 1)),
        float(normal_mixture_bound(100, 0.05, one, 1)),
        exponential(10),
        mixture_bound(exponential, 100, 0.05),
        poisson(10),
        mixture_bound(poisson, 100, 0.05),
        binomial(2, 10),
        mixture_bound(lambda s: binomial(2, s), 100, 0.05, largest=500),
        binomial(1, 10),
        mixture_bound(lambda s: binomial(1, s), 100, 0.05, largest=500),
        poly_stitching_bound(100, 0.05, 10, 3),
        poly_stitching_bound(100, 0.05, 10, -1),
        empirical_process_bound(1000, 0.05, 100),
        double_stitching_bound(0.5, 1000, 0.05, 100),
        double_stitching_bound(0.9, 1000, 0.05, 100),
        double_stitching_bound(0.1, 1000, 0.05, 100),
    ]
    assert found == pytest.approx([case[2] for case in vectors("confseq_uniform_boundaries")["cases"]], abs=1e-5)


def test_a_mixture_has_mean_one_under_the_null() -> None:
    """The defining property, exactly: E exp(log M) over binomial outcomes is 1 (two-sided beta-binomial)."""
    from scipy import stats

    p, n = 0.3, 40
    counts = np.arange(n + 1)
    log_m = beta_binomial_log_mixture(counts - p * n, p * (1 - p) * n, 0.7, p, 1 - p)
    assert float(stats.binom.pmf(counts, n, p) @ np.exp(log_m)) == pytest.approx(1.0, rel=1e-9)
    grid = np.linspace(-60, 60, 40_001)
    for sides in (1, 2):
        density = stats.norm.pdf(grid, scale=5.0)
        mean = np.trapezoid(density * np.exp(normal_log_mixture(grid, 25.0, 10.0, sides)), grid)
        assert mean == pytest.approx(1.0, rel=1e-6)
    events = np.arange(400)
    log_p = [gamma_poisson_log_mixture(float(k - 50), 50.0, 20.0, 1.0) for k in events]
    # a supermartingale: counts below their mean by the whole of it are the only ones it gives away
    assert float(stats.poisson.pmf(events, 50) @ np.exp(log_p)) <= 1 + 1e-9


def test_the_bound_is_where_the_mixture_reaches_its_level() -> None:
    for sides in (1, 2):
        rho = best_rho([10.0, 200.0], 0.02, sides)
        bound = normal_mixture_bound([10.0, 200.0], 0.02, rho, sides)
        assert normal_log_mixture(bound, [10.0, 200.0], rho, sides) == pytest.approx(np.log(50), rel=1e-6)
    assert mixture_bound(lambda s: 0.0 * s, 4.0, 0.05, largest=7.0) == 7.0
    assert empirical_process_bound(5, 0.05, 100) == np.inf


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(BadInput, match="quantile"):
        double_stitching_bound(1.0, 10, 0.05, 10)
    with pytest.raises(BadInput, match="alpha"):
        best_rho(100, 0.7, 1)
    with pytest.raises(BadInput, match="c must be"):
        gamma_poisson_log_mixture(1, 1, 1, 0)
