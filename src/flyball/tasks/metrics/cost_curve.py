"""The cost curve: the cost of decisions as a function of their thresholds, and of approving all and declining all.

Source: Drummond and Holte, "Cost curves", Machine Learning 2006, here with a cost for each example.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, SignedInts
from flyball.policy import (
    ACTIONS,
    ODDS,
    CostColumns,
    Decide,
    costs_of_decisions,
    intended_actions,
    within_capacity,
)
from flyball.tasks.unit_weights import ExampleWeight, Resampled, request_mean


class CostPoint(msgspec.Struct, frozen=True):
    """Thresholds with this factor of the `odds`: the mean cost of an example as a function of unit weights, the share
    of examples by action, and how many requests are sent to review."""

    odds: float
    cost: Resampled
    shares: dict[str, float]
    reviews: float


class CostCurve(msgspec.Struct, frozen=True):
    """`points`: by ascending odds. `approve_all`, `decline_all`: the mean cost of the same action for all examples."""

    points: tuple[CostPoint, ...]
    approve_all: Resampled
    decline_all: Resampled


def cost_curve(
    policy: Decide,
    probability: Doubles,
    actual: NDArray[Any],
    costs: CostColumns,
    day_of: SignedInts,
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
    requests: ExampleWeight = None,
) -> CostCurve:
    """The curve over `policy.ODDS`; every point observes the capacity of reviews. Columns are (rows,).

    `requests`: how many requests each example stands for, where that is not its weight.
    """
    stood_for = weight if requests is None else requests
    points = []
    for odds in ODDS:
        thresholds = within_capacity(policy, odds, probability, costs, day_of, stood_for)
        actions = intended_actions(policy, thresholds, probability, costs)
        paid = costs_of_decisions(actions, actual, costs)
        counted = np.bincount(actions, weight, len(ACTIONS)) / max(len(actions) if weight is None else weight.sum(), 1)
        points.append(
            CostPoint(
                odds,
                request_mean(paid, unit_of, units, weight),
                dict(zip(ACTIONS, counted.tolist(), strict=True)),
                reviews_of(actions, stood_for),
            )
        )
    same = {
        action: costs_of_decisions(np.full(len(costs), code, np.int8), actual, costs)
        for code, action in enumerate(ACTIONS)
    }
    return CostCurve(
        tuple(points),
        request_mean(same["approve"], unit_of, units, weight),
        request_mean(same["decline"], unit_of, units, weight),
    )


def reviews_of(actions: NDArray[np.int8], requests: ExampleWeight = None) -> float:
    """How many requests are sent to review. `requests`: how many each example stands for, one if None."""
    return float(np.bincount(actions, requests, len(ACTIONS))[ACTIONS.index("review")])
