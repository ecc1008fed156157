"""Thresholds per group, by which groups have an equal rate of flagged requests, at the lowest cost.

The odds of a group's probabilities are multiplied by a factor of its own, beside that of all. The rate of each group,
over a grid of factors, and the cost of its decisions are known on validation examples; of all combinations whose rates
lie within the tolerance of each other, the cheapest is chosen, exactly on the grid: for every lowest rate, each group
takes its cheapest factor whose rate is at most the tolerance above it. Source: Hardt, Price and Srebro, "Equality of
Opportunity in Supervised Learning", NeurIPS 2016, with costs of each example and without randomized thresholds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, SignedInts
from flyball.policy.decide import ACTIONS, DECLINE, REVIEW, Decide, EqualRate, Thresholds
from flyball.policy.thresholds import CostColumns, costs_of_decisions, intended_actions, within_capacity

FACTORS = tuple(2.0 ** (step / 4) for step in range(-24, 25))
"""The factors that are tried for each group, from 1/64 to 64."""

FEWEST_IN_GROUP = 20
"""A group with fewer validation examples that the rate counts, such as positives, keeps the common threshold."""

_FLAGS = (ACTIONS.index(DECLINE), ACTIONS.index(REVIEW))
_ROUNDS = 4
_WIDER = 1.25


class _Choices(msgspec.Struct, frozen=True):
    """The rate and the cost of a group with each of `FACTORS`, float64 (factors,)."""

    rate: Doubles
    cost: Doubles


def equal_thresholds(
    policy: Decide,
    common: Thresholds,
    probability: Doubles,
    actual: NDArray[Any],
    costs: CostColumns,
    day_of: SignedInts,
    group: NDArray[Any],
    weight: NDArray[Any] | None = None,
    requests: NDArray[Any] | None = None,
) -> tuple[Thresholds, str]:
    """(`common` with the factor of each group, a remark for the reader), for a policy that declares `equal`.

    `group`: text (n,), the group of each example; other columns as in `choose_thresholds`. With a limit of reviews the
    review margin is found again, as the factors change how many are wanted.
    """
    rule = policy.equal
    if rule is None:
        return common, ""
    counted = np.ones(len(probability)) if weight is None else np.asarray(weight, np.float64)
    used = _counted(rule, np.asarray(actual))
    names, sizes = np.unique(group[used], return_counts=True)
    large = [str(name) for name, size in zip(names, sizes, strict=True) if size >= FEWEST_IN_GROUP]
    small = sorted({str(name) for name in np.unique(group)} - set(large))
    if len(large) < 2:
        return common, f"no thresholds by {rule.by}: fewer than two groups have {FEWEST_IN_GROUP} examples to count"
    chosen, reached = common, rule.within
    for _ in range(_ROUNDS):
        tried = {
            name: _choices(policy, chosen, probability, actual, costs, counted, used, group == name) for name in large
        }
        factors, reached = _cheapest(tried, rule.within)
        margin = within_capacity(
            policy, common.odds, probability, costs, day_of, requests, factor=factors_of(factors, group)
        ).review_margin
        settled = factors == chosen.groups and margin == chosen.review_margin
        chosen = Thresholds(common.odds, margin, factors)
        if settled:
            break
    paid = [
        float(_paid(policy, thresholds, probability, actual, costs, group) @ counted / counted.sum())
        for thresholds in (common, chosen)
    ]
    return chosen, _note(rule, reached, small, paid)


def factors_of(factors: Mapping[str, float], group: Sequence[str] | NDArray[Any]) -> Doubles:
    """The factor of each example's group, float64 (n,); 1 for a group without one.

    >>> factors_of({"north": 2.0}, ["north", "south"])
    array([2., 1.])
    """
    return np.array([factors.get(str(name), 1.0) for name in group], np.float64)


def _counted(rule: EqualRate, actual: NDArray[Any]) -> NDArray[np.bool_]:
    """Which examples the rate is over, bool (n,)."""
    if rule.rate == "true_positive_rate":
        return np.asarray(actual > 0)
    return np.asarray(actual <= 0) if rule.rate == "false_positive_rate" else np.ones(len(actual), bool)


def _choices(
    policy: Decide,
    thresholds: Thresholds,
    probability: Doubles,
    actual: NDArray[Any],
    costs: CostColumns,
    counted: Doubles,
    used: NDArray[np.bool_],
    own: NDArray[np.bool_],
) -> _Choices:
    rates, paid = [], []
    for factor in FACTORS:
        alone = Thresholds(thresholds.odds * factor, thresholds.review_margin)
        actions = intended_actions(policy, alone, probability[own], costs.take(own))
        flagged = np.isin(actions, _FLAGS)[used[own]]
        weights = counted[own][used[own]]
        rates.append(float(flagged @ weights / weights.sum()))
        paid.append(float(costs_of_decisions(actions, actual[own], costs.take(own)) @ counted[own]))
    return _Choices(np.array(rates), np.array(paid))


def _cheapest(tried: Mapping[str, _Choices], within: float) -> tuple[dict[str, float], float]:
    """(the factor of each group, the tolerance that was reached: a wider one where no factors reach `within`)."""
    lowest = np.unique(np.concatenate([choices.rate for choices in tried.values()]))
    while True:
        best, least = dict[str, float](), np.inf
        for low in lowest.tolist():
            picked = {name: _within(choices, low, low + within) for name, choices in tried.items()}
            cost = sum(tried[name].cost[index] if index >= 0 else np.inf for name, index in picked.items())
            if cost < least:
                best, least = {name: FACTORS[index] for name, index in picked.items()}, cost
        if best:
            return best, within
        within *= _WIDER


def _within(choices: _Choices, low: float, high: float) -> int:
    """The cheapest factor whose rate is in [low, high], of equally cheap ones the nearest to 1; -1 for none."""
    able = np.flatnonzero((choices.rate >= low - 1e-12) & (choices.rate <= high + 1e-12))
    middle = len(FACTORS) // 2
    return min(able.tolist(), key=lambda index: (choices.cost[index], abs(index - middle)), default=-1)


def _paid(
    policy: Decide,
    thresholds: Thresholds,
    probability: Doubles,
    actual: NDArray[Any],
    costs: CostColumns,
    group: NDArray[Any],
) -> Doubles:
    actions = intended_actions(policy, thresholds, probability, costs, factor=factors_of(thresholds.groups, group))
    return costs_of_decisions(actions, actual, costs)


def _note(rule: EqualRate, reached: float, small: Sequence[str], paid: Sequence[float]) -> str:
    note = f"{rule.rate} is equal by {rule.by} within {rule.within:g} on validation examples"
    if reached > rule.within:
        note = (
            f"{rule.rate} is equal by {rule.by} within {reached:.3g} only on validation examples, not {rule.within:g}"
        )
    note += f", at a cost of {paid[1]:.4g} instead of {paid[0]:.4g} a request"
    return note if not small else f"{note}; too few to have thresholds of their own: {', '.join(small)}"
