"""Thresholds of a version: chosen on the newest examples, as a model predicts them that has not seen them."""

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles
from flyball.policy import CostColumns, Decide, Thresholds, choose_thresholds
from flyball.tasks.task import TrainingData

if TYPE_CHECKING:
    from flyball.tasks.predict.declaration import Predict

THRESHOLDS, COSTS = "decide_thresholds", "decide_costs"
NEWEST, FEWEST = 0.2, 100
"""The share of the examples that thresholds are chosen on, and the fewest of them: below that none are chosen."""

DAY_US = 86_400_000_000


def usable_costs(costs: Doubles) -> NDArray[np.bool_]:
    """Which rows of `cost_matrix` are numbers from 0."""
    return np.asarray((np.isfinite(costs) & (costs >= 0)).all(axis=1))


def as_columns(costs: Doubles) -> CostColumns:
    """The columns of `cost_matrix`: false approve, false decline and, where there is one, review."""
    return CostColumns(costs[:, 0], costs[:, 1], costs[:, 2] if costs.shape[1] == 3 else None)


def thresholds_for(
    task: "Predict", candidate: Any, data: TrainingData, table_of: Any, seed: int
) -> tuple[Thresholds, str]:
    """The thresholds of a candidate, and what a person should know of them.

    It is fitted a second time, on all but the newest fifth of the examples, which it then predicts.
    """
    policy = task.decide
    if not isinstance(policy, Decide):
        return Thresholds(), ""
    usable = np.flatnonzero(usable_costs(data.arrays[COSTS]))
    newest = usable[len(usable) - round(NEWEST * len(usable)) :]
    if len(newest) < FEWEST:
        return Thresholds(), f"decides by the declared costs alone: {len(newest)} examples are too few for thresholds"
    older = np.arange(int(newest[0]))
    model = candidate.fit(table_of(_rows(data, older)), task.target_kind, seed)
    kept = table_of(_rows(data, newest))
    predictor = candidate.open(model.arrays, model.texts, kept.columns, task.target_kind)
    probability = np.asarray(predictor.predict(kept.numbers, kept.categories)[:, 0], np.float64)
    costs = as_columns(data.arrays[COSTS][newest])
    chosen = choose_thresholds(policy, probability, kept.target, costs, kept.at_us // DAY_US, kept.weight)
    return chosen.thresholds, chosen.note


def _rows(data: TrainingData, rows: NDArray[np.int64]) -> TrainingData:
    return msgspec.structs.replace(data, arrays={name: array[rows] for name, array in data.arrays.items()})
