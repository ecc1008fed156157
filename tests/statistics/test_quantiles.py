"""Quantiles: published values, brute force over every common value, coverage of a heavy tail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import (
    beta_binomial_log_mixture,
    beta_binomial_r,
    contrast_of_quantiles,
    quantile_contrast,
    quantile_difference,
    quantile_difference_log_e,
    quantile_interval,
    quantile_sequence,
)


def test_confseqs_four_comparisons() -> None:
    cases = vectors("confseq_uniform_boundaries")["quantile_ab_p_value"]["cases"]
    for quantile, offset, p in cases:
        a, b = np.arange(1, 1001), np.arange(offset + 1, offset + 1001)
        assert np.exp(-quantile_difference_log_e(a, b, quantile, 100)) == pytest.approx(p, abs=1e-6)


def test_growthbooks_quantile_effect() -> None:
    known = vectors("gbstats_misc")["quantile_effect"]
    a, b = (tuple(known[arm][name] for name in ("q", "lo", "hi", "n")) for arm in ("control", "treatment"))
    contrast = contrast_of_quantiles(a, b)
    assert contrast.effect == pytest.approx(known["absolute_effect"])
    # GrowthBook caps the variance of the control by another convention: equal to 1e-5 here
    reach = 1.959964 * contrast.se
    assert [contrast.effect - reach, contrast.effect + reach] == pytest.approx(known["ci"], abs=1e-5)
    assert contrast_of_quantiles(a, b, relative=True).effect == pytest.approx(known["relative_effect_prior_N(0,1e6)"])


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=25),
    st.lists(st.integers(0, 12), min_size=1, max_size=25),
    st.sampled_from([0.5, 0.9]),
)
def test_the_least_over_every_common_value_is_found(a: list[int], b: list[int], quantile: float) -> None:
    """At each candidate value and between: the best share below it that the sample allows."""
    r = beta_binomial_r(20 * quantile * (1 - quantile), 0.05, quantile, 1 - quantile)

    def log_e(below: float, count: int) -> float:
        variance = quantile * (1 - quantile) * count
        return float(beta_binomial_log_mixture(below - quantile * count, variance, r, quantile, 1 - quantile))

    totals = []
    for x in np.arange(-0.5, 13.5, 0.5):
        total = 0.0
        for values in (a, b):
            less, up_to = sum(v < x for v in values), sum(v <= x for v in values)
            total += min(log_e(below, len(values)) for below in range(less, up_to + 1))
        totals.append(total)
    assert quantile_difference_log_e(a, b, quantile, 20) == pytest.approx(min(totals), abs=1e-9)


def test_coverage_of_the_99th_percentile_at_every_look() -> None:
    rng = np.random.default_rng(3)
    true = float(np.exp(2.3263478740408408))
    missed = 0
    for _ in range(150):
        values = np.exp(rng.normal(size=4_000))
        looks = [quantile_sequence(values[:count], 0.99, n_best=2_000) for count in range(250, 4_001, 250)]
        missed += any(not low < true < high for _, low, high in looks)
    assert missed <= 13
    once = [quantile_interval(np.exp(rng.normal(size=2_000)), 0.99) for _ in range(400)]
    assert 0.92 < np.mean([low <= true <= high for _, low, high in once]) <= 0.99


def test_a_slower_99th_percentile_is_found_and_the_interval_holds_it() -> None:
    rng = np.random.default_rng(5)
    a, b = np.exp(rng.normal(0, 0.3, 20_000)), 0.5 + np.exp(rng.normal(0, 0.3, 20_000))
    inference = quantile_difference(a, b, 0.99, n_best=20_000)
    assert inference.verdict == "worse"
    assert inference.low < 0.5 < inference.high
    assert quantile_contrast(a, b, 0.99).effect == pytest.approx(0.5, abs=0.1)
    few = quantile_difference(a[:30], b[:30], 0.99, n_best=20_000)
    assert (few.verdict, few.low, few.high) == ("undecided", -np.inf, np.inf)


def test_bad_arguments_are_refused() -> None:
    for call, message in [
        (lambda: quantile_interval([1.0], 1.0), "quantile must be between"),
        (lambda: quantile_interval([], 0.5), "one or more"),
        (lambda: quantile_contrast([1.0], [2.0], 0.99), "enough for an interval"),
        (lambda: contrast_of_quantiles((0.0, 0, 1, 9), (1.0, 0, 2, 9), relative=True), "other than 0"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()
