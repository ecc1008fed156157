"""Thresholds of a version, chosen on predictions of the newest examples by a model that was not trained on them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadInput, Doubles, Refused, find_zone, local_days
from flyball.policy import (
    CostColumns,
    Decide,
    ExampleCosts,
    Thresholds,
    choose_thresholds,
    compile_costs,
    cost_columns,
)
from flyball.tasks.task import TrainingData

if TYPE_CHECKING:
    from flyball.tasks.predict.declaration import Predict

THRESHOLDS, COSTS = "decide_thresholds", "decide_costs"
DECLARED = "declared_weight"
"""The part of the weight of an example that `weight=` declares. The rest is how many requests it stands for."""
VALIDATION, COST_FIELDS = "decide_validation", "decide_fields"
"""The names of the arrays that thresholds are chosen on: probabilities, outcomes, days, weights, how many requests
each stands for, and numbers of the requests."""
KEPT = (THRESHOLDS, VALIDATION, COST_FIELDS)
MOST_KEPT = 20_000
"""The largest number of the newest examples that thresholds are chosen on."""

NEWEST, FEWEST = 0.2, 100
"""The share of the examples that thresholds are chosen on, and the fewest examples: with fewer, none are chosen."""

DAY_US = 86_400_000_000


def usable_costs(costs: Doubles) -> NDArray[np.bool_]:
    """Which rows of `cost_matrix` have only finite numbers of 0 or more."""
    return np.asarray((np.isfinite(costs) & (costs >= 0)).all(axis=1))


def as_columns(costs: Doubles) -> CostColumns:
    """The columns of `cost_matrix`: false approve, false decline and, if it has one, review."""
    return CostColumns(costs[:, 0], costs[:, 1], costs[:, 2] if costs.shape[1] == 3 else None)


def thresholds_for(
    task: "Predict", candidate: Any, data: TrainingData, table_of: Any, seed: int
) -> tuple[dict[str, NDArray[Any]], dict[str, list[str]], str]:
    """(arrays, texts, note) to keep with a version of the candidate: its thresholds, what they were chosen on, and what
    a person should know of them.

    It is fitted a second time, on all but the newest fifth of the examples whose label is final, which it then
    predicts: of younger ones only the quick labels are known. These predictions are kept, so that other costs can have
    thresholds of their own without training.
    """
    policy = task.decide
    if not isinstance(policy, Decide):
        return {}, {}, ""
    if "final_weight" in data.arrays:
        final = _rows(data, np.flatnonzero(data.arrays["final_weight"] > 0))
        others = {name: array for name, array in final.arrays.items() if name != "final_weight"}
        data = msgspec.structs.replace(final, arrays={**others, "weight": final.arrays["final_weight"]})
    usable = np.flatnonzero(usable_costs(data.arrays[COSTS]))
    newest = usable[len(usable) - round(NEWEST * len(usable)) :]
    if len(newest) < FEWEST:
        note = f"decides by the declared costs alone: {len(newest)} examples are too few for thresholds"
        return {THRESHOLDS: _plain(Thresholds())}, {}, note
    older = np.arange(int(newest[0]))
    model = candidate.fit(table_of(_rows(data, older)), task.target_kind, seed)
    kept = table_of(_rows(data, newest))
    predictor = candidate.open(model.arrays, model.texts, kept.columns, task.target_kind)
    probability = np.asarray(predictor.predict(kept.numbers, kept.categories)[:, 0], np.float64)
    costs = as_columns(data.arrays[COSTS][newest])
    day_of = np.array(local_days(kept.at_us.tolist(), find_zone(task.zone)), np.int64)
    requests = kept.weight / data.arrays[DECLARED][newest] if DECLARED in data.arrays else kept.weight
    chosen = choose_thresholds(policy, probability, kept.target, costs, day_of, kept.weight, requests)
    newest = newest[-MOST_KEPT:]
    rows = slice(len(probability) - len(newest), None)
    validation = np.stack([probability, kept.target, day_of.astype(np.float64), kept.weight, requests], axis=1)[rows]
    arrays = {
        THRESHOLDS: _plain(chosen.thresholds),
        VALIDATION: validation,
        COST_FIELDS: data.arrays[COST_FIELDS][newest],
    }
    return arrays, {COST_FIELDS: data.texts[COST_FIELDS]}, chosen.note


def thresholds_of(
    policy: Decide,
    declared: Any,
    arrays: Arrays,
    texts: Mapping[str, Sequence[str]],
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Thresholds:
    """The thresholds of a version for `policy`: those learned with it, or, where the version was learned by `declared`
    and that says otherwise, chosen again on the predictions that were kept.

    `renamed`: {name that a field had then: its name now}. Raises `Refused` for costs made of fields that were not kept.
    """
    if not isinstance(declared, Decide) or policy.plain() == declared.plain():
        return Thresholds(*arrays[THRESHOLDS].tolist()) if THRESHOLDS in arrays else Thresholds()
    if VALIDATION not in arrays:  # too few examples for thresholds: the costs alone decide
        return Thresholds()
    names = [renamed.get(name, name) for name in texts[COST_FIELDS]]
    strange = sorted(policy.fields - set(names))
    if strange:
        raise Refused(
            f"costs of the arrangement must be made of numbers that the version kept of its requests "
            f"({', '.join(names)}), got {', '.join(strange)}: run flyball learn to learn a version by them"
        )
    costs_of, costs, rows = compile_costs(policy), list[ExampleCosts](), list[int]()
    for row, values in enumerate(arrays[COST_FIELDS].tolist()):
        with suppress(BadInput):  # as in serving, where such a request is left to the user's own rule
            numbers = [None if value != value else value for value in values]
            costs.append(costs_of(SimpleNamespace(**dict(zip(names, numbers, strict=True)))))
            rows.append(row)
    if len(rows) < FEWEST:
        return Thresholds()
    columns = arrays[VALIDATION][rows].T
    probability, actual, day_of, weight = columns[:4]
    requests = columns[-1]  # versions that were learned before it was kept have the weight there
    return choose_thresholds(
        policy, probability, actual, cost_columns(costs), day_of.astype(np.int64), weight, requests
    ).thresholds


def _plain(thresholds: Thresholds) -> NDArray[np.float64]:
    return np.array([thresholds.odds, thresholds.review_margin])


def _rows(data: TrainingData, rows: NDArray[np.int64]) -> TrainingData:
    return msgspec.structs.replace(data, arrays={name: array[rows] for name, array in data.arrays.items()})
