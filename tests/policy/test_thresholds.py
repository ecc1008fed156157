"""Thresholds chosen on planted probabilities: right ones are left alone, biased ones corrected, capacity is kept."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import flyball as fb
from flyball.core import BadInput
from flyball.policy import (
    ACTIONS,
    ODDS,
    CostColumns,
    Thresholds,
    choose_thresholds,
    costs_of_decisions,
    intended_actions,
)

POLICY = fb.decide(lambda p: p.amount, 5.0)


def planted(seed: int, rows: int = 20_000, odds: float = 1.0) -> SimpleNamespace:
    """Payments whose true probability is known; the predicted one has its odds divided by `odds`."""
    rng = np.random.default_rng(seed)
    true = rng.beta(0.3, 6.0, rows)
    predicted = true / (true + (1 - true) * odds)
    costs = CostColumns(rng.lognormal(3.0, 1.2, rows), np.full(rows, 5.0), None)
    return SimpleNamespace(
        true=true,
        predicted=predicted,
        actual=(rng.random(rows) < true).astype(int),
        costs=costs,
        day_of=np.arange(rows) // (rows // 20),
    )


def expected_cost(world: Any, thresholds: Thresholds, probability: Any) -> float:
    """By the true probabilities."""
    actions = intended_actions(POLICY, thresholds, probability, world.costs)
    happens = costs_of_decisions(actions, np.ones(len(actions)), world.costs)
    not_ = costs_of_decisions(actions, np.zeros(len(actions)), world.costs)
    return float((world.true * happens + (1 - world.true) * not_).mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("odds", [1.0, 8.0, 0.125])
def test_what_is_chosen_costs_hardly_more_than_the_truth_would(seed: int, odds: float) -> None:
    world = planted(seed, odds=odds)
    chosen = choose_thresholds(POLICY, world.predicted, world.actual, world.costs, world.day_of)
    fresh = planted(seed + 100, odds=odds)
    best = expected_cost(fresh, Thresholds(), fresh.true)
    assert best <= expected_cost(fresh, chosen.thresholds, fresh.predicted) <= best * 1.05
    if odds == 1.0:
        assert 0.5 <= chosen.thresholds.odds <= 2.0
    else:
        assert expected_cost(fresh, Thresholds(), fresh.predicted) > best * 1.1


def test_of_factors_that_cost_the_same_the_one_nearest_to_one_is_taken() -> None:
    """Sure probabilities that are right: no factor changes a decision."""
    actual = np.arange(100) % 2
    costs = CostColumns(np.full(100, 9.0), np.full(100, 5.0), None)
    chosen = choose_thresholds(POLICY, actual.astype(float), actual, costs, np.zeros(100, np.int64))
    assert set(chosen.cost) == {0.0}
    assert chosen.thresholds.odds == 1.0


def test_the_costs_that_are_reported_are_those_of_a_loop() -> None:
    world = planted(5, rows=300)
    chosen = choose_thresholds(POLICY, world.predicted, world.actual, world.costs, world.day_of)
    assert chosen.odds == ODDS
    for odds, mean in zip(chosen.odds, chosen.cost, strict=True):
        total = 0.0
        for p, actual, amount in zip(world.predicted, world.actual, world.costs.false_approve, strict=True):
            happens = p * odds / (p * odds + 1 - p)
            declined = happens * amount > (1 - happens) * 5.0
            total += (0.0 if actual else 5.0) if declined else (amount if actual else 0.0)
        assert mean == pytest.approx(total / 300)


def test_no_more_reviews_than_a_day_holds() -> None:
    world = planted(1)
    costs = CostColumns(world.costs.false_approve, world.costs.false_decline, np.full(20_000, 0.5))
    unbounded = fb.decide(lambda p: p.amount, 5.0, review=0.5)
    policy = fb.decide(lambda p: p.amount, 5.0, review=0.5, reviews_per_day=25)
    free, bounded = (
        choose_thresholds(one, world.predicted, world.actual, costs, world.day_of).thresholds
        for one in (unbounded, policy)
    )
    reviews = [
        int((intended_actions(policy, thresholds, world.predicted, costs) == ACTIONS.index("review")).sum())
        for thresholds in (free, bounded)
    ]
    assert reviews[0] > 5_000
    assert reviews[1] == 25 * 20  # no ties: exactly what the days hold
    assert (free.review_margin, bounded.review_margin > 0) == (0.0, True)
    # those reviewed are the ones where a look saves most
    odds = world.predicted * bounded.odds
    happens = odds / (odds + 1 - world.predicted)
    saved = np.minimum(happens * costs.false_approve, (1 - happens) * 5.0) - 0.5
    chosen = intended_actions(policy, bounded, world.predicted, costs) == ACTIONS.index("review")
    assert saved[chosen].min() > saved[~chosen].max()


def test_an_example_of_weight_two_counts_as_two() -> None:
    world = planted(2, rows=400)
    weight = np.random.default_rng(0).integers(0, 3, 400)
    twice = np.repeat(np.arange(400), weight)
    review = np.full(400, 0.5)
    costs = CostColumns(world.costs.false_approve, world.costs.false_decline, review)
    policy = fb.decide(lambda p: p.amount, 5.0, review=0.5, reviews_per_day=2)
    weighted = choose_thresholds(policy, world.predicted, world.actual, costs, world.day_of, weight)
    repeated = choose_thresholds(
        policy, world.predicted[twice], world.actual[twice], costs.take(twice), world.day_of[twice]
    )
    assert weighted.thresholds == repeated.thresholds
    assert weighted.cost == pytest.approx(repeated.cost)


def test_reviews_are_counted_by_requests_whatever_an_example_is_worth() -> None:
    world = planted(1)
    costs = CostColumns(world.costs.false_approve, world.costs.false_decline, np.full(20_000, 0.5))
    policy = fb.decide(lambda p: p.amount, 5.0, review=0.5, reviews_per_day=25)
    weight, stands_for = world.costs.false_approve, np.where(np.arange(20_000) % 10 == 0, 5.0, 1.0)
    chosen = choose_thresholds(policy, world.predicted, world.actual, costs, world.day_of, weight, stands_for)
    reviewed = intended_actions(policy, chosen.thresholds, world.predicted, costs) == ACTIONS.index("review")
    assert 25 * 20 - 5 < stands_for[reviewed].sum() <= 25 * 20


def test_of_one_class_nothing_is_chosen_and_the_reason_given() -> None:
    world = planted(0, rows=50)
    chosen = choose_thresholds(POLICY, world.predicted, np.zeros(50), world.costs, world.day_of)
    assert chosen.thresholds == Thresholds()
    assert chosen.note == "all 50 examples are 0: costs are compared without a correction"


def test_columns_must_fit() -> None:
    world = planted(0, rows=50)
    with pytest.raises(BadInput, match="actual of choose_thresholds must be 50 long, as probability is, got 49"):
        choose_thresholds(POLICY, world.predicted, world.actual[1:], world.costs, world.day_of)
    none = CostColumns(np.zeros(0), np.zeros(0), None)
    with pytest.raises(BadInput, match="examples to choose thresholds on must be one or more, got 0"):
        choose_thresholds(POLICY, np.zeros(0), np.zeros(0), none, np.zeros(0, np.int64))
