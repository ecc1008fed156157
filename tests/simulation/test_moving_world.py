"""A moving world is the world that it holds, shifted by its schedule."""

import numpy as np
import pytest

from flyball.core import Refused
from flyball.simulation import DAY_US, Timeline
from flyball.simulation.moving_world import MovingWorld, shifting
from flyball.simulation.worlds.delivery import DeliveryWorld

START_US = 1_767_571_200_000_000
TIMELINE = Timeline()


def city() -> DeliveryWorld:
    return DeliveryWorld(seed=1, start_us=START_US, orders_a_day=2_000, shops=12, couriers=150)


def test_requests_are_shifted_from_the_time_that_the_schedule_says() -> None:
    world = MovingWorld(city(), "covariate", lambda at_us: float(at_us >= START_US + DAY_US), "delivery")
    world.emit(START_US, TIMELINE)
    km = []
    for day in (1, 2):
        asked = world.requests(START_US + day * DAY_US, TIMELINE)
        world.decide(asked, [None] * len(asked), [])
        km.append(np.mean([request.fields["km"] for request in asked]))
        assert world.emit(START_US + day * DAY_US, TIMELINE).lines
    assert 1.7 < km[1] / km[0] < 2.3
    oracle = world.reference_policies(asked)["oracle"]
    assert len(world.true_quality(asked, oracle)["closeness"]) == len(asked)


def test_the_randomness_of_the_world_can_be_replaced() -> None:
    inner = city()
    world = MovingWorld(inner, "demand", lambda at_us: 0.0, "delivery")
    world.rng = rng = np.random.default_rng(7)
    assert inner.rng is rng is world.rng


def test_a_shift_that_a_world_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(Refused, match="kind 'label', got only covariate, concept, demand: choose another drill"):
        shifting(city(), "label", "delivery")
    with pytest.raises(Refused, match="got none"):
        shifting(object(), "label", "own")  # type: ignore[arg-type]
