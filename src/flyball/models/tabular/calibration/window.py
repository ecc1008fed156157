"""The window that a calibration is fitted on: the newest share of a table, which the base model does not see."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, BadInput
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
)

BASE = "base_"
"""What the base model learned lies under its own names behind this."""


def rows_of(table: TrainingTable, rows: NDArray[Any]) -> TrainingTable:
    """Some rows of the table, in ascending order."""
    return msgspec.structs.replace(
        table,
        numbers=table.numbers[rows],
        categories=table.categories[rows],
        target=table.target[rows],
        weight=table.weight[rows],
        at_us=table.at_us[rows],
        final_weight=None if table.final_weight is None else table.final_weight[rows],
    )


def final_rows(table: TrainingTable) -> TrainingTable:
    """The rows whose label is final, weighted as among themselves: what any part of a table, taken by time, must be of.

    Of the newest rows only the quick labels are known. Where a table holds such, they stand for others: a window of
    them alone would have hardly any negatives, or none of the slow.
    """
    if table.final_weight is None:
        return table
    rows = rows_of(table, np.flatnonzero(table.final_weight > 0))
    return msgspec.structs.replace(rows, weight=rows.final_weight, final_weight=None)


def split_newest(table: TrainingTable, share: float) -> tuple[TrainingTable, TrainingTable]:
    """The older rows whose label is final, and the newest `share` of these. Raises `BadInput` where either would be
    empty."""
    table = final_rows(table)
    newest = round(len(table) * share)
    if not 0 < newest < len(table):
        raise BadInput("examples to train and to calibrate on", "two or more, some of them in each part", len(table))
    rows = np.arange(len(table))
    return rows_of(table, rows[:-newest]), rows_of(table, rows[-newest:])


def check_wrapped(owner: str, model: Any, share: float | None = None) -> None:
    """Raise `BadDeclaration` unless `model` is one of tables, and `share` leaves something on either side."""
    if not isinstance(model, TabularModel):
        raise BadDeclaration(f"model of {owner}", "a model of tables, such as fb.LightGBM()", model)
    if share is not None and not 0 < share < 1:
        raise BadDeclaration(f"share of {owner}", "between 0 and 1", share)


def with_base(arrays: Arrays, texts: Mapping[str, list[str]], base: TabularFit, note: str = "") -> TabularFit:
    """What a wrapper learned together with what its base did."""
    return TabularFit(
        {**arrays, **{f"{BASE}{name}": array for name, array in base.arrays.items()}},
        {**texts, **{f"{BASE}{name}": names for name, names in base.texts.items()}},
        "; ".join(part for part in (base.note, note) if part),
    )


def open_base(
    model: TabularModel,
    arrays: Arrays,
    texts: Mapping[str, list[str]],
    columns: tuple[TableColumn, ...],
    target: TargetKind,
) -> TabularPredictor:
    """The base model, given what it learned under its own names."""

    def own(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removeprefix(BASE): value for name, value in named.items() if name.startswith(BASE)}

    return model.open(own(arrays), own(texts), columns, target)
