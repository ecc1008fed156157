"""Tests of shift: the p-values of scipy; false positives of rows that are independent, alike or seasonal."""

import math
import warnings
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import (
    design_effect,
    homogeneity_p,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
    shared_tail_p,
)

TRIALS = 400
MOST = stats.binom.ppf(0.999, TRIALS, 0.05)
"""False positives that 1 of 1,000 runs exceeds where each test errs in 5 %."""


def test_p_values_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(20, 90, 6), rng.integers(20, 90, 6)
    assert homogeneity_p(a, b) == pytest.approx(stats.chi2_contingency([a, b], correction=False).pvalue)
    x, y = rng.normal(size=5_000), rng.normal(0.05, 1, 3_000)
    expected = stats.ks_2samp(x, y, method="exact")
    assert kolmogorov_smirnov_p(expected.statistic, 5_000, 3_000) == pytest.approx(expected.pvalue, rel=0.05)


@pytest.mark.parametrize("rows_a", [1, 2, 3, 5, 8, 20, 60])
@pytest.mark.parametrize("rows_b", [2, 4, 7, 15, 50, 200])
def test_few_rows_are_no_more_certain_than_they_are(rows_a: int, rows_b: int) -> None:
    rng = np.random.default_rng(6)
    for shift in np.repeat([0.0, 0.5, 1.0, 3.0, 9.0], 5):
        exact = stats.ks_2samp(rng.normal(shift, 1, rows_a), rng.normal(size=rows_b), method="exact")
        p = kolmogorov_smirnov_p(exact.statistic, rows_a, rows_b)
        if rows_a * rows_b <= 10_000:
            assert p == pytest.approx(exact.pvalue, rel=1e-9, abs=1e-13)
        else:
            assert p >= min(exact.pvalue, 0.1)


@pytest.mark.parametrize(("rows_a", "rows_b"), [(1, 10_001), (2, 5_001), (20, 501), (80, 130), (101, 101), (150, 150)])
def test_the_limit_is_no_lower_than_the_exact_value_where_it_is_used(rows_a: int, rows_b: int) -> None:
    """Of the distances that samples without ties can have."""
    for distance in np.ceil(np.linspace(0.05, 1, 12) * np.lcm(rows_a, rows_b)) / np.lcm(rows_a, rows_b):
        exact = _exactly(float(distance), rows_a, rows_b)
        if 1e-12 < exact <= 0.1:
            assert kolmogorov_smirnov_p(float(distance), rows_a, rows_b) >= exact


def _exactly(distance: float, rows_a: int, rows_b: int) -> float:
    """The share of lattice paths that reach the distance, in whole numbers."""
    paths = [1] + [0] * rows_b
    for row in range(rows_a + 1):
        for column in range(rows_b + 1):
            if row or column:
                before = (paths[column] if row else 0) + (paths[column - 1] if column else 0)
                near = abs(row / rows_a - column / rows_b) < distance - 1e-9
                paths[column] = before if near else 0
    return 1 - paths[rows_b] / math.comb(rows_a + rows_b, rows_a)


def test_few_rows_have_whole_numbers_of_orders() -> None:
    assert kolmogorov_smirnov_p(1.0, 3, 3) == pytest.approx(0.1, rel=1e-12)
    assert kolmogorov_smirnov_p(0.5, 4, 2) == pytest.approx(_exactly(0.5, 4, 2))
    assert kolmogorov_smirnov_p(1.0, 6, 9, 2.0, 3.0) == pytest.approx(0.1, rel=1e-12)
    assert kolmogorov_smirnov_p(0.0, 3, 3) == 1.0
    assert kolmogorov_smirnov_p(1.0, 60, 60) == pytest.approx(2 / math.comb(120, 60), rel=1e-9)


def test_few_rows_have_the_published_p_values() -> None:
    """Evidently's cases of Fisher's exact test; with more rows ours is the chi-square test of two samples."""
    cases = vectors("evidently_stattests")["cases"]
    fisher = [case for case in cases if case["test"] == "fisher exact"]
    few = [case for case in fisher if sum(case["a"].values()) <= 6 and sum(case["b"].values()) <= 6]
    assert len(few) == 4
    for case in few:
        p = homogeneity_p(list(case["a"].values()), list(case["b"].values()))
        assert p == pytest.approx(case["p"], abs=case["tol"])
    many = next(case for case in fisher if case["p"] == 0.033)
    assert homogeneity_p([45, 45], [30, 60]) == pytest.approx(many["p"], abs=0.01)


