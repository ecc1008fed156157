"""Thresholds of decisions, chosen on examples whose labels are mature.

The odds of all probabilities are multiplied by one factor, which moves the thresholds of all examples, whatever their
costs. Among the factors whose cost is within a quarter of a standard error of the lowest, the one nearest to 1 is
chosen, so that noise alone does not move thresholds: a weak form of the one-standard-error rule of Breiman et al.,
"Classification and Regression Trees", 1984.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles, SignedInts
from flyball.policy.decide import ABSTAIN, ACTIONS, APPROVE, DECLINE, REVIEW, Decide, ExampleCosts, Thresholds

ODDS = tuple(2.0 ** (step / 2) for step in range(-12, 13))
"""The factors that are tried, from 1/64 to 64."""

_NOISE = 0.25
"""In standard errors. Measured on simulated payments: with 1, odds that are 8 times too low are not corrected (20 % of
the cost lost on 1,000 examples; 3 % with a quarter); with 0, correct odds are moved (1.4 % lost on 20,000; 1.0 % with a
quarter)."""

_CODE = {action: code for code, action in enumerate(ACTIONS)}


class CostColumns(msgspec.Struct, frozen=True):
    """The costs of many examples, float64 (n,) each; `review`: None if there are no reviews."""

    false_approve: NDArray[np.float64]
    false_decline: NDArray[np.float64]
    review: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.false_approve)

    def take(self, rows: NDArray[Any]) -> "CostColumns":
        """The costs of some examples; `rows`: indexes or a bool for each."""
        review = None if self.review is None else self.review[rows]
        return CostColumns(self.false_approve[rows], self.false_decline[rows], review)


def cost_columns(costs: list[ExampleCosts]) -> CostColumns:
    """The costs of examples as columns."""
    review = None if not costs or costs[0].review is None else np.array([cost.review for cost in costs], np.float64)
    return CostColumns(
        np.array([cost.false_approve for cost in costs], np.float64),
        np.array([cost.false_decline for cost in costs], np.float64),
        review,
    )


def intended_actions(
    policy: Decide, thresholds: Thresholds, probability: Doubles, costs: CostColumns, factor: Doubles | None = None
) -> NDArray[np.int8]:
    """The intended action of `decide_one` for many examples, exactly: indexes into `ACTIONS`, int8 (n,).

    `factor`: float64 (n,), the further factor of each example's odds, that of its group.
    """
    shifted = probability * (thresholds.odds if factor is None else thresholds.odds * factor)
    happens = shifted / (shifted + (1 - probability))
    approved, declined = happens * costs.false_approve, (1 - happens) * costs.false_decline
    actions = np.where(approved <= declined, _CODE[APPROVE], _CODE[DECLINE])
    if costs.review is not None:
        saved = np.minimum(approved, declined) - costs.review
        actions = np.where(saved > thresholds.review_margin, _CODE[REVIEW], actions)
    if policy.abstain is not None:
        within = (policy.abstain[0] <= probability) & (probability <= policy.abstain[1])
        actions = np.where(within, _CODE[ABSTAIN], actions)
    return actions.astype(np.int8)


def costs_of_decisions(actions: NDArray[np.int8], actual: NDArray[Any], costs: CostColumns) -> Doubles:
    """The cost of each decision, float64 (n,). `actions`: indexes into `ACTIONS`; `actual`: 0 or 1."""
    happened = np.asarray(actual) > 0
    approved = np.where(happened, costs.false_approve, 0.0)
    declined = np.where(happened, 0.0, costs.false_decline)
    reviewed = np.zeros(len(costs)) if costs.review is None else costs.review
    return np.select([actions == _CODE[REVIEW], actions == _CODE[DECLINE]], [reviewed, declined], approved)


class ThresholdChoice(msgspec.Struct, frozen=True):
    """`thresholds`: the chosen ones. `odds`, `cost`: the factors that were tried and the mean cost of an example with
    each, of equal length. `note`: a remark for the reader, "" for none."""

    thresholds: Thresholds
    odds: tuple[float, ...] = ()
    cost: tuple[float, ...] = ()
    note: str = ""


def choose_thresholds(
    policy: Decide,
    probability: Doubles,
    actual: NDArray[Any],
    costs: CostColumns,
    day_of: SignedInts,
    weight: NDArray[Any] | None = None,
    requests: NDArray[Any] | None = None,
) -> ThresholdChoice:
    """The thresholds with the lowest cost on examples that were not used for training.

    `probability`, `actual` (0 or 1), `weight`: (n,). `day_of`: int64 (n,), the day of each example, because errors
    within a day are correlated and reviews are limited by day. `requests`: (n,), how many requests each example stands
    for, where that is not its weight. Raises `BadInput` for columns of different lengths or
    without examples.
    """
    lengths = {"actual": len(actual), "costs": len(costs), "day_of": len(day_of)}
    for name, length in lengths.items():
        if length != len(probability):
            raise BadInput(f"{name} of choose_thresholds", f"{len(probability)} long, as probability is", length)
    if not len(probability):
        raise BadInput("examples to choose thresholds on", "one or more", 0)
    counted = np.ones(len(probability)) if weight is None else np.asarray(weight, np.float64)
    stood_for = counted if requests is None else np.asarray(requests, np.float64)
    tried = [within_capacity(policy, odds, probability, costs, day_of, stood_for) for odds in ODDS]
    paid = [
        costs_of_decisions(intended_actions(policy, threshold, probability, costs), actual, costs)
        for threshold in tried
    ]
    means = tuple(float((cost * counted).sum() / counted.sum()) for cost in paid)
    happened = np.asarray(actual) > 0
    neutral = ODDS.index(1.0)
    if happened.all() or not happened.any():
        reason = f"all {len(probability)} examples are {int(happened[0])}: costs are compared without a correction"
        return ThresholdChoice(tried[neutral], ODDS, means, reason)
    best = int(np.argmin(means))
    nearest = sorted(range(len(ODDS)), key=lambda index: (abs(np.log(ODDS[index])), index))
    for index in nearest:
        more = (paid[index] - paid[best]) * counted
        if more.sum() <= _NOISE * _standard_error(more, day_of):
            return ThresholdChoice(tried[index], ODDS, means)
    return ThresholdChoice(tried[best], ODDS, means)


def within_capacity(
    policy: Decide,
    odds: float,
    probability: Doubles,
    costs: CostColumns,
    day_of: SignedInts,
    requests: NDArray[Any] | None = None,
    factor: Doubles | None = None,
) -> Thresholds:
    """Thresholds with the factor `odds` that lead to at most `reviews_per_day` reviews a day, on average.

    `requests`: (n,), how many requests each example stands for; None for one. What an example is worth does not matter
    here: a person looks at one request, whatever its amount. `factor`: as in `intended_actions`.
    """
    if policy.reviews_per_day is None or costs.review is None:
        return Thresholds(odds)
    everything = Thresholds(odds)
    reviewed = intended_actions(policy, everything, probability, costs, factor) == _CODE[REVIEW]
    counted = (np.ones(len(probability)) if requests is None else np.asarray(requests, np.float64))[reviewed]
    capacity = policy.reviews_per_day * len(np.unique(day_of))
    if counted.sum() <= capacity:
        return everything
    shifted = probability[reviewed] * (odds if factor is None else odds * factor[reviewed])
    happens = shifted / (shifted + (1 - probability[reviewed]))
    own = costs.take(reviewed)
    saved = np.minimum(happens * own.false_approve, (1 - happens) * own.false_decline) - own.review
    order = np.argsort(-saved, kind="stable")
    first_left_out = int(np.searchsorted(np.cumsum(counted[order]), capacity, side="right"))
    return Thresholds(odds, float(saved[order][first_left_out]))


def _standard_error(differences: Doubles, day_of: SignedInts) -> float:
    """The standard error of the sum of `differences`, clustered by day; by row if there is only one day."""
    _, group = np.unique(day_of, return_inverse=True)
    sums = np.bincount(group, differences) if group.max() > 0 else differences
    return float(np.sqrt(len(sums)) * sums.std(ddof=1)) if len(sums) > 1 else 0.0
