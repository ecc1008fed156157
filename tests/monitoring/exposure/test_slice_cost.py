"""The cost of the randomized slice, by hand and over fresh worlds."""

import numpy as np
import pytest

from flyball.monitoring.exposure.lists import ShownLists
from flyball.monitoring.exposure.slice_cost import slice_cost


def lists_with(randomized: np.ndarray, taken: np.ndarray, user: np.ndarray | None = None) -> ShownLists:
    """Lists of two items, of which the second is taken or not."""
    n = len(randomized)
    return ShownLists(
        at_us=np.arange(n),
        user=np.arange(n) if user is None else user,
        version=np.full(n, "v1", object),
        randomized=randomized,
        row=np.repeat(np.arange(n), 2),
        item=np.tile([0, 1], n),
        taken=np.stack([np.zeros(n, bool), taken], axis=1).ravel(),
    )


def test_rates_and_what_the_slice_takes_from_all() -> None:
    randomized = np.arange(100) < 20
    taken = np.isin(np.arange(100), [0, 1, *range(20, 60)])  # 2 of 20, 40 of 80
    found = slice_cost(lists_with(randomized, taken))
    assert found is not None
    assert (found.lists, found.others) == (20, 80)
    assert [found.rate.value, found.others_rate.value, found.difference.value] == pytest.approx([0.1, 0.5, -0.4])
    assert found.cost is not None
    without = 100 * 0.5  # what all lists would have had taken
    assert found.cost.value == pytest.approx((without - 42) / without)


def test_the_interval_of_the_difference_holds_the_planted_one() -> None:
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        randomized = rng.random(3_000) < 0.05
        taken = rng.random(3_000) < np.where(randomized, 0.1, 0.3)
        found = slice_cost(lists_with(randomized, taken, rng.integers(0, 800, 3_000)))
        assert found is not None
        low, high = found.difference.low, found.difference.high
        assert low is not None
        assert high is not None
        inside += low <= -0.2 <= high
    assert inside >= 53


def test_without_a_slice_or_without_a_rest_there_is_nothing_to_compare() -> None:
    nothing = np.zeros(5, bool)
    assert slice_cost(lists_with(nothing, nothing)) is None
    assert slice_cost(lists_with(~nothing, nothing)) is None


def test_where_nothing_is_taken_the_cost_is_unknown() -> None:
    found = slice_cost(lists_with(np.arange(6) < 2, np.zeros(6, bool)))
    assert found is not None
    assert found.cost is None
