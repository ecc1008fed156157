"""Distances against scipy, against sums over all sets of categories, and by their laws."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from flyball.core import BadInput
from flyball.statistics import (
    jensen_shannon_divergence,
    kolmogorov_smirnov,
    population_stability_index,
    total_variation,
    wasserstein,
)

COUNTS = st.lists(st.integers(0, 50), min_size=5, max_size=5).filter(sum)
SAMPLE = st.lists(st.integers(-20, 20), min_size=1, max_size=30)


def weighted(values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(values, return_counts=True)


@given(COUNTS, COUNTS)
def test_total_variation_is_the_largest_difference_of_any_set(a: list[int], b: list[int]) -> None:
    p, q = np.array(a) / sum(a), np.array(b) / sum(b)
    sets = np.array(list(product([0, 1], repeat=5)))
    assert total_variation(a, b) == pytest.approx(np.abs(sets @ (p - q)).max())


@given(COUNTS, COUNTS)
def test_jensen_shannon_is_that_of_scipy(a: list[int], b: list[int]) -> None:
    assert jensen_shannon_divergence(a, b) == pytest.approx(distance.jensenshannon(a, b, base=2) ** 2, abs=1e-12)
    assert jensen_shannon_divergence(a, b, np.e) == pytest.approx(distance.jensenshannon(a, b) ** 2, abs=1e-12)


@given(COUNTS, COUNTS)
def test_population_stability_is_the_sum_of_its_definition(a: list[int], b: list[int]) -> None:
    shares = [[max(count / sum(counts), 1e-4) for count in counts] for counts in (a, b)]
    expected = sum((p - q) * np.log(p / q) for p, q in zip(*shares, strict=True))
    assert population_stability_index(a, b) == pytest.approx(expected, abs=1e-12)


@given(SAMPLE, SAMPLE)
def test_distances_of_numbers_are_those_of_their_definition(a: list[int], b: list[int]) -> None:
    shares = [[np.mean(np.array(sample) <= point) for point in range(-20, 21)] for sample in (a, b)]
    assert kolmogorov_smirnov(weighted(a), weighted(b)) == pytest.approx(np.abs(np.subtract(*shares)).max())
    assert wasserstein(weighted(a), weighted(b)) == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-12)


@given(SAMPLE, SAMPLE)
def test_distances_are_symmetric_and_0_for_the_same(a: list[int], b: list[int]) -> None:
    for measure in (kolmogorov_smirnov, wasserstein):
        assert measure(weighted(a), weighted(b)) == pytest.approx(measure(weighted(b), weighted(a)))
        assert measure(weighted(a), weighted(a * 2)) == pytest.approx(0, abs=1e-12)


def test_what_is_no_distribution_is_refused() -> None:
    with pytest.raises(BadInput, match="number of categories of b must be 2, as of a, got 3"):
        total_variation([1, 2], [1, 2, 3])
    with pytest.raises(BadInput, match="with a sum above 0"):
        total_variation([0, 0], [1, 2])
    with pytest.raises(BadInput, match="values of b at position 1 must be in ascending order, got 1.0"):
        wasserstein(([1, 2], [1, 1]), ([2, 1], [1, 1]))
    with pytest.raises(BadInput, match="one for each of 2 values"):
        kolmogorov_smirnov(([1, 2], [1]), ([1], [1]))


def test_samples_that_do_not_overlap_are_no_more_than_1_apart() -> None:
    """Sums of 1 / 29 and 1 / 135 may exceed 1 in the last bit."""
    for low, high in ((135, 29), (49, 7), (98, 3)):
        a, b = (range(low), [1] * low), ([1e6 + value for value in range(high)], [1] * high)
        assert kolmogorov_smirnov(a, b) == kolmogorov_smirnov(b, a) == 1.0


def test_counts_and_weights_of_any_size_are_shares() -> None:
    large, small = np.array([1.0, 1.0]) * 1e308, np.array([1.0, 1.0]) * 1e-308
    for same in (large, small):
        assert jensen_shannon_divergence(same, [1, 1]) == 0.0
        assert population_stability_index(same, [1, 1]) == 0.0
        assert total_variation(same, [3, 1]) == 0.25
        assert kolmogorov_smirnov(([1, 2], same), ([1, 2], [3, 1])) == 0.25
        assert wasserstein(([1, 2], same), ([1, 2], [3, 1])) == 0.25


def test_values_of_any_size_have_a_distance() -> None:
    ends = [-1e308, 1e308]
    assert wasserstein((ends, [1, 1]), (ends, [3, 1])) == pytest.approx(5e307)
    assert wasserstein(([0, 5e-324], [1, 1]), ([5e-324], [1])) == stats.wasserstein_distance([0, 5e-324], [5e-324])
    assert kolmogorov_smirnov((ends, [1, 1]), (ends, [3, 1])) == 0.25
    with pytest.raises(BadInput, match="values of a and b must be at most 1.8e308 apart"):
        wasserstein(([-1e308], [1]), ([1e308], [1]))


@pytest.mark.parametrize("wrong", [1.0, 0.5, 0.0, -2.0, np.nan, np.inf])
def test_what_is_no_base_or_least_share_is_refused(wrong: float) -> None:
    with pytest.raises(BadInput, match="base must be (a number above 1|finite)"):
        jensen_shannon_divergence([1, 2], [2, 1], base=wrong)
    if wrong != 0.5:
        with pytest.raises(BadInput, match="least must be (a share above 0 and below 1|finite)"):
            population_stability_index([1, 2], [2, 1], least=wrong)
