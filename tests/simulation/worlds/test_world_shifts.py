"""Shifts of the worlds: what moves, and what stays as it was."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flyball.simulation import DAY_US, WORLD_SHIFTS, ShiftingWorld, Timeline, World, WorldRequest
from flyball.simulation.worlds.delivery import DeliveryWorld
from flyball.simulation.worlds.fraud import FraudWorld
from flyball.simulation.worlds.movies import MovieWorld

START_US = 1_767_571_200_000_000
TIMELINE = Timeline()
MAKERS: dict[str, Callable[[int], Any]] = {
    "delivery": lambda seed: DeliveryWorld(seed=seed, start_us=START_US, orders_a_day=1_000, shops=12, couriers=150),
    "fraud": lambda seed: FraudWorld(seed=seed, start_us=START_US, customers=600, terminals=500, fraud=5.0),
    "movies": lambda seed: MovieWorld(seed=seed, start_us=START_US, users=1_000, items=200, sessions_a_day=1.0),
}
KINDS = [(name, kind) for name, make in MAKERS.items() for kind in make(1).SHIFTS]


class Lived:
    """Days of a world without answers: its requests, its lines, and the true outcomes."""

    def __init__(self, world: World, days: int) -> None:
        self.requests, self.lines, self.outcomes = list[WorldRequest](), list[bytes](), dict[int, float]()
        world.emit(START_US, TIMELINE)
        for step in range(1, 4 * days + 1):
            until_us = START_US + step * DAY_US // 4
            asked = world.requests(until_us, TIMELINE)
            world.decide(asked, [None] * len(asked), [])
            batch = world.emit(until_us, TIMELINE)
            self.requests += asked
            self.lines += [line for _, lines in batch.lines for line in lines]
            self.outcomes.update((outcome.request, outcome.value) for outcome in batch.outcomes)

    def mean(self, field: str) -> float:
        return float(np.mean([request.fields[field] for request in self.requests]))

    @property
    def outcome(self) -> float:
        return float(np.mean(list(self.outcomes.values())))


def lived(name: str, kind: str = "", share: float = 1.0, days: int = 2, seed: int = 1) -> Lived:
    world = MAKERS[name](seed)
    if kind:
        world.shift(kind, share)
    return Lived(world, days)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_share_of_0_changes_nothing(name: str, kind: str) -> None:
    assert kind in WORLD_SHIFTS
    assert lived(name, kind, 0.0, days=1).lines == lived(name, days=1).lines
    assert lived(name, kind, 1.0, days=1).lines != lived(name, days=1).lines


def test_orders_come_from_farther_away_and_rides_take_as_long_a_kilometer() -> None:
    usual, far = lived("delivery"), lived("delivery", "covariate")
    assert 1.8 < far.mean("km") / usual.mean("km") < 2.2
    assert far.mean("items") > 1.3 * usual.mean("items")
    assert abs(len(far.requests) / len(usual.requests) - 1) < 0.1


def test_slower_couriers_change_the_minutes_and_not_the_orders() -> None:
    usual, slow = lived("delivery"), lived("delivery", "concept")
    assert slow.outcome > usual.outcome + 3
    assert abs(slow.mean("km") / usual.mean("km") - 1) < 0.1
    assert abs(slow.mean("items") / usual.mean("items") - 1) < 0.1


def test_payments_of_those_who_pay_much_are_more_often_and_fraud_is_as_frequent() -> None:
    usual, rich = lived("fraud", days=4), lived("fraud", "covariate", days=4)
    assert rich.mean("amount") > 1.25 * usual.mean("amount")
    assert abs(len(rich.requests) / len(usual.requests) - 1) < 0.1


def test_more_campaigns_make_fraud_more_frequent_at_once() -> None:
    outcomes = [
        [world.outcome for world in (lived("fraud", kind, days=3, seed=seed) for kind in ("", "label"))]
        for seed in (1, 2)
    ]
    for usual, more in outcomes:
        assert more > 2 * usual


def test_hidden_fraud_has_the_amounts_of_its_victims() -> None:
    amounts = []
    for kind in ("", "concept"):
        world = MAKERS["fraud"](1)
        if kind:
            world.shift(kind, 1.0)
        past = Lived(world, 4)
        fraud = [request.number for request in past.requests if past.outcomes[request.number] and kind is not None]
        of_number = {request.number: request.fields["amount"] for request in past.requests}
        amounts.append((np.mean([of_number[number] for number in fraud]), past.outcome, past.mean("amount")))
    (usual, share, _), (hidden, share_hidden, mean) = amounts
    assert usual > 2 * hidden
    assert abs(hidden / mean - 1) < 0.35
    assert abs(share_hidden / share - 1) < 0.35


def test_a_third_of_the_sessions_are_those_of_one_tribe() -> None:
    world = MovieWorld(seed=1, start_us=START_US, users=1_000, items=200, sessions_a_day=1.0)
    world.shift("covariate", 1.0)
    asked = Lived(world, 2).requests
    tribe = world._life.users.tribe
    share = np.mean([tribe[request.fields["user"] - 1] == 0 for request in asked])
    assert 0.25 < share < 0.45
    assert abs(len(asked) / len(lived("movies").requests) - 1) < 0.3  # one at a time


def test_turned_tastes_are_those_of_others_and_come_back() -> None:
    world = MovieWorld(seed=1, start_us=START_US, users=1_000, items=200)
    before = world._life.users.tastes.copy()
    world.shift("concept", 0.5)
    turned = (world._life.users.tastes != before).any(axis=1)
    assert abs(turned.mean() - 0.5) < 0.05
    assert {tuple(row) for row in world._life.users.tastes} <= {tuple(row) for row in before}
    world.shift("concept", 0.0)
    assert (world._life.users.tastes == before).all()


@pytest.mark.parametrize("name", list(MAKERS))
def test_demand_is_five_times_as_large(name: str) -> None:
    days = 3 if name != "movies" else 2
    usual, more = lived(name, days=days), lived(name, "demand", days=days)
    # A user of the movie service has one session at a time, so some of five times as many do not begin.
    least = 2.5 if name == "movies" else 4.5
    assert least < len(more.requests) / len(usual.requests) < 5.5


def test_the_worlds_are_shifting_ones() -> None:
    worlds: list[ShiftingWorld] = [make(1) for make in MAKERS.values()]
    assert all(set(world.SHIFTS) <= set(WORLD_SHIFTS) for world in worlds)
