"""The loop in worlds of a planted strength: no gain without one, an exposure for each where nothing else counts."""

import numpy as np
import pytest
from msgspec.structs import replace
from tests.monitoring.exposure.worlds import DAY_US, loop_world

from flyball.monitoring.exposure.lists import Consumed
from flyball.monitoring.exposure.loop import FeedbackLoop, count_items, feedback_loop, loop_gain

ITEMS, WEEK_US = 60, 7 * DAY_US


def weeks(count: int) -> list[tuple[int, int]]:
    return [(number * WEEK_US, (number + 1) * WEEK_US) for number in range(count)]


def loop_of(strength: float, seed: int) -> FeedbackLoop:
    lists, consumption = loop_world(strength, seed, days=42)
    return feedback_loop(count_items(lists, consumption, weeks(6), ITEMS))


def test_counts_are_those_of_a_loop_over_all_that_was_shown() -> None:
    lists, _ = loop_world(0.5, 1, days=4, daily=30)
    user, item, at_us = np.array([0, 1, 1]), np.array([3, 3, 4]), np.array([0, DAY_US, 3 * DAY_US])
    consumption = Consumed(user=user, item=item, at_us=at_us, organic=np.ones(3, bool), items=ITEMS)
    periods = [(0, 2 * DAY_US), (2 * DAY_US, 4 * DAY_US)]
    counts = count_items(lists, consumption, periods, ITEMS)
    for number, (start_us, end_us) in enumerate(periods):
        shown, drawn, taken = (np.zeros(ITEMS, int) for _ in range(3))
        for row, one, flag in zip(lists.row, lists.item, lists.taken, strict=True):
            if start_us <= lists.at_us[row] < end_us:
                (drawn if lists.randomized[row] else shown)[one] += 1
                taken[one] += bool(lists.randomized[row] and flag)
        assert counts.shown[number].tolist() == shown.tolist()
        assert counts.drawn[number].tolist() == drawn.tolist()
        assert counts.taken[number].tolist() == taken.tolist()
    assert counts.popularity[:, 3:5].tolist() == [[0, 0], [2, 0]]


def test_without_a_loop_gains_are_0_and_with_nothing_else_an_exposure_brings_another() -> None:
    none, whole = ([loop_of(strength, seed) for seed in range(12)] for strength in (0.0, 1.0))
    gains = [np.array([loop.gain.value for loop in loops if loop.gain is not None]) for loops in (none, whole)]
    assert [len(of_worlds) for of_worlds in gains] == [12, 12]
    error = [of_worlds.std(ddof=1) / 12**0.5 for of_worlds in gains]
    assert abs(gains[0].mean()) < 3 * error[0]
    assert abs(gains[1].mean() - 1) < 3 * error[1]
    assert sum(loop.p is not None and loop.p <= 0.05 for loop in none) <= 3
    assert sum(loop.p is not None and loop.p <= 0.05 for loop in whole) >= 8


def test_slopes_of_exposure_and_of_demand_are_those_planted() -> None:
    """Without a loop the lists follow appeal, as what is taken does; both follow past exposure one to one."""
    loop = loop_of(0.0, 3)
    assert loop.exposure_slope is not None
    assert loop.demand_slope is not None
    assert loop.amplification is not None
    assert loop.exposure_slope.value == pytest.approx(1.0, abs=0.05)
    assert loop.demand_slope.low is not None
    assert loop.demand_slope.high is not None
    assert loop.demand_slope.low <= 1.0 <= loop.demand_slope.high
    assert loop.amplification.value == pytest.approx(loop.exposure_slope.value - loop.demand_slope.value)


def test_lists_sharper_than_demand_amplify() -> None:
    lists, consumption = loop_world(0.0, 5, days=42)
    even = np.random.default_rng(1).random(len(lists.item)) < 0.2
    alike = feedback_loop(count_items(replace(lists, taken=even), consumption, weeks(6), ITEMS))
    assert alike.amplification is not None
    assert alike.amplification.low is not None
    assert alike.amplification.low > 0.5, "everything is taken alike, and some items are shown far more"


def test_too_few_periods_or_no_slice_say_nothing() -> None:
    lists, consumption = loop_world(0.0, 1, days=14)
    two = feedback_loop(count_items(lists, consumption, weeks(2), ITEMS))
    assert two.exposure_slope is not None
    assert (two.gain, two.p, two.drawn) == (None, None, 0)
    unsliced = lists.only(~lists.randomized)
    bare = feedback_loop(count_items(unsliced, consumption, weeks(2), ITEMS))
    assert (bare.demand_slope, bare.amplification) == (None, None)
    nothing = np.zeros((1, ITEMS), int)
    assert loop_gain(nothing, nothing, nothing, nothing) is None
