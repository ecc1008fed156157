"""Gini index, entropy and Jaccard index: naive definitions, published vectors, and laws."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import entropy_bits, gini_index, jaccard_matrix

COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(sum)


def naive_gini(counts: list[int]) -> float:
    """Half the mean absolute difference of two categories, divided by the mean."""
    differences = sum(abs(a - b) for a in counts for b in counts) / len(counts) ** 2
    return differences / (2 * sum(counts) / len(counts))


@given(COUNTS)
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    assert float(gini_index(counts)) == pytest.approx(naive_gini(counts), abs=1e-12)


@given(COUNTS, st.integers(0, 20))
def test_further_categories_without_counts_may_be_named_or_listed(counts: list[int], zeros: int) -> None:
    assert float(gini_index(counts, zeros)) == pytest.approx(naive_gini(counts + [0] * zeros), abs=1e-12)


def test_gini_of_the_published_cases() -> None:
    """lkpy: all alike have 0, one of ten thousand with everything has 1 less a ten-thousandth."""
    alike, alone = vectors("recsys_beyond_accuracy")["gini"][:2]
    one = np.zeros(10_000)
    one[17] = 1_000
    assert float(gini_index(np.ones(100))) == pytest.approx(alike["gini"], abs=alike["tol"])
    assert float(gini_index(one)) == pytest.approx(alone["gini"], abs=alone["tol"])


def test_gini_is_what_the_lorenz_curve_leaves_by_trapezoids() -> None:
    counts = np.random.default_rng(1).pareto(1.2, 500)
    curve = np.concatenate([[0.0], np.cumsum(np.sort(counts)) / counts.sum()])
    area = float(((curve[1:] + curve[:-1]) / 2).sum() / len(counts))
    assert float(gini_index(counts)) == pytest.approx((0.5 - area) / 0.5, abs=1e-9)


@given(COUNTS)
def test_entropy_is_the_mean_surprise(counts: list[int]) -> None:
    naive = -sum(count / sum(counts) * math.log2(count / sum(counts)) for count in counts if count)
    assert float(entropy_bits(counts)) == pytest.approx(naive, abs=1e-9)


def test_entropy_of_the_published_case() -> None:
    known = vectors("recsys_beyond_accuracy")["ms_recommenders"]
    shown = np.bincount(known["reco"]["item"])
    assert float(entropy_bits(shown)) == pytest.approx(known["distributional_coverage_entropy_bits"], abs=1e-4)


def test_rows_are_taken_one_by_one() -> None:
    rows = np.array([[1, 2, 3], [0, 0, 9]])
    assert gini_index(rows).tolist() == [float(gini_index(row)) for row in rows]
    assert entropy_bits(rows).tolist() == [float(entropy_bits(row)) for row in rows]


def test_without_any_count_there_is_no_value() -> None:
    assert math.isnan(float(gini_index([0, 0])))
    assert math.isnan(float(entropy_bits([0, 0])))


@pytest.mark.parametrize(
    ("counts", "must"), [([], "one category or more"), ([1, -1], "position 1 must be within"), (3, "one category")]
)
def test_what_is_no_count_is_refused(counts: object, must: str) -> None:
    for measure in (gini_index, entropy_bits):
        with pytest.raises(BadInput, match=must):
            measure(counts)  # type: ignore[operator]


@given(st.lists(st.sets(st.integers(0, 8)), min_size=1, max_size=8))
def test_jaccard_counts_what_two_sets_share(sets: list[set[int]]) -> None:
    members = np.array([[element in one for element in range(9)] for one in sets])
    found = jaccard_matrix(members)
    for a, b in combinations(range(len(sets)), 2):
        either = sets[a] | sets[b]
        assert found[a, b] == found[b, a]
        assert found[a, b] == pytest.approx(len(sets[a] & sets[b]) / len(either) if either else 0.0)


def test_the_wrong_count_is_named() -> None:
    for measure in (gini_index, entropy_bits):
        for wrong in (math.nan, math.inf):
            with pytest.raises(BadInput, match=rf"counts at position 0 must be within \[0, inf\], got {wrong}"):
                measure([wrong, 1])
    with pytest.raises(BadInput, match="more_zeros must be 0 or more, got -1"):
        gini_index([1, 2], -1)


def test_counts_of_any_size_are_shares() -> None:
    for factor in (1e-300, 5e307):
        assert float(gini_index(np.array([1, 2, 3]) * factor)) == pytest.approx(naive_gini([1, 2, 3]))
        assert float(entropy_bits(np.array([1, 1, 2]) * factor)) == pytest.approx(1.5)
