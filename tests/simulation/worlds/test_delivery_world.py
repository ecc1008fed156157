"""The city that orders food: every order ends once, queues hold, and the truth it states is what comes to pass."""

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.simulation import DAY_US, Timeline, WorldRequest
from flyball.simulation.worlds.delivery import DeliveryWorld
from flyball.simulation.worlds.delivery.city import ZONES, make_city
from flyball.simulation.worlds.delivery.conditions import Conditions, demand_at, slowness_at
from flyball.simulation.worlds.delivery.durations import Circumstances, distribution
from flyball.simulation.worlds.delivery.queues import Couriers, Kitchens
from flyball.tasks import Response

START_US = 1_767_225_600_000_000
"""2026-01-01, a Thursday."""
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
TIMELINE = Timeline()
Events = list[dict[str, Any]]


def live(world: DeliveryWorld, steps_us: list[int], timeline: Timeline = TIMELINE) -> tuple[list[WorldRequest], Events]:
    """Live through the steps, then until every order has ended."""
    requests, events, now_us, pending = [], list[dict[str, Any]](), START_US, False
    for step_us in (0, *steps_us):
        now_us += step_us
        if step_us:
            asked = world.requests(now_us, timeline)
            world.decide(asked, [None] * len(asked), [])
            requests += asked
        batch = world.emit(now_us, timeline)
        events += [json.loads(line) for _, lines in batch.lines for line in lines]
        pending = batch.pending
    while pending:
        now_us += int(HOUR_US * timeline.speed)
        batch = world.emit(now_us, timeline)
        events += [json.loads(line) for _, lines in batch.lines for line in lines]
        pending = batch.pending
    return requests, events


def city(seed: int = 1, orders_a_day: int = 600, shops: int = 12, couriers: int = 40) -> DeliveryWorld:
    return DeliveryWorld(seed=seed, start_us=START_US, orders_a_day=orders_a_day, shops=shops, couriers=couriers)


def by_order(events: Events) -> dict[int, Events]:
    orders = defaultdict(list)
    for event in events:
        if "order" in event:
            orders[event["order"]].append(event)
    return orders


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(20, 500), st.integers(1, 6), st.integers(1, 20))
def test_every_order_ends_once(seed: int, orders_a_day: int, shops: int, couriers: int) -> None:
    requests, events = live(city(seed, orders_a_day, shops, couriers), [HOUR_US * 6] * 4)
    orders = by_order(events)
    assert sorted(orders) == sorted(request.fields["order"] for request in requests)
    whole = ["order", "accepted", "pickedup", "delivered"]
    for life in orders.values():
        assert [event["at"] for event in life] == sorted(event["at"] for event in life)
        kinds = [event["type"] for event in life]
        assert kinds in (whole, ["order", "accepted", "cancelled"], ["order", "cancelled"])
        assert {event["shop"] for event in life} == {life[0]["shop"]}
        if kinds[-1] == "cancelled":
            assert life[-1]["by"] == ("shop" if len(life) == 2 else "customer")
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)


def test_the_lines_are_the_same_however_time_is_divided() -> None:
    whole, hours, odd = (
        live(city(), steps)[1] for steps in ([DAY_US], [HOUR_US] * 24, [7 * MINUTE_US] * 205 + [5 * MINUTE_US])
    )
    assert whole == hours == odd
    assert live(city(seed=2), [DAY_US])[1] != whole


def test_a_courier_carries_one_order_at_a_time_and_needs_time_between_two() -> None:
    world = city(couriers=15)
    _, events = live(world, [DAY_US])
    orders = by_order(events)
    rides = defaultdict(list)
    for life in orders.values():
        if life[-1]["type"] == "delivered":
            order, picked, delivered = life[0], life[-2], life[-1]
            assert picked["courier"] == delivered["courier"]
            rides[picked["courier"]].append((picked["at"], delivered["at"], order["shop"], order["zone"]))
    assert len(rides) == 15
    zone_of = {event["shop"]: int(event["zone"][1:]) for event in events if event["type"] == "shopcard"}
    for ridden in rides.values():
        ridden.sort()
        for (_, free_us, _, zone), (next_us, _, shop, _) in pairwise(ridden):
            # The quickest kilometer there is: an empty, dry street at night.
            quickest_us = world._city.km[int(zone[1:]), zone_of[shop]] * 2.6 * 0.85 * MINUTE_US
            assert next_us - free_us >= quickest_us - 1


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=40), st.integers(1, 4))
def test_a_kitchen_is_a_queue_of_many_servers(arrivals: list[tuple[int, int]], stations: int) -> None:
    kitchens, free, now_us = Kitchens(np.array([7, stations]), 0), [0] * stations, 0
    for gap_us, work_us in arrivals:
        now_us += gap_us
        naive = min(free)
        assert kitchens.free_us(1) == naive
        free[free.index(naive)] = max(now_us, naive) + work_us
        kitchens.book(1, max(now_us, naive) + work_us)