def test_a_reference_is_a_sample_where_evidently_takes_it_as_exact() -> None:
    published = vectors("evidently_stattests")
    once, doubled = (case for case in published["cases"] if case["test"].startswith("chi-square"))
    before, now = np.array(published["ref"]["repeat"]), np.array(once["cur_repeat"])
    assert stats.chisquare(now, before).pvalue == pytest.approx(once["p"], abs=once["tol"])
    assert once["p"] == doubled["p"]
    assert homogeneity_p(before, now) > once["p"] > homogeneity_p(before * 1_000_000, now) - 1e-3


@pytest.mark.parametrize("rows", [100, 1_000, 5_000])
def test_quiet_windows_alarm_as_rarely_as_measured(rows: int) -> None:
    """`measured_here`: a nominal 5 % of a test of goodness of fit is 7, 36 and 87 %, that of homogeneity 5 %."""
    (fit, homogeneity) = vectors("measured_here")[
        f"chi2 nominal 5%: ref=1000 cur={rows} (GOF as evidently, homogeneity)"
    ]
    rng, runs = np.random.default_rng(rows), 1_500
    pairs = [(rng.multinomial(1_000, [1 / 6] * 6), rng.multinomial(rows, [1 / 6] * 6)) for _ in range(runs)]
    ours = np.mean([homogeneity_p(a, b) <= 0.05 for a, b in pairs])
    theirs = np.mean([stats.chisquare(b, a * rows / 1_000).pvalue <= 0.05 for a, b in pairs])
    assert ours == pytest.approx(homogeneity, abs=4 * np.sqrt(0.05 / runs))
    assert theirs == pytest.approx(fit, abs=4 * np.sqrt(0.25 / runs))


def test_rare_categories_are_put_together() -> None:
    a, b = [100, 100, 1, 0, 2], [110, 90, 0, 3, 0]
    assert homogeneity_p(a, b) == pytest.approx(
        stats.chi2_contingency([[103, 100], [93, 110]], correction=False).pvalue
    )


def test_few_rows_are_tested_exactly() -> None:
    assert homogeneity_p([20_000, 0], [600, 100]) == pytest.approx(stats.fisher_exact([[20_000, 0], [600, 100]]).pvalue)
    assert homogeneity_p([9, 1, 2], [0, 1, 2]) == pytest.approx(stats.fisher_exact([[9, 3], [0, 3]]).pvalue)
    assert homogeneity_p([1, 0], [0, 1]) == 1.0
    assert homogeneity_p([5], [9]) == 1.0
    every_tenth = homogeneity_p([20_000, 0], [600, 100], effect=10)
    assert every_tenth == pytest.approx(stats.fisher_exact([[2_000, 0], [60, 10]]).pvalue)


def test_doubling_the_reference_moves_the_p_value() -> None:
    a, b = np.array([50, 50, 50]), np.array([60, 50, 40])
    assert homogeneity_p(a * 20, b) < homogeneity_p(a, b)


def test_independent_rows_have_a_design_effect_near_1() -> None:
    rng = np.random.default_rng(2)
    effects = [design_effect(rng.binomial(200, [0.1, 0.5], (30, 2)) / 200, [200] * 30) for _ in range(200)]
    assert 1.0 <= np.median(effects) < 1.4


def test_rows_that_come_in_equal_groups_count_as_one() -> None:
    rng = np.random.default_rng(3)
    shares = rng.binomial(40, 0.3, (2_000, 1)) / 40  # 400 rows a window, ten of each kind
    assert design_effect(shares, [400] * 2_000) == pytest.approx(10, rel=0.1)


def _windows(rng: np.random.Generator, kind: str, days: int) -> list[np.ndarray]:
    """Rows of `days` days, without any shift."""
    windows = []
    for day in range(days):
        if kind == "independent":
            rows = rng.normal(size=300)
        elif kind == "alike within a user":
            rows = np.repeat(rng.normal(size=30), 10) + 0.1 * rng.normal(size=300)
        else:
            rows = rng.normal(0.5 * (day % 7 >= 5), 1, 300)
        windows.append(rows)
    return windows


@pytest.mark.parametrize("kind", ["independent", "alike within a user", "weekend"])
def test_false_positives_stay_within_alpha_whatever_the_rows_depend_on(kind: str) -> None:
    rng, corrected, plain = np.random.default_rng(4), 0, 0
    for trial in range(TRIALS):
        *before, now = _windows(rng, kind, 28 + 1 + trial % 7)
        reference = np.sort(np.concatenate(before))
        points = np.quantile(reference, np.linspace(0.1, 0.9, 9))
        effect = design_effect([(rows[:, None] <= points).mean(axis=0) for rows in before], [len(r) for r in before])
        distance = kolmogorov_smirnov((reference, np.ones(len(reference))), (np.sort(now), np.ones(len(now))))
        corrected += kolmogorov_smirnov_p(distance, len(reference), len(now), effect, effect) <= 0.05
        plain += kolmogorov_smirnov_p(distance, len(reference), len(now)) <= 0.05
    assert corrected <= MOST
    if kind != "independent":
        assert plain > 0.3 * TRIALS  # what the correction is for


