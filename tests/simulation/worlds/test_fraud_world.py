"""The world of payments: shares, delays and decisions are as stated, and criminals learn from what is declined."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.simulation import DAY_US, Timeline, TrueOutcome, WorldRequest
from flyball.simulation.worlds.fraud import FraudWorld
from flyball.simulation.worlds.fraud.criminals import LARGE, STOLEN, TERMINAL, Criminals
from flyball.simulation.worlds.fraud.labels import FRIENDLY_SHARE, chargebacks_us, noticed, verdicts
from flyball.simulation.worlds.fraud.people import _terminals_near, make_people
from flyball.tasks import Response

START_US = 1_767_225_600_000_000
HOUR_US = DAY_US // 24
TIMELINE = Timeline()
Decide = Callable[[FraudWorld, WorldRequest], str]


def payments(seed: int = 1, customers: int = 300, terminals: int = 400, fraud: float = 5.0) -> FraudWorld:
    return FraudWorld(seed=seed, start_us=START_US, customers=customers, terminals=terminals, fraud=fraud)


class Lived:
    """A world after its steps and until nothing is pending."""

    def __init__(self, world: FraudWorld, steps_us: list[int], decide: Decide = lambda world, request: "") -> None:
        self.world, self.requests = world, list[WorldRequest]()
        self.events, self.outcomes, self.planted = list[dict[str, Any]](), list[TrueOutcome](), Counter[str]()
        now_us, self._pending = START_US, True
        self._emit(now_us)
        for step_us in steps_us:
            now_us += step_us
            asked = world.requests(now_us, TIMELINE)
            world.decide(asked, [Response(decision=decide(world, request)) for request in asked], [1] * len(asked))
            self.requests += asked
            self._emit(now_us)
        while self._pending:
            now_us += DAY_US
            self._emit(now_us)

    def _emit(self, until_us: int) -> None:
        batch = self.world.emit(until_us, TIMELINE)
        self.events += [json.loads(line) for _, lines in batch.lines for line in lines]
        self.outcomes += batch.outcomes
        self.planted.update(batch.planted)
        self._pending = batch.pending

    @property
    def lives(self) -> dict[int, list[dict[str, Any]]]:
        lives = defaultdict(list)
        for event in self.events:
            if "payment" in event:
                lives[event["payment"]].append(event)
        return lives

    @property
    def fraud(self) -> dict[int, int]:
        """How each payment came about, by its key."""
        return {request.fields["payment"]: self.world._frauds[request.number] for request in self.requests}


def is_fraud(world: FraudWorld, request: WorldRequest) -> bool:
    return world._frauds[request.number] > 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 80), st.integers(1, 80))
def test_every_payment_is_asked_once_and_ends_as_it_was_decided(seed: int, customers: int, terminals: int) -> None:
    words = ("approve", "review", "decline", "")
    world = payments(seed, customers, terminals, fraud=40.0)
    lived = Lived(world, [6 * HOUR_US] * 8, lambda _, request: words[request.number % 4])
    lives = lived.lives
    assert list(lives) == [request.fields["payment"] for request in lived.requests]
    assert lived.planted == Counter(event["type"] for event in lived.events if event["type"] != "merchantcard")
    for request in lived.requests:
        kinds = [event["type"] for event in lives[request.fields["payment"]]]
        decided = words[request.number % 4]
        possible = {
            "decline": (["payment", "declined"],),
            "review": (["payment", "verdict"], ["payment", "verdict", "chargeback"]),
        }
        assert kinds in possible.get(decided, (["payment"], ["payment", "chargeback"]))
        if decided == "review" and "chargeback" in kinds:
            assert lives[request.fields["payment"]][1]["fraud"] is False
    times = [event["at"] for event in lived.events]
    assert times == sorted(times)


def test_without_declines_the_lines_are_the_same_however_time_is_divided() -> None:
    whole, odd = (Lived(payments(), steps).events for steps in ([2 * DAY_US], [7 * HOUR_US] * 6 + [6 * HOUR_US]))
    assert whole == odd
    assert Lived(payments(seed=2), [2 * DAY_US]).events != whole
    declining: Decide = lambda world, request: "decline"  # noqa: E731
    assert Lived(payments(), [DAY_US] * 3, declining).events == Lived(payments(), [DAY_US] * 3, declining).events


def within_binomial(hits: int, n: int, share: float) -> bool:
    """Within five standard errors."""
    return abs(hits - n * share) <= 5 * np.sqrt(n * share * (1 - share))


def test_the_shares_of_fraud_are_the_handbooks() -> None:
    rng = np.random.default_rng(3)
    criminals = Criminals(rng, customers=500, terminals=500, start_us=START_US, rate=0.0)
    criminals.stolen_until_us[:250], criminals.compromised_until_us[:250] = (
        START_US + 14 * DAY_US,
        START_US + 28 * DAY_US,
    )
    n = 200_000
    customers, terminals = rng.integers(500, size=(2, n))
    amounts, at_us = np.full(n, 10.0), START_US + np.sort(rng.integers(28 * DAY_US, size=n))
    criminals._large_share = 0.0005
    kinds, charged = criminals.take(rng, at_us, customers, terminals, amounts)
    stolen = (customers < 250) & (at_us < START_US + 14 * DAY_US)
    assert within_binomial((kinds == STOLEN)[stolen].sum(), stolen.sum(), 1 / 3 * 0.9995)
    assert not (kinds == STOLEN)[~stolen].any()
    at_terminal = ~stolen & (terminals < 250)
    assert within_binomial((kinds == TERMINAL)[at_terminal].sum(), at_terminal.sum(), 0.8 * 0.9995)
    assert within_binomial((kinds == LARGE).sum(), n, 0.0005)
    assert not kinds[~stolen & (terminals >= 250) & (kinds != LARGE)].any()
    assert (charged[kinds == STOLEN] == 50.0).all()
    assert (charged[(kinds == TERMINAL) | (kinds == 0)] == 10.0).all()
    assert (charged[kinds == LARGE] > 220).all()


def test_the_whole_has_less_than_a_hundredth_of_fraud_and_no_more_payments_than_drawn() -> None:
    world = payments(customers=1_000, terminals=2_000, fraud=1.0)
    lived = Lived(world, [DAY_US] * 28)
    rate = 28 * world._people.payments_a_day.sum()
    assert abs(len(lived.requests) - rate) < 5 * np.sqrt(rate)
    kinds = Counter(lived.fraud.values())
    assert set(kinds) == {0, LARGE, TERMINAL, STOLEN}
    # Eleven terminals and eight cards are in their hands on average; the payments there vary by a factor.
    assert 0.003 < 1 - kinds[0] / len(lived.requests) < 0.015
    assert set(Lived(payments(fraud=0.0), [DAY_US] * 5).fraud.values()) == {0}


def test_campaigns_begin_end_and_are_there_from_the_start() -> None:
    rng = np.random.default_rng(1)
    criminals = Criminals(rng, customers=50_000, terminals=50_000, start_us=START_US)
    stolen = []
    for day in range(40):
        now_us = START_US + day * DAY_US
        criminals.begin(rng, now_us, 1.0)
        stolen.append((criminals.stolen_until_us > now_us).sum())
    # 30 a day for 14 days, from the first day on.
    assert np.mean(stolen) == pytest.approx(30 * 14.5, rel=0.08)
    assert stolen[0] == pytest.approx(30 * 14.5, rel=0.3)
    assert (criminals.compromised_until_us > START_US + 39 * DAY_US).sum() == pytest.approx(10 * 28.5, rel=0.3)


def test_chargebacks_come_after_days_to_weeks() -> None:
    rng, n = np.random.default_rng(2), 100_000
    amounts = np.full(n, 60.0)
    after_us = chargebacks_us(rng, np.ones(n, dtype=bool), amounts)
    days = after_us[after_us >= 0] / DAY_US
    assert within_binomial(len(days), n, float(noticed(amounts)[0]))
    for share, quantile in ((0.5, 8.0), (0.9, 8.0 * np.exp(0.7 * 1.2816)), (0.1, 8.0 * np.exp(-0.7 * 1.2816))):
        assert within_binomial((days < quantile).sum(), len(days), share)
    assert days.max() <= 45.0
    assert within_binomial((days > 30.0).sum(), len(days), 0.0295)
    friendly = chargebacks_us(rng, np.zeros(n, dtype=bool), amounts) >= 0
    assert within_binomial(friendly.sum(), n, FRIENDLY_SHARE)


def test_reviews_find_most_fraud_within_a_day() -> None:
    rng, n = np.random.default_rng(2), 50_000
    fraud = np.arange(n) % 2 == 0
    after_us, suspected = verdicts(rng, fraud)
    assert HOUR_US <= after_us.min() < after_us.max() <= 24 * HOUR_US
    assert within_binomial(suspected[fraud].sum(), n // 2, 0.95)
    assert within_binomial(suspected[~fraud].sum(), n // 2, 0.02)


def test_what_is_declined_brings_no_chargeback_but_a_new_attempt_for_less() -> None:
    declined = Lived(payments(), [HOUR_US] * 240, lambda world, request: "decline" if is_fraud(world, request) else "")
    approved = Lived(payments(), [HOUR_US] * 240)
    frauds = [life for key, life in declined.lives.items() if declined.fraud[key]]
    assert frauds
    assert {tuple(event["type"] for event in life) for life in frauds} == {("payment", "declined")}
    by_card = defaultdict(list)
    for key, life in declined.lives.items():
        if declined.fraud[key] == STOLEN:
            by_card[life[0]["card"]].append((life[0]["at"], life[0]["amount"]))
    # Four declines, and what had been asked in the same hour, end a card.
    assert max(map(len, by_card.values())) < 10
    again = [
        (at, later, amount, less)
        for tried in by_card.values()
        for (at, amount), (later, less) in pairwise(tried)
        if less == pytest.approx(0.6 * amount, abs=0.01)
    ]
    assert again
    assert all(10 / 60 * HOUR_US <= later - at <= 2 * HOUR_US for at, later, _, _ in again)
    mean = {
        name: np.mean([life[0]["amount"] for key, life in lived.lives.items() if lived.fraud[key] == STOLEN])
        for name, lived in (("declined", declined), ("approved", approved))
    }
    assert mean["declined"] < 0.7 * mean["approved"]


def test_a_skimmer_moves_to_another_terminal_after_three_declines() -> None:
    rng = np.random.default_rng(1)
    criminals = Criminals(rng, customers=1, terminals=1_000, start_us=START_US, rate=0.0)
    criminals.compromised_until_us[7] = until_us = START_US + 9 * DAY_US
    for number in range(3):
        assert criminals.declined(rng, TERMINAL, 0, 7, 30.0, START_US + number) is None
    assert criminals.compromised_until_us[7] == START_US + 2
    assert np.flatnonzero(criminals.compromised_until_us == until_us).tolist() not in ([], [7])
    # Large amounts become smaller, but never small.
    for _ in range(200):
        criminals.declined(rng, LARGE, 0, 1, 300.0, START_US)
    n = 20_000
    criminals._large_share = 1.0
    zeros = np.zeros(n, dtype=np.int64)
    _, amounts = criminals.take(rng, np.full(n, START_US), zeros, zeros, np.ones(n))
    assert 0.4 * 220 <= amounts.min() < 100


def test_the_truth_of_a_decision_is_the_money_it_saves() -> None:
    world = payments()
    requests = world.requests(START_US + 2 * DAY_US, TIMELINE)
    fraud = np.array([is_fraud(world, request) for request in requests])
    amount = np.array([request.fields["amount"] for request in requests])
    assert fraud.any()
    policies = world.reference_policies(requests)
    quality = {name: world.true_quality(requests, responses) for name, responses in policies.items()}
    assert quality["oracle"]["saved"].sum() == pytest.approx(amount[fraud].sum())
    assert not quality["approve_all"]["saved"].any()
    for name in ("large_amounts", "approve_all"):
        assert quality["oracle"]["closeness"].mean() > quality[name]["closeness"].mean()
        assert quality["oracle"]["saved"].sum() > quality[name]["saved"].sum()
    decline, review = (
        world.true_quality(requests, [Response(values=(0.3,), decision=word)] * len(requests))
        for word in ("decline", "review")
    )
    assert decline["saved"] == pytest.approx(np.where(fraud, amount, -1 - 0.05 * amount))
    assert review["saved"] == pytest.approx(np.where(fraud, 0.95 * amount, 0.0) - 2)
    assert decline["closeness"] == pytest.approx(np.where(fraud, np.log(0.3), np.log(0.7)))


def test_outcomes_tell_fraud_and_chargebacks() -> None:
    lived = Lived(payments(), [DAY_US] * 5)
    key_of = {request.number: request.fields["payment"] for request in lived.requests}
    message = {name: {o.request: o.value for o in lived.outcomes if o.name == name} for name in ("fraud", "chargeback")}
    assert set(message["fraud"]) == set(message["chargeback"]) == set(key_of)
    charged_back = {key for key, life in lived.lives.items() if life[-1]["type"] == "chargeback"}
    assert {key_of[number] for number, value in message["chargeback"].items() if value} == charged_back
    words = ("decline", "review")
    decided = Lived(payments(), [DAY_US] * 5, lambda _, request: words[request.number % 2])
    outcomes = {o.request: o.value for o in decided.outcomes if o.name == "chargeback"}
    assert set(outcomes) == {request.number for request in decided.requests if request.number % 2}
    lives = decided.lives
    for request in decided.requests:
        if request.number not in outcomes:
            continue
        life = lives[request.fields["payment"]]
        assert outcomes[request.number] == float(life[1]["fraud"] or life[-1]["type"] == "chargeback")
    assert {key_of[number] for number, value in message["fraud"].items() if value} == {
        key for key, kind in lived.fraud.items() if kind
    }


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_customers_pay_within_reach_or_at_the_nearest_terminal(seed: int, customers: int, terminals: int) -> None:
    rng = np.random.default_rng(seed)
    homes, places = rng.random((customers, 2)) * 30, rng.random((terminals, 2)) * 30
    first, near = _terminals_near(homes, places)
    assert len(first) == customers + 1
    for row, home in enumerate(homes):
        distance = [float(np.hypot(*(place - home))) for place in places]
        within = [terminal for terminal in range(terminals) if distance[terminal] <= 5.0]
        assert near[first[row] : first[row + 1]].tolist() == (within or [int(np.argmin(distance))])


def test_people_have_the_handbooks_habits() -> None:
    people = make_people(np.random.default_rng(1), 5_000, 1_000)
    assert people.payments_a_day.mean() == pytest.approx(2.0, abs=0.1)
    assert 0 <= people.payments_a_day.min() <= people.payments_a_day.max() <= 4
    assert people.mean_amount.mean() == pytest.approx(52.5, abs=2.0)
    assert Counter(Counter(people.merchant.tolist()).values()) == {4: 250}
    with pytest.raises(BadInput, match="customers and terminals"):
        make_people(np.random.default_rng(1), 0, 10)
    with pytest.raises(BadInput, match="fraud"):
        payments(fraud=-1.0)