def test_the_courier_who_waits_least_comes_and_else_the_first_to_be_there() -> None:
    couriers = Couriers(np.random.default_rng(1), 3, np.zeros((1, 1)), 0)
    for courier, free_us in enumerate((10, 40, 90)):
        couriers.book(courier, free_us, 0)
    arrivals_us = couriers.arrivals_us(0, at_us=20, km_us=1.0)
    assert arrivals_us.tolist() == [20, 40, 90]
    assert couriers.choose(arrivals_us, ready_us=50) == (1, 50)
    assert couriers.choose(arrivals_us, ready_us=40) == (1, 40)
    assert couriers.choose(arrivals_us, ready_us=39) == (0, 39)
    assert couriers.choose(arrivals_us, ready_us=5) == (0, 20)


def test_the_stated_distribution_is_that_of_the_times_that_come() -> None:
    world = city(seed=3, orders_a_day=1_500, shops=30, couriers=200)
    below = []
    for day in range(1, 5):
        requests = world.requests(START_US + day * DAY_US, TIMELINE)
        for request in requests:
            order = world._orders[request.number]
            if order.minutes is not None:
                below.append(float((distribution(order.met) < order.minutes).mean()))
    # Uniform when the stated distribution is the true one: each tenth holds a tenth, within five standard errors.
    tenths = np.histogram(below, bins=10, range=(0.0, 1.0))[0] / len(below)
    assert len(below) > 4_000
    assert np.abs(tenths - 0.1).max() < 5 * np.sqrt(0.09 / len(below)) + 2 / 512


def test_the_oracle_is_closest_and_covers_what_it_promises() -> None:
    world = city(orders_a_day=1_000, shops=20, couriers=70)
    live(world, [DAY_US] * 2)
    requests = world.requests(START_US + 3 * DAY_US, TIMELINE)
    policies = world.reference_policies(requests)
    quality = {name: world.true_quality(requests, responses) for name, responses in policies.items()}
    oracle, shop, everywhere = (quality[name]["closeness"] for name in ("oracle", "shop_median", "city_median"))
    assert (oracle >= np.maximum(shop, everywhere) - 1e-9).all()
    assert oracle.mean() > shop.mean() + 1.0
    assert shop.mean() > everywhere.mean()
    assert quality["oracle"]["inside"] == pytest.approx(0.8, abs=2 / 512)
    assert quality["oracle"]["late"] == pytest.approx(0.1, abs=2 / 512)
    one = world.true_quality(requests[:1], [Response(values=policies["oracle"][0].values[1:2])])
    assert one["closeness"] == pytest.approx(oracle[:1])
    assert (one["inside"], one["late"]) == (0.0, pytest.approx(0.5, abs=1 / 512))


def test_a_repeated_request_meets_the_queues_of_then() -> None:
    world = city(couriers=8)
    live(world, [20 * HOUR_US])
    busy = world.requests(START_US + 21 * HOUR_US, TIMELINE)[-1]
    later = WorldRequest(busy.number, START_US + 28 * HOUR_US, busy.fields)
    (now,), (then,) = (world.reference_policies([request])["oracle"] for request in (busy, later))
    assert now.values[1] > then.values[1] + 5.0


def test_outcomes_are_the_minutes_in_the_log() -> None:
    world = city()
    world.emit(START_US, TIMELINE)
    requests = world.requests(START_US + DAY_US, TIMELINE)
    world.decide(requests, [None] * len(requests), [])
    batch = world.emit(START_US + 3 * DAY_US, TIMELINE)
    lives = by_order([json.loads(line) for _, lines in batch.lines for line in lines])
    order_of = {request.number: request.fields["order"] for request in requests}
    delivered = {key for key, life in lives.items() if life[-1]["type"] == "delivered"}
    assert {order_of[outcome.request] for outcome in batch.outcomes} == delivered
    for outcome in batch.outcomes:
        life = lives[order_of[outcome.request]]
        assert outcome.value == (life[-1]["at"] - life[0]["at"]) / MINUTE_US
    assert batch.planted == Counter(event["type"] for life in lives.values() for event in life)


