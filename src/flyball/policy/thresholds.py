"""Thresholds of decisions, chosen on examples whose labels are mature.

The odds of all probabilities are scaled by one factor: with the costs of each example it moves every threshold at once.
Of factors whose cost differs by a quarter of its standard error at most, the one nearest to 1 is taken (a weak form of
the rule of Breiman et al., "Classification and Regression Trees", 1984), so that noise alone moves nothing.
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
"""Standard errors. On planted payments 1 leaves odds that are 8 times too low as they are (20 % of the cost lost on
1,000 examples, 3 % with a quarter), and 0 moves right ones for nothing (1.4 % lost on 20,000, 1.0 % with a quarter)."""

_CODE = {action: code for code, action in enumerate(ACTIONS)}


class CostColumns(msgspec.Struct, frozen=True):
    """The costs of many examples, float64 (n,) each; `review`: None where nothing is reviewed."""

    false_approve: NDArray[np.float64]
    false_decline: NDArray[np.float64]
    review: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.false_approve)

    def take(self, rows: NDArray[Any]) -> "CostColumns":
        """Those of some examples."""
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
    policy: Decide, thresholds: Thresholds, probability: Doubles, costs: CostColumns
) -> NDArray[np.int8]:
    """What `decide_one` intends for many examples, bit for bit: indexes into `ACTIONS`, (n,)."""
    shifted = probability * thresholds.odds
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
    """What each decision came to, (n,): `actions` are indexes into `ACTIONS`, `actual` is 0 or 1."""
    happened = np.asarray(actual) > 0
    approved = np.where(happened, costs.false_approve, 0.0)
    declined = np.where(happened, 0.0, costs.false_decline)
    reviewed = np.zeros(len(costs)) if costs.review is None else costs.review
    return np.select([actions == _CODE[REVIEW], actions == _CODE[DECLINE]], [reviewed, declined], approved)


class ThresholdChoice(msgspec.Struct, frozen=True):
    """`thresholds`: the chosen. `odds`, `cost`: the factors tried and the mean cost of an example under each, both of
    one length. `note`: what a person should know, "" for nothing."""

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
) -> ThresholdChoice:
    """The thresholds that cost least on examples that were not trained on.

    `probability`, `actual` (0 or 1), `weight`: (n,); `day_of`: int64 (n,), the day of each: a day's examples err
    together, and reviews are counted by day. Raises `BadInput` for columns of different lengths or no example.
    """
    lengths = {"actual": len(actual), "costs": len(costs), "day_of": len(day_of)}
    for name, length in lengths.items():
        if length != len(probability):
            raise BadInput(f"{name} of choose_thresholds", f"{len(probability)} long, as probability is", length)
    if not len(probability):
        raise BadInput("examples to choose thresholds on", "one or more", 0)
    counted = np.ones(len(probability)) if weight is None else np.asarray(weight, np.float64)
    tried = [within_capacity(policy, odds, probability, costs, day_of, counted) for odds in ODDS]
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
    weight: NDArray[Any] | None = None,
) -> Thresholds:
    """Thresholds of this factor under which these days ask for `reviews_per_day` reviews at most, on average."""
    if policy.reviews_per_day is None or costs.review is None:
        return Thresholds(odds)
    everything = Thresholds(odds)
    reviewed = intended_actions(policy, everything, probability, costs) == _CODE[REVIEW]
    counted = (np.ones(len(probability)) if weight is None else np.asarray(weight, np.float64))[reviewed]
    capacity = policy.reviews_per_day * len(np.unique(day_of))
    if counted.sum() <= capacity:
        return everything
    shifted = probability[reviewed] * odds
    happens = shifted / (shifted + (1 - probability[reviewed]))
    own = costs.take(reviewed)
    saved = np.minimum(happens * own.false_approve, (1 - happens) * own.false_decline) - own.review
    order = np.argsort(-saved, kind="stable")
    first_left_out = int(np.searchsorted(np.cumsum(counted[order]), capacity, side="right"))
    return Thresholds(odds, float(saved[order][first_left_out]))


def _standard_error(differences: Doubles, day_of: SignedInts) -> float:
    """Of the sum of differences, whose days are drawn again; of rows where there is but one day."""
    _, group = np.unique(day_of, return_inverse=True)
    sums = np.bincount(group, differences) if group.max() > 0 else differences
    return float(np.sqrt(len(sums)) * sums.std(ddof=1)) if len(sums) > 1 else 0.0
