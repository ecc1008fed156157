"""Exact propensities of drafts: beside an enumeration of all orders, and beside drawn drafts."""

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics import position_probabilities, team_draft

RANKINGS = st.lists(st.lists(st.integers(0, 7), min_size=0, max_size=6, unique=True), min_size=2, max_size=3)


def drafted(rankings: list[list[int]], size: int, orders: list[tuple[int, ...]]) -> list[int]:
    """The draft by these orders of its rounds, written down naively."""
    items: list[int] = []
    for order in orders:
        for ranker in order:
            left = [item for item in rankings[ranker] if item not in items]
            if left and len(items) < size:
                items.append(left[0])
    return items


@settings(max_examples=60, deadline=None)
@given(RANKINGS, st.integers(1, 6))
def test_they_are_those_of_all_orders_counted(rankings: list[list[int]], size: int) -> None:
    rounds = 3 if len(rankings) == 3 else 4
    size = min(size, rounds)  # every round adds one item at least while there are any
    every = list(product(permutations(range(len(rankings))), repeat=rounds))
    counted: list[Counter[int]] = [Counter() for _ in range(size)]
    for orders in every:
        for position, item in enumerate(drafted(rankings, size, list(orders))):
            counted[position][item] += 1
    expected = [{item: n / len(every) for item, n in counts.items()} for counts in counted if counts]
    got = position_probabilities(rankings, size)
    assert [pytest.approx(position) for position in expected] == got


def test_they_are_those_of_drafts_that_are_drawn() -> None:
    rankings = [list("abcdefgh"), list("bahgcxyz")]
    exact, seen = position_probabilities(rankings, 7), [Counter[str]() for _ in range(7)]
    for seed in range(4_000):
        for position, item in enumerate(team_draft(rankings, 7, np.random.default_rng(seed)).items):
            seen[position][item] += 1
    for position, counts in enumerate(seen):
        assert set(counts) == set(exact[position])
        for item, count in counts.items():
            p = exact[position][item]
            assert abs(count / 4_000 - p) <= 4.5 * (p * (1 - p) / 4_000) ** 0.5 + 1e-12


def test_equal_rankings_leave_nothing_to_chance() -> None:
    assert position_probabilities([[1, 2, 3], [1, 2, 3]], 3) == [{1: 1.0}, {2: 1.0}, {3: 1.0}]
    assert position_probabilities([[], []], 3) == []
    with pytest.raises(BadInput, match="each naming an item once"):
        position_probabilities([[1, 1], [2]], 2)
