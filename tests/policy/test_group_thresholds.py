"""Thresholds per group: rates within the tolerance at the lowest cost, by trying every combination of factors."""

from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.policy import (
    FACTORS,
    CostColumns,
    Thresholds,
    choose_thresholds,
    costs_of_decisions,
    equal_thresholds,
    factors_of,
    intended_actions,
)


class Sample(msgspec.Struct):
    """Requests of two groups; in "south" the probabilities say less."""

    probability: Any
    actual: Any
    costs: CostColumns
    day_of: Any
    group: Any


def sample(count: int = 3_000, seed: int = 1, south: float = 1.5) -> Sample:
    rng = np.random.default_rng(seed)
    group = rng.choice(np.array(["north", "south"], object), count)
    risk = rng.normal(0, 1.5, count)
    actual = rng.random(count) < 1 / (1 + np.exp(2 - 2 * risk))
    seen = risk + np.where(group == "south", south, 0.2) * rng.normal(0, 1, count)
    costs = CostColumns(np.full(count, 30.0), np.full(count, 8.0), None)
    return Sample(1 / (1 + np.exp(2 - 1.5 * seen)), actual, costs, np.arange(count) // 100, group)


def rates(policy: Any, thresholds: Thresholds, of: Sample, what: str = "true_positive_rate") -> dict[str, float]:
    actions = intended_actions(policy, thresholds, of.probability, of.costs, factors_of(thresholds.groups, of.group))
    used = {"true_positive_rate": of.actual, "false_positive_rate": ~of.actual}.get(what, np.ones(len(actions), bool))
    return {
        str(name): float(np.isin(actions, (1, 2))[used & (of.group == name)].mean()) for name in np.unique(of.group)
    }


def paid(policy: Any, thresholds: Thresholds, of: Sample) -> float:
    actions = intended_actions(policy, thresholds, of.probability, of.costs, factors_of(thresholds.groups, of.group))
    return float(costs_of_decisions(actions, of.actual, of.costs).mean())


def equalized(policy: Any, of: Sample) -> tuple[Thresholds, str]:
    common = choose_thresholds(policy, of.probability, of.actual, of.costs, of.day_of).thresholds
    return equal_thresholds(policy, common, of.probability, of.actual, of.costs, of.day_of, of.group)


def policy_of(rate: str, within: float = 0.05, **named: Any) -> Any:
    return fb.decide(lambda p: p.amount, 8.0, equal={f"{rate}/region": within}, **named)


@pytest.mark.parametrize("rate", ["true_positive_rate", "false_positive_rate", "selection_rate"])
def test_the_rate_is_equal_here_and_nearly_so_on_fresh_requests(rate: str) -> None:
    policy, old, fresh = policy_of(rate), sample(), sample(20_000, seed=2)
    thresholds, note = equalized(policy, old)
    here = rates(policy, thresholds, old, rate)
    assert abs(here["north"] - here["south"]) <= 0.05 + 1e-9
    there = rates(policy, thresholds, fresh, rate)
    assert abs(there["north"] - there["south"]) < 0.12
    assert note.startswith(f"{rate} is equal by region within 0.05 on validation examples, at a cost of")


def test_a_planted_gap_is_closed_by_thresholds_of_the_groups() -> None:
    policy, fresh = policy_of("true_positive_rate"), sample(20_000, seed=2)
    common = rates(policy, Thresholds(), fresh)
    assert common["north"] - common["south"] > 0.1
    thresholds, _ = equalized(policy, sample())
    assert thresholds.groups["south"] > thresholds.groups["north"]
    own = rates(policy, thresholds, fresh)
    assert abs(own["north"] - own["south"]) < 0.06


def test_no_other_factors_within_the_tolerance_cost_less() -> None:
    policy, of = policy_of("true_positive_rate"), sample(600)
    thresholds, _ = equalized(policy, of)
    tried = []
    for north, south in product(FACTORS, FACTORS):
        other = Thresholds(thresholds.odds, 0.0, {"north": north, "south": south})
        found = rates(policy, other, of)
        if abs(found["north"] - found["south"]) <= 0.05 + 1e-9:
            tried.append(paid(policy, other, of))
    assert paid(policy, thresholds, of) == pytest.approx(min(tried))


def test_reviews_stay_within_their_limit() -> None:
    of = sample()
    of.costs = CostColumns(of.costs.false_approve, of.costs.false_decline, np.full(len(of.costs), 2.0))
    policy = policy_of("true_positive_rate", review=2.0, reviews_per_day=10)
    thresholds, _ = equalized(policy, of)
    actions = intended_actions(policy, thresholds, of.probability, of.costs, factors_of(thresholds.groups, of.group))
    assert (actions == 1).sum() <= 10 * len(np.unique(of.day_of))


def test_small_groups_keep_the_common_threshold() -> None:
    policy, of = policy_of("true_positive_rate"), sample()
    of.group[:30] = "tiny"
    thresholds, note = equalized(policy, of)
    assert set(thresholds.groups) == {"north", "south"}
    assert note.endswith("too few to have thresholds of their own: tiny")
    of.group[:] = "north"
    assert equalized(policy, of)[0].groups == {}
    assert "fewer than two groups have 20 examples" in equalized(policy, of)[1]


def test_a_tolerance_that_no_factors_reach_is_widened_and_said() -> None:
    """In the north every probability is 1: whatever the factor, all are flagged; in the south all are 0."""
    policy, of = policy_of("selection_rate", 0.01), sample()
    of.probability = np.where(of.group == "north", 1.0, 0.0)
    thresholds, note = equalized(policy, of)
    assert abs(np.subtract(*rates(policy, thresholds, of, "selection_rate").values())) == 1.0
    assert "only on validation examples, not 0.01" in note


@pytest.mark.parametrize(
    "equal",
    [
        "true_positive_rate/region",
        {},
        {"true_positive_rate": 0.1},
        {"recall/region": 0.1},
        {"true_positive_rate/region=north": 0.1},
        {"true_positive_rate/region": 0},
        {"true_positive_rate/region": True},
        {"true_positive_rate/region": 0.1, "selection_rate/region": 0.1},
    ],
)
def test_what_is_no_rate_of_groups_is_refused(equal: Any) -> None:
    with pytest.raises(BadDeclaration, match=r"equal of decide\(\.\.\.\) must be one rate and its tolerance"):
        fb.decide(1.0, 1.0, equal=equal)


def test_a_policy_without_a_rule_is_left_alone() -> None:
    of, plain = sample(200), fb.decide(1.0, 1.0)
    assert equal_thresholds(plain, Thresholds(2.0), *(getattr(of, name) for name in Sample.__struct_fields__)) == (
        Thresholds(2.0),
        "",
    )
    assert Thresholds(2.0, 1.0, {"a": 3.0}).of_group("a") == Thresholds(6.0, 1.0)
    assert Thresholds(2.0, 1.0, {"a": 3.0}).of_group("b").odds == 2.0
