"""Effects of random draws and slopes of shares: exact tests, planted values, naive fits."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy import optimize

from flyball.core import BadInput
from flyball.statistics import randomized_effect, share_slope


def test_the_p_value_is_that_of_all_orders_of_the_draws() -> None:
    """Two strata of four and three rows: all 24 * 6 orders of the draws are counted."""
    drawn, stratum = [2.0, 0, 1, 0, 3, 0, 1], [0, 0, 0, 0, 1, 1, 1]
    before, after = [4.0, 6, 5, 3, 1, 2, 3], [9.0, 5, 7, 2, 8, 1, 4]

    def statistic(order: tuple[float, ...]) -> float:
        total = 0.0
        for first, last in ((0, 4), (4, 7)):
            d, b, a = (np.array(values[first:last]) for values in (order, before, after))
            grown = a - a.sum() / b.sum() * b
            grown -= grown.mean()
            total += float(((d - d.mean()) * grown).sum() / (1 + grown.var(ddof=1)))
        return total

    observed = statistic(tuple(drawn))
    orders = [(*a, *b) for a, b in product(permutations(drawn[:4]), permutations(drawn[4:]))]
    exact = float(np.mean([statistic(order) >= observed - 1e-9 for order in orders]))
    found = randomized_effect(drawn, before, after, stratum, permutations=20_000, seed=3)
    assert found is not None
    assert found.p == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 20_000) ** 0.5)


def world(seed: int, effect: float, rows: int = 300) -> list[np.ndarray]:
    """(draws, before, after, stratum); appeal differs by a power law, and draws are rarer in the second stratum."""
    rng = np.random.default_rng(seed)
    stratum = np.arange(rows) % 2
    rate = 40.0 / (1 + np.arange(rows) // 2) + 2
    drawn = rng.poisson(np.where(stratum == 0, 1.0, 0.3))
    return [drawn, rng.poisson(rate), rng.poisson(rate + effect * drawn), stratum]


def test_without_an_effect_small_p_values_are_as_rare_as_they_say_and_e_values_are_1_on_average() -> None:
    found = [randomized_effect(*world(seed, 0.0), permutations=199, seed=seed) for seed in range(300)]
    p = np.array([one.p for one in found if one is not None])
    e = np.array([one.e_value for one in found if one is not None])
    assert len(p) == 300
    assert np.mean(p <= 0.05) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.1)
    assert e.mean() <= 1 + 3 * e.std() / 300**0.5


def test_a_planted_effect_is_in_its_interval_and_seen_as_often_as_promised() -> None:
    found = [randomized_effect(*world(seed, 1.0), permutations=199, seed=seed) for seed in range(100)]
    assert all(one is not None for one in found)
    known = [one for one in found if one is not None]
    assert sum(one.low <= 1.0 <= one.high for one in known) >= 88
    assert np.mean([one.effect for one in known]) == pytest.approx(1.0, abs=0.15)
    smallest = float(np.mean([one.smallest for one in known]))
    seen = [randomized_effect(*world(seed, smallest), permutations=199, seed=seed) for seed in range(100)]
    assert sum(one is not None and one.p <= 0.05 for one in seen) >= 78


def test_where_draws_do_not_differ_there_is_no_effect_to_see() -> None:
    assert randomized_effect([1, 1, 0, 0], [1, 2, 3, 4], [1, 2, 3, 4], [0, 0, 1, 1]) is None
    same = randomized_effect([1, 0, 2, 0], [1, 1, 1, 1], [5, 5, 5, 5], [0, 0, 0, 0])
    assert same is not None
    assert (same.effect, same.p, same.e_value) == (0.0, 1.0, 1.0)


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="rows must be as many in each array"):
        randomized_effect([1, 0], [1], [1, 2], [0, 0])
    with pytest.raises(BadInput, match="draws at position 0 must be within"):
        randomized_effect([-1, 0], [1, 1], [1, 2], [0, 0])
    with pytest.raises(BadInput, match="past numbers at position 0 must be within"):
        share_slope([1, 2], [0, 1], [0, 0], [0, 1])


def naive_slope(counts: np.ndarray, past: np.ndarray, group: np.ndarray, offered: np.ndarray) -> float:
    """The Poisson likelihood over the slope and an intercept for each group, by a general optimizer."""

    def loss(values: np.ndarray) -> float:
        log_mean = values[group + 1] + values[0] * np.log(past) + np.log(np.maximum(offered, 1e-12))
        return float((np.exp(log_mean) - counts * log_mean).sum())

    start = np.zeros(2 + int(group.max()))
    return float(optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-8}).x[0])


def shares(seed: int, slope: float, items: int = 80, periods: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    past = rng.integers(1, 200, items * periods).astype(float)
    group, unit = np.repeat(np.arange(periods), items), np.tile(np.arange(items), periods)
    offered = rng.integers(0, 6, items * periods).astype(float)
    own = np.exp(0.3 * rng.normal(size=items))[unit]  # an item has its own appeal in all periods
    return [rng.poisson(0.2 * offered * own * past**slope), past, group, unit, offered]


def test_the_slope_is_that_of_a_poisson_regression() -> None:
    counts, past, group, unit, offered = shares(1, 0.7)
    found = share_slope(counts, past, group, unit, offered)
    assert found is not None
    assert found.value == pytest.approx(naive_slope(counts, past, group, offered), abs=1e-4)


def test_intervals_hold_planted_slopes_and_their_differences() -> None:
    single = both = 0
    for seed in range(60):
        steep, flat = shares(seed, 0.9), shares(1_000 + seed, 0.4)
        first, second = share_slope(*steep), share_slope(*flat)
        assert first is not None
        assert second is not None
        single += first.low <= 0.9 <= first.high
        difference = first.minus(second)
        both += difference.low <= 0.5 <= difference.high
    assert single >= 52
    assert both >= 52


def test_without_counts_or_without_different_pasts_there_is_no_slope() -> None:
    assert share_slope([0, 0], [1, 2], [0, 0], [0, 1]) is None
    assert share_slope([3, 4], [2, 2], [0, 0], [0, 1]) is None
