"""Exact propensities of drafts: beside an enumeration of all orders, and beside drawn drafts."""

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics import DraftRule, position_probabilities, ruled_draft, team_draft

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


VALUES = st.dictionaries(st.integers(0, 7), st.lists(st.sampled_from("xyz"), max_size=2, unique=True))


def by_rule(rankings: list[list[int]], size: int, order: tuple[int, ...], rule: DraftRule[int]) -> list[int]:
    """What a draft in this order shows as far as the rule allows it, written down naively."""
    items: list[int] = []

    def allowed(item: int) -> bool:
        shown = [value for one in items for value in rule.values.get(one, ())]
        return all(shown.count(value) < rule.at_most for value in rule.values.get(item, ()))

    before = -1
    while before < len(items):
        before = len(items)
        for ranker in order:
            able = [item for item in rankings[ranker] if item not in items and allowed(item)]
            if able and len(items) < size:
                items.append(able[0])
    return items


@settings(max_examples=80, deadline=None)
@given(RANKINGS, st.integers(1, 6), st.integers(1, 3), VALUES, st.integers(0, 2**32))
def test_a_rule_holds_in_the_whole_draft(
    rankings: list[list[int]], size: int, at_most: int, values: dict[int, list[str]], seed: int
) -> None:
    """Whoever places the items, and in whatever order: unless too few items are allowed to fill the list."""
    rule = DraftRule(at_most, values)
    draft = team_draft(rankings, size, np.random.default_rng(seed), rule)
    shown = Counter(value for item in draft.items for value in values.get(item, ()))
    fewest = min(len(by_rule(rankings, size, order, rule)) for order in permutations(range(len(rankings))))
    assert max(shown.values(), default=0) <= at_most or fewest < size
    assert len(draft.items) == min(size, len({item for ranking in rankings for item in ranking}))
    assert all(item in rankings[team] for item, team in zip(draft.items, draft.teams, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.permutations(range(8)), min_size=2, max_size=3), st.integers(1, 5), st.integers(1, 2))
def test_lists_that_obey_the_rule_are_never_too_short(rankings: list[list[int]], size: int, at_most: int) -> None:
    """With one value for each item and lists that obey the rule, a whole list can always be drafted by it."""
    values = {item: ["xyzuv"[item % 5]] for item in range(8)}
    obeying: list[list[int]] = []
    for ranking in rankings:
        kept: list[int] = []
        for item in ranking:
            if sum(values[other] == values[item] for other in kept) < at_most and len(kept) < size:
                kept.append(item)
        obeying.append(kept)
    rule = DraftRule(at_most, values)
    for order in permutations(range(len(rankings))):
        draft = ruled_draft(obeying, size, order, rule)
        assert max(Counter(values[item][0] for item in draft.items).values()) <= at_most
        assert len(draft.items) >= min(map(len, obeying))


@settings(max_examples=60, deadline=None)
@given(RANKINGS, st.integers(1, 6), st.integers(1, 2), VALUES)
def test_with_a_rule_they_are_those_of_all_orders_counted(
    rankings: list[list[int]], size: int, at_most: int, values: dict[int, list[str]]
) -> None:
    rule, orders = DraftRule(at_most, values), list(permutations(range(len(rankings))))
    counted: list[Counter[int]] = [Counter() for _ in range(size)]
    for order in orders:
        drafted_items, allowed = ruled_draft(rankings, size, order, rule).items, by_rule(rankings, size, order, rule)
        assert list(drafted_items[: len(allowed)]) == allowed
        for position, item in enumerate(drafted_items):
            counted[position][item] += 1
    expected = [{item: n / len(orders) for item, n in counts.items()} for counts in counted if counts]
    got = position_probabilities(rankings, size, rule)
    assert [pytest.approx(position) for position in expected] == got
    drawn = {team_draft(rankings, size, np.random.default_rng(seed), rule).items for seed in range(40)}
    assert drawn <= {ruled_draft(rankings, size, order, rule).items for order in orders}


def test_without_a_rule_a_draft_is_as_before_and_with_one_no_ranker_is_favored() -> None:
    rankings = [list("abcdef"), list("bagchi")]
    free: DraftRule[str] = DraftRule(1, {})
    seeds = range(2_000)
    plain = team_draft(rankings, 5, np.random.default_rng(3))
    assert plain == team_draft(rankings, 5, np.random.default_rng(3), None)
    rule = DraftRule(1, {"a": "x", "b": "x", "c": "y", "g": "y"})
    for one in (free, rule):
        teams = [team for seed in seeds for team in team_draft(rankings, 5, np.random.default_rng(seed), one).teams]
        assert sum(teams) / len(teams) == pytest.approx(0.5, abs=0.02)


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
