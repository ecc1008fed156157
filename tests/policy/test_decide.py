"""Decisions by costs: the least expected cost, the same on every replay, a control group with its propensity."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.policy import (
    ABSTAIN,
    ACTIONS,
    APPROVE,
    DECLINE,
    REVIEW,
    DecidedAction,
    ExampleCosts,
    Thresholds,
    compile_costs,
    cost_columns,
    cost_of,
    costs_of_decisions,
    decide_default,
    decide_one,
    intended_actions,
    uniform_of,
)

FRAUD = fb.decide(false_approve=lambda p: p.amount, false_decline=lambda p: 1 + 0.1 * p.amount, review=3.0)
amounts = st.sampled_from([0.0, 1.0, 5.0, 40.0, 1_000.0])


def expected(action: str, probability: float, costs: ExampleCosts) -> float:
    """Over what may happen, as a person would write it."""
    return probability * cost_of(action, True, costs) + (1 - probability) * cost_of(action, False, costs)


@given(probability=st.floats(0, 1), amount=amounts)
def test_the_decision_is_the_one_of_least_expected_cost(probability: float, amount: float) -> None:
    costs = compile_costs(FRAUD)(SimpleNamespace(amount=amount))
    chosen = decide_one(FRAUD, Thresholds(), probability, costs, seed=1)
    by_action = {action: expected(action, probability, costs) for action in (APPROVE, REVIEW, DECLINE)}
    assert by_action[chosen.action] <= min(by_action.values()) + 1e-9
    assert chosen == decide_one(FRAUD, Thresholds(), probability, costs, seed=1)
    assert chosen.propensity == 1.0


def test_a_threshold_of_constant_costs_is_that_of_elkan() -> None:
    """Decline from p = false_decline / (false_decline + false_approve) = 1/10 on; at equality, approve."""
    policy, costs = fb.decide(false_approve=9.0, false_decline=1.0), ExampleCosts(9.0, 1.0)
    actions = [decide_one(policy, Thresholds(), p, costs, 0).action for p in (0.0, 0.09, 0.11, 1.0)]
    assert actions == [APPROVE, APPROVE, DECLINE, DECLINE]
    even = fb.decide(false_approve=1.0, false_decline=1.0)
    assert decide_one(even, Thresholds(), 0.5, ExampleCosts(1.0, 1.0), 0).action == APPROVE


def test_the_odds_move_every_threshold_and_the_margin_takes_the_reviews_that_save_least() -> None:
    costs = ExampleCosts(9.0, 1.0)
    policy = fb.decide(false_approve=9.0, false_decline=1.0)
    assert decide_one(policy, Thresholds(odds=4.0), 0.03, costs, 0).action == DECLINE  # odds 0.124 are above 1/9
    assert decide_one(policy, Thresholds(odds=0.25), 0.2, costs, 0).action == APPROVE
    with_review, dear = fb.decide(100.0, 100.0, review=10.0), ExampleCosts(100.0, 100.0, 10.0)
    assert decide_one(with_review, Thresholds(), 0.4, dear, 0).action == REVIEW  # saves 30
    assert decide_one(with_review, Thresholds(review_margin=30.0), 0.4, dear, 0).action == APPROVE
    assert decide_one(with_review, Thresholds(review_margin=30.0), 0.6, dear, 0).action == DECLINE


def test_within_the_band_the_model_abstains() -> None:
    policy = fb.decide(1.0, 1.0, abstain=(0.4, 0.6), control=0.5)
    actions = [decide_one(policy, Thresholds(), p, ExampleCosts(1.0, 1.0), 3).intended for p in (0.39, 0.4, 0.6, 0.61)]
    assert actions == [APPROVE, ABSTAIN, ABSTAIN, DECLINE]
    assert cost_of(ABSTAIN, True, ExampleCosts(7.0, 1.0)) == 7.0


def test_a_share_of_the_declined_is_approved_with_its_propensity() -> None:
    policy, costs = fb.decide(9.0, 1.0, control=0.05), ExampleCosts(9.0, 1.0)
    decisions = [decide_one(policy, Thresholds(), 0.9, costs, seed) for seed in range(20_000)]
    approved = [one for one in decisions if one.action == APPROVE]
    assert set(approved) == {DecidedAction(APPROVE, DECLINE, 0.05)}
    assert {one for one in decisions if one.action != APPROVE} == {DecidedAction(DECLINE, DECLINE, 0.95)}
    assert abs(len(approved) / 20_000 - 0.05) < 4 * (0.05 * 0.95 / 20_000) ** 0.5
    untouched = {decide_one(policy, Thresholds(), 0.01, costs, seed) for seed in range(200)}
    assert untouched == {DecidedAction(APPROVE, APPROVE, 1.0)}
    # inverse propensity weighting of the control group estimates how many of all it happens to
    assert sum(1 / one.propensity for one in approved) == pytest.approx(20_000, rel=0.15)


def test_reviews_have_no_control_group_and_ties_are_decided_alike() -> None:
    policy, costs = fb.decide(100.0, 100.0, review=10.0, control=0.5), ExampleCosts(100.0, 100.0, 10.0)
    decided = {decide_one(policy, Thresholds(), 0.5, costs, seed) for seed in range(50)}
    assert decided == {DecidedAction(REVIEW, REVIEW, 1.0)}
    even, tied = fb.decide(1.0, 1.0), [ExampleCosts(1.0, 1.0)]
    assert intended_actions(even, Thresholds(), np.array([0.5]), cost_columns(tied)).tolist() == [0]


def test_draws_are_uniform_and_their_neighbors_independent() -> None:
    draws = np.array([uniform_of(seed) for seed in range(40_000)])
    assert (draws >= 0).all()
    assert (draws < 1).all()
    counts = np.bincount((draws * 20).astype(int), minlength=20)
    assert ((counts - 2_000) ** 2 / 2_000).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 4 / 200


@given(
    rows=st.lists(st.tuples(st.floats(0, 1), amounts, st.booleans()), min_size=1, max_size=20),
    odds=st.sampled_from([0.25, 1.0, 2.0**0.5]),
    margin=st.sampled_from([0.0, 2.0]),
    band=st.sampled_from([None, (0.3, 0.5)]),
)
def test_many_at_once_are_decided_bit_for_bit_as_one(rows: list[Any], odds: float, margin: float, band: Any) -> None:
    policy = fb.decide(lambda p: p.amount, lambda p: 1 + 0.1 * p.amount, review=3.0, abstain=band)
    thresholds, costs = Thresholds(odds, margin), compile_costs(policy)
    own = [costs(SimpleNamespace(amount=amount)) for _, amount, _ in rows]
    actions = intended_actions(policy, thresholds, np.array([p for p, *_ in rows]), cost_columns(own))
    single = [decide_one(policy, thresholds, row[0], cost, 0).action for row, cost in zip(rows, own, strict=True)]
    assert [ACTIONS[code] for code in actions] == single
    paid = costs_of_decisions(actions, np.array([happened for *_, happened in rows]), cost_columns(own))
    expected = [cost_of(action, row[2], cost) for action, row, cost in zip(single, rows, own, strict=True)]
    assert paid.tolist() == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"false_approve": -1.0}, r"false_approve of decide\(...\) must be a number from 0 or a function of an event"),
        ({"false_decline": "5"}, r"false_decline of decide\(...\) must be a number from 0 or a function"),
        ({"review": float("nan")}, r"review of decide\(...\) must be a number from 0"),
        ({"reviews_per_day": 5}, r"review of decide\(...\) must be the cost of a review, where reviews_per_day"),
        ({"review": 1, "reviews_per_day": 0}, r"reviews_per_day of decide\(...\) must be a number above 0, got 0"),
        ({"abstain": (0.6, 0.4)}, r"abstain of decide\(...\) must be two probabilities, the lower first"),
        ({"abstain": 0.5}, r"abstain of decide\(...\) must be two probabilities"),
        ({"verdict": int}, r"verdict of decide\(...\) must be an event type, beside the cost of a review"),
        ({"review": 1, "verdict": "Verdict"}, r"verdict of decide\(...\) must be an event type"),
        ({"control": 0.9}, r"control of decide\(...\) must be a share from 0 to 0.5, got 0.9"),
        (
            {"otherwise": "refuse"},
            r"otherwise of decide\(...\) must be one of approve, decline, abstain \(review: besi",
        ),
        (
            {"otherwise": "review"},
            r"otherwise of decide\(...\) must be one of approve, decline, abstain \(review: besi",
        ),
        ({"review": 1, "otherwise": True}, r"otherwise of decide\(...\) must be one of approve, review, decline, abst"),
    ],
)
def test_what_cannot_be_decided_by_is_refused_where_it_is_written(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        fb.decide(**({"false_approve": 1.0, "false_decline": 1.0} | wrong))


def test_an_example_without_its_costs_is_refused() -> None:
    costs = compile_costs(fb.decide(lambda p: p.amount, 1.0))
    with pytest.raises(BadInput, match="field amount, which costs are computed from, must be given, got None"):
        costs(SimpleNamespace(amount=None))
    for wrong in (-2.0, float("inf"), float("nan")):
        with pytest.raises(BadInput, match="cost false_approve must be a number from 0"):
            costs(SimpleNamespace(amount=wrong))
    for probability in (-0.1, 1.1, float("nan")):
        with pytest.raises(BadInput, match="probability to decide by must be from 0 to 1"):
            decide_one(FRAUD, Thresholds(), probability, ExampleCosts(1.0, 1.0, 1.0), 0)


@pytest.mark.parametrize(
    ("declared", "action"),
    [
        ({}, "abstain"),
        ({"review": 1.0}, "review"),
        ({"review": 1.0, "otherwise": "approve"}, "approve"),
        ({"otherwise": "decline"}, "decline"),
    ],
)
def test_what_nothing_is_predicted_of_gets_the_default_decision(declared: dict[str, Any], action: str) -> None:
    policy = fb.decide(1.0, 1.0, **declared)
    assert decide_default(policy, 7) == DecidedAction(action, action)


def test_of_a_default_decline_the_control_share_is_approved() -> None:
    policy = fb.decide(1.0, 1.0, control=0.25, otherwise="decline")
    decided = [decide_default(policy, seed) for seed in range(4_000)]
    assert set(decided) == {DecidedAction("approve", "decline", 0.25), DecidedAction("decline", "decline", 0.75)}
    approved = sum(one.action == "approve" for one in decided)
    assert abs(approved - 1_000) < 4 * (4_000 * 0.25 * 0.75) ** 0.5


def test_a_policy_is_kept_as_plain_values() -> None:
    plain = fb.decide(lambda p: p.amount, 2.0, review=1.0, reviews_per_day=10, abstain=(0.1, 0.2), control=0.01).plain()
    assert plain == {
        "false_approve": ["field", "amount"],
        "false_decline": ["constant", 2.0],
        "review": ["constant", 1.0],
        "reviews_per_day": 10.0,
        "abstain": [0.1, 0.2],
        "control": 0.01,
    }