def test_fewer_couriers_longer_times_and_the_slow_are_cancelled() -> None:
    minutes, cancelled = {}, {}
    for couriers in (12, 60):
        lives = by_order(live(city(couriers=couriers), [DAY_US] * 3)[1]).values()
        ended = [life for life in lives if life[-1]["type"] == "delivered"]
        minutes[couriers] = np.mean([life[-1]["at"] - life[0]["at"] for life in ended]) / MINUTE_US
        cancelled[couriers] = np.mean([life[-1].get("by") == "customer" for life in lives])
    assert minutes[12] > 1.3 * minutes[60]
    assert cancelled[12] > 3 * cancelled[60]


def test_orders_follow_the_size_the_hour_and_the_weekday() -> None:
    world = city(orders_a_day=2_000)
    requests = world.requests(START_US + 14 * DAY_US, TIMELINE)
    expected = 2_000 / 24 * sum(demand_at(START_US + hour * HOUR_US, 0.0) for hour in range(14 * 24))
    # Rain brings more orders, by two fifths at most.
    assert expected - 5 * np.sqrt(expected) < len(requests) < 1.4 * expected
    hours = Counter(request.at_us // HOUR_US % 24 for request in requests)
    assert hours[19] > 10 * hours[5]
    assert demand_at(START_US + 2 * DAY_US, 0.0) > demand_at(START_US + 4 * DAY_US, 0.0)
    assert len(city(orders_a_day=20).requests(START_US + 14 * DAY_US, TIMELINE)) < 600


def test_rain_slows_the_ways_and_comes_in_showers() -> None:
    conditions, rng, rain = Conditions(1), np.random.default_rng(1), []
    for _ in range(20_000):
        conditions.step(rng)
        rain.append(conditions.rain_mm)
    wet = np.array(rain) > 0
    assert 0.1 < wet.mean() < 0.4
    assert (wet[1:] & wet[:-1]).sum() > 0.6 * wet.sum()
    assert slowness_at(START_US, 5.0) == pytest.approx(1.3 * slowness_at(START_US, 0.0))


def test_in_a_faster_world_an_order_takes_as_long_in_written_time() -> None:
    timeline = Timeline(START_US, START_US + 400 * DAY_US, speed=50.0)
    requests, events = live(city(), [DAY_US], timeline)
    assert requests
    lives = by_order(events).values()
    minutes = [(life[-1]["at"] - life[0]["at"]) / MINUTE_US for life in lives if life[-1]["type"] == "delivered"]
    assert 12 < np.median(minutes) < 40
    assert max(event["at"] for event in events) < timeline.written(START_US + DAY_US) + 6 * HOUR_US
    hour = timeline.written(START_US) // HOUR_US % 24
    assert {request.at_us // HOUR_US % 24 for request in requests} == set(range(24)), hour


def test_a_city_is_columns_and_its_kitchens_can_serve_dinner() -> None:
    drawn = make_city(np.random.default_rng(1), shops=30, orders_a_day=3_000)
    assert drawn.km.shape == (ZONES, ZONES)
    assert drawn.choice.shape == (ZONES, 30)
    assert np.diff(drawn.choice, axis=1).min() >= 0
    shares = np.diff(drawn.choice, axis=1, prepend=0.0)
    people = np.diff(drawn.population, prepend=0.0)
    work_a_minute = 3_000 / 8 / 60 * (people @ shares) * drawn.work_min
    assert (work_a_minute < drawn.stations).all()
    with pytest.raises(BadInput, match="shops and orders_a_day"):
        make_city(np.random.default_rng(1), shops=0, orders_a_day=10)
    with pytest.raises(BadInput, match="couriers"):
        city(couriers=0)


def test_the_distribution_of_parts_without_queues_is_their_sum() -> None:
    times = distribution(Circumstances(kitchen=-5.0, courier=0.0, work=10.0, ride=12.0))
    # Means of lognormals with medians 1, 10, 12 and spreads .5, .25, .15.
    assert times.mean() == pytest.approx(np.exp(0.125) + 10 * np.exp(0.03125) + 12 * np.exp(0.01125), rel=0.02)
    assert (np.diff(times) >= 0).all()
