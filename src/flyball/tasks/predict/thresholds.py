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
    equal_thresholds,
)
from flyball.tasks.evaluation import MISSING_GROUP
from flyball.tasks.predict.decisions import group_of
from flyball.tasks.task import TrainingData

if TYPE_CHECKING:
    import polars as pl

    from flyball.tasks.predict.declaration import Predict

THRESHOLDS, COSTS = "decide_thresholds", "decide_costs"
DECLARED = "declared_weight"
"""The part of the weight of an example that `weight=` declares. The rest is how many requests it stands for."""
BALANCE = "balance"
"""How many times as much each example counts in training alone, so that groups count equally."""
VALIDATION, COST_FIELDS = "decide_validation", "decide_fields"
"""The names of the arrays that thresholds are chosen on: probabilities, outcomes, days, weights, how many requests
each stands for, and numbers of the requests."""
GROUPS, GROUP_ODDS = "decide_groups", "decide_group_odds"
"""The groups of the examples, as codes of texts by attribute, and the factors of the odds of groups."""
KEPT = (THRESHOLDS, VALIDATION, COST_FIELDS, GROUPS, GROUP_ODDS)
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
    kept = msgspec.structs.replace(kept, weight=data.arrays["weight"][newest])  # without the balance of groups
    probability = np.asarray(predictor.predict(kept.numbers, kept.categories)[:, 0], np.float64)
    costs = as_columns(data.arrays[COSTS][newest])
    day_of = np.array(local_days(kept.at_us.tolist(), find_zone(task.zone)), np.int64)
    requests = kept.weight / data.arrays[DECLARED][newest] if DECLARED in data.arrays else kept.weight
    chosen = choose_thresholds(policy, probability, kept.target, costs, day_of, kept.weight, requests)
    thresholds, note = chosen.thresholds, chosen.note
    if policy.equal is not None:
        group = _groups_by(policy.equal.by, data.arrays[GROUPS][newest], data.texts)
        columns = probability, kept.target, costs, day_of, group, kept.weight, requests
        thresholds, equal_note = equal_thresholds(policy, thresholds, *columns)
        note = "; ".join(part for part in (note, equal_note) if part)
    newest = newest[-MOST_KEPT:]
    rows = slice(len(probability) - len(newest), None)
    validation = np.stack([probability, kept.target, day_of.astype(np.float64), kept.weight, requests], axis=1)[rows]
    arrays = {
        THRESHOLDS: _plain(thresholds),
        VALIDATION: validation,
        COST_FIELDS: data.arrays[COST_FIELDS][newest],
    }
    texts = {COST_FIELDS: data.texts[COST_FIELDS]}
    if GROUPS in data.arrays:
        arrays[GROUPS] = data.arrays[GROUPS][newest]
    if thresholds.groups:
        arrays[GROUP_ODDS] = np.array(list(thresholds.groups.values()), np.float64)
        texts[GROUP_ODDS] = list(thresholds.groups)
    return arrays, texts, note


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
        if THRESHOLDS not in arrays:
            return Thresholds()
        groups = dict(zip(texts[GROUP_ODDS], arrays[GROUP_ODDS].tolist(), strict=True)) if GROUP_ODDS in arrays else {}
        odds, review_margin = arrays[THRESHOLDS].tolist()
        return Thresholds(odds, review_margin, groups)
    kept_by = [renamed.get(name, name) for name in texts.get(GROUPS, ())]
    if policy.equal is not None and policy.equal.by not in kept_by:
        raise Refused(
            f"equal of the arrangement must be by groups that the version kept of its requests "
            f"({', '.join(kept_by) or 'none'}), got {policy.equal.by}: run flyball learn to learn a version by them"
        )
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
    paid, days = cost_columns(costs), day_of.astype(np.int64)
    common = choose_thresholds(policy, probability, actual, paid, days, weight, requests).thresholds
    if policy.equal is None:
        return common
    named = {**texts, GROUPS: kept_by}
    group = _groups_by(policy.equal.by, arrays[GROUPS][rows], named)
    return equal_thresholds(policy, common, probability, actual, paid, days, group, weight, requests)[0]


def group_columns(groups: Sequence[str], frame: "pl.DataFrame") -> tuple[dict[str, NDArray[Any]], dict[str, list[str]]]:
    """(arrays, texts) with the group of each row by each attribute: codes int32 (rows, attributes), and their texts.

    Both are empty without attributes.
    """
    if not groups:
        return {}, {}
    codes = np.zeros((frame.height, len(groups)), np.int32)
    texts = {GROUPS: list(groups)}
    for column, name in enumerate(groups):
        values = [group_of(value) or MISSING_GROUP for value in frame[name].to_list()]
        texts[f"{GROUPS}_{column}"] = known = sorted(set(values))
        number = {value: code for code, value in enumerate(known)}
        codes[:, column] = [number[value] for value in values]
    return {GROUPS: codes}, texts


def _groups_by(by: str, codes: NDArray[Any], texts: Mapping[str, Sequence[str]]) -> NDArray[np.object_]:
    column = list(texts[GROUPS]).index(by)
    names: NDArray[np.object_] = np.array(texts[f"{GROUPS}_{column}"], object)
    return np.asarray(names[codes[:, column]])


def _plain(thresholds: Thresholds) -> NDArray[np.float64]:
    return np.array([thresholds.odds, thresholds.review_margin])


def _rows(data: TrainingData, rows: NDArray[np.int64]) -> TrainingData:
    return msgspec.structs.replace(data, arrays={name: array[rows] for name, array in data.arrays.items()})