def test_a_shift_is_found_among_rows_that_are_alike() -> None:
    rng, seen = np.random.default_rng(5), 0
    for _ in range(50):
        *before, now = _windows(rng, "alike within a user", 29)
        reference, now = np.sort(np.concatenate(before)), np.sort(now + 1.5)
        points = np.quantile(reference, np.linspace(0.1, 0.9, 9))
        effect = design_effect([(rows[:, None] <= points).mean(axis=0) for rows in before], [len(r) for r in before])
        distance = kolmogorov_smirnov((reference, np.ones(len(reference))), (now, np.ones(len(now))))
        seen += kolmogorov_smirnov_p(distance, len(reference), len(now), effect, effect) <= 0.05
    assert seen == 50


@pytest.mark.parametrize(
    ("a", "b"),
    [([1e9, 1], [1, 1]), ([2.0**40, 2], [3, 1]), ([2.0**52, 1], [4, 0]), ([1e8, 1e8], [2, 1]), ([1e9, 1e9], [3, 3])],
)
def test_a_large_sample_beside_a_small_one_has_an_exact_p_value_at_once(a: list[float], b: list[float]) -> None:
    """The oracle is the hypergeometric distribution in fractions, of the few counts of a small sample."""
    (n, m), k = (int(sum(a)), int(sum(b))), int(a[1] + b[1])

    def chance(x: int) -> Fraction:
        ways = Fraction(1)
        for i in range(m):  # m draws without replacement, x of them from the k
            ways *= Fraction(k - i if i < x else n + m - k - (i - x), n + m - i)
        return ways * comb(m, x)

    chances = [chance(x) for x in range(min(m, k) + 1)]
    seen = chances[int(b[1])]
    exact = sum((one for one in chances if one <= seen), Fraction(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert homogeneity_p(a, b) == pytest.approx(float(exact), rel=1e-9)


def test_small_tables_have_the_p_value_of_fishers_exact_test() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        a, b = rng.integers(0, 2_000, 2), rng.integers(0, 5, 2)
        if a.sum() and b.sum():
            assert homogeneity_p(a, b) == pytest.approx(stats.fisher_exact([a, b]).pvalue, rel=1e-7)


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(BadInput, match="windows with rows must be 3 or more, got 2"):
        design_effect([[0.5], [0.5], [0.5]], [10, 10, 0])
    with pytest.raises(BadInput, match="distance must be from 0 to 1"):
        kolmogorov_smirnov_p(1.5, 10, 10)
    with pytest.raises(BadInput, match="count_b must be a number above 0"):
        kolmogorov_smirnov_p(0.5, 10, 0)
    with pytest.raises(BadInput, match="with a sum above 0"):
        homogeneity_p([0, 0], [1, 2])
    with pytest.raises(BadInput, match="number of categories of b must be 2, as of a, got 1"):
        homogeneity_p([1, 2], [1])
    with pytest.raises(BadInput, match=r"counts of b must be of shape \(n,\), one dimension"):
        homogeneity_p([1, 2], 5)
    for large in (1e300, 1e16, 8e15):
        with pytest.raises(BadInput, match="counts"):
            homogeneity_p([large, large], [1, 2])


def test_what_a_window_shares_is_in_the_tail() -> None:
    """All rows of a window share a t with 5 degrees, with three quarters of the variance: a tail of as many p-values as
    they claim, where a normal tail has many times as many."""
    rng = np.random.default_rng(11)
    shared = rng.standard_t(5, 100_000) * np.sqrt(3 * 3 / 5)  # with a variance of 3
    deviation = np.abs(shared + rng.standard_normal(100_000)) / 2
    plain = 2 * stats.norm.sf(deviation[deviation > 2])
    tailed = np.array([shared_tail_p(p, 4.0, 3.0) for p in plain])
    for level in (1e-3, 1e-4):
        assert (tailed <= level).sum() <= 100_000 * level + 3 * np.sqrt(100_000 * level)
        assert (plain <= level).sum() >= 3 * 100_000 * level


def test_without_a_shared_part_a_p_value_stays() -> None:
    assert shared_tail_p(1e-9, 1.3, 0.0) == 1e-9
    assert shared_tail_p(1.0, 2.0, 1.0) == 1.0
    assert 1e-9 < shared_tail_p(1e-9, 1.3, 0.1) < shared_tail_p(1e-9, 3.0, 2.0) < 0.01
    assert shared_tail_p(0.0, 2.0, 1.0) > 0
    with pytest.raises(BadInput, match="effect"):
        shared_tail_p(0.1, 0.0, 0.0)
