"""Drafted lists: credit by unit, once, within its window."""

import random

import msgspec
import numpy as np
import pytest
from tests.experiments.market import DAY_US, START_US, answer

from flyball.experiments.interleaved import (
    InterleavedList,
    compare_credit,
    credit_by_unit,
    other_positions,
    position_bias,
)
from flyball.outcomes import Team, prediction_of
from flyball.statistics import Inference, team_draft


def lists(units: int, better: float, seed: int) -> list[InterleavedList]:
    """Two drafted lists a unit; items of the candidate draw `better` more clicks."""
    rng, made = np.random.default_rng(seed), []
    for number in range(2 * units):
        draft = team_draft([["a", "b", "c", "d"], ["c", "e", "a", "f"]], 4, rng)
        clicked = rng.random(4) < 0.2 + better * np.array(draft.teams)
        credit = {int(position): 1.0 for position in np.flatnonzero(clicked)}
        made.append(InterleavedList(f"u{number % units}", number, draft.teams, credit))
    return made


def compared(drafted: list[InterleavedList], within_us: int, as_of_us: int, n_best: float) -> Inference:
    return compare_credit(credit_by_unit(drafted, within_us, as_of_us), n_best)


def test_the_better_ranker_is_found_and_equal_ones_are_not_told_apart() -> None:
    found = compared(lists(1_500, 0.15, 1), DAY_US, 2 * DAY_US, n_best=1_500)
    assert (found.verdict, found.count_a) == ("better", 1_500)
    wins = [compared(lists(300, 0.0, seed), DAY_US, 2 * DAY_US, n_best=300).verdict for seed in range(40)]
    assert sum(verdict != "undecided" for verdict in wins) <= 4


def test_a_unit_counts_once_with_the_lists_of_its_window() -> None:
    early = InterleavedList("u", 0, (0, 1), {1: 1.0})
    late = InterleavedList("u", 11, (0, 1), {0: 5.0})
    waiting = InterleavedList("w", 95, (0, 1), {0: 1.0})
    alone = compared([late, early, waiting], 10, 100, n_best=10)
    assert (alone.count_a, alone.effect) == (1, 1.0)
    both = compared([late, early], 11, 100, n_best=10)
    assert both.effect == pytest.approx((1 - 5) / 6)
    assert compared([], 10, 100, n_best=10).verdict == "too early"


def test_position_bias_comes_from_the_same_lists() -> None:
    rng = np.random.default_rng(2)
    made = [
        InterleavedList("u", 0, (0, 1), {int(p): 1.0 for p in np.flatnonzero(rng.random(2) < [0.4, 0.2])}, (1, 0))
        for _ in range(4_000)
    ]
    ratio, here, there = position_bias(made)[(0, 1)]
    assert ratio == pytest.approx(2.0, rel=0.15)
    assert (here, there) == (4_000, 4_000)
    assert position_bias([]) == {}


def test_the_other_place_is_that_of_the_other_order_of_the_round() -> None:
    control, candidate = ["a", "b", "c", "d"], ["b", "e", "a", "c"]
    teams = (Team("control", "v1", 0, control, []), Team("candidate", "v2", 0, candidate, []))

    def places(items: list[str], drafted: list[int]) -> tuple[int, ...]:
        record = answer(random.Random(1), 7, START_US, items=items, scores=[1.0] * len(items), sources=["model"] * 4)
        return other_positions(msgspec.structs.replace(prediction_of(record), teams=teams, drafted=drafted))

    assert places(["a", "b", "e", "c"], [0, 1, 1, 0]) == (1, 0, 3, 2)
    same = (Team("control", "v1", 0, ["a", "b"], []), Team("candidate", "v2", 0, ["a", "c"], []))
    record = answer(random.Random(1), 7, START_US, items=["a", "b", "c"])
    alike = msgspec.structs.replace(prediction_of(record), teams=same, drafted=[0, 0, 1])
    assert other_positions(alike) == (0, 1, 2)
    assert other_positions(prediction_of(record)) == ()


def test_with_a_rule_the_other_place_is_that_of_the_other_order_of_the_whole_draft() -> None:
    """At most one of x: control first gives a, c, d; the candidate first b, c, e, so only c stands in both."""
    values = {"a": ("x",), "b": ("x",)}
    lists = {"control": ["a", "c", "d"], "candidate": ["b", "c", "e"]}
    teams = tuple(
        Team(arm, arm, 0, items, [], at_most=1, values=[values.get(item, ()) for item in items])
        for arm, items in lists.items()
    )
    record = answer(random.Random(1), 7, START_US, items=["a", "c", "d"])
    first = msgspec.structs.replace(prediction_of(record), teams=teams, drafted=[0, 1, 0])
    second = msgspec.structs.replace(first, items=["b", "c", "e"], drafted=[1, 0, 1])
    assert other_positions(first) == other_positions(second) == (0, 1, 2)
    last = {"control": ["a", "c", "d"], "candidate": ["b", "d", "c"]}
    teams = tuple(
        Team(arm, arm, 0, items, [], at_most=1, values=[values.get(item, ()) for item in items])
        for arm, items in last.items()
    )
    first = msgspec.structs.replace(first, teams=teams, items=["a", "d", "c"], drafted=[0, 1, 0])
    second = msgspec.structs.replace(first, items=["b", "c", "d"], drafted=[1, 0, 1])
    assert other_positions(first) == (0, 2, 1)
    assert other_positions(second) == (0, 2, 1)
