"""The window that a calibration is fitted on: the newest share of a table, which the base model is not trained on."""

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
"""The prefix of the names of the base model's arrays and texts."""


def rows_of(table: TrainingTable, rows: NDArray[Any]) -> TrainingTable:
    """The rows of the table with these ascending indexes, int64 (n,)."""
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
    """The rows whose label is final, with the weights that they have without the others.

    Take parts of a table by time from these rows only. Of the newest rows only quick labels are known; in the whole
    table they are weighted to represent others, but a window of them alone would have too few negatives.
    """
    if table.final_weight is None:
        return table
    rows = rows_of(table, np.flatnonzero(table.final_weight > 0))
    return msgspec.structs.replace(rows, weight=rows.final_weight, final_weight=None)


def split_newest(table: TrainingTable, share: float) -> tuple[TrainingTable, TrainingTable]:
    """(older rows, the newest `share` of rows), both of rows with a final label. Raises `BadInput` if one is empty."""
    table = final_rows(table)
    newest = round(len(table) * share)
    if not 0 < newest < len(table):
        raise BadInput("examples to train and to calibrate on", "two or more, some of them in each part", len(table))
    rows = np.arange(len(table))
    return rows_of(table, rows[:-newest]), rows_of(table, rows[-newest:])


def check_wrapped(owner: str, model: Any, share: float | None = None) -> None:
    """Raise `BadDeclaration` unless `model` is a model of tables and `share` is between 0 and 1."""
    if not isinstance(model, TabularModel):
        raise BadDeclaration(f"model of {owner}", "a model of tables, such as fb.LightGBM()", model)
    if share is not None and not 0 < share < 1:
        raise BadDeclaration(f"share of {owner}", "between 0 and 1", share)


def with_base(arrays: Arrays, texts: Mapping[str, list[str]], base: TabularFit, note: str = "") -> TabularFit:
    """The fit of a wrapper together with that of its base model."""
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
    """The predictor of the base model, from the arrays and texts of its wrapper."""

    def own(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removeprefix(BASE): value for name, value in named.items() if name.startswith(BASE)}

    return model.open(own(arrays), own(texts), columns, target)
