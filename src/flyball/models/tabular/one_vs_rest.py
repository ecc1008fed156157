"""Predicts several labels, each with its own model: binary relevance.

Source: Tsoumakas and Katakis, "Multi-Label Classification: An Overview", IJDWM 2007.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import NOTHING, Arrays, BadDeclaration, BadInput, Doubles
from flyball.models.tabular.baselines import Constant
from flyball.models.tabular.calibration.window import check_wrapped, rows_of
from flyball.models.tabular.nested import open_part, part_fit
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
)

_BINARY = TargetKind("binary")


class OneVsRest(TabularModel, frozen=True):
    """The probability of each label, from a copy of `model` fitted on that label alone.

    Each copy is fitted on the rows where its label is known, with their weights for that label, so a label that takes
    weeks to mature does not delay the others. `fb.Predict` with several labels wraps its candidates automatically.
    """

    kind: ClassVar[str] = "one_vs_rest"
    predicts: ClassVar[tuple[str, ...]] = ("multilabel",)

    model: TabularModel = Constant()

    def __post_init__(self) -> None:
        check_wrapped("OneVsRest", self.model)
        if "binary" not in self.model.predicts:
            must = "one that predicts binary targets, such as fb.LightGBM()"
            raise BadDeclaration("model of OneVsRest", must, type(self.model).__name__)

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """The arrays of each label's model. Raises `BadInput` for a label that no row has."""
        arrays: dict[str, NDArray[Any]] = {}
        texts: dict[str, list[str]] = {}
        notes = []
        for label, name in enumerate(target.classes):
            fitted = self.model.fit(label_table(table, label, name), _BINARY, seed)
            own = part_fit("label", label, fitted)
            arrays |= own.arrays
            texts |= own.texts
            notes += [f"{name}: {fitted.note}"] if fitted.note else []
        return TabularFit(arrays, texts, "; ".join(notes))

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "LabelsPredictor":
        """As `TabularModel.open`; raises the errors of the model's `open`."""
        return LabelsPredictor(
            [
                open_part(self.model, "label", label, arrays, texts, columns, _BINARY)
                for label in range(len(target.classes))
            ]
        )


class LabelsPredictor:
    """One predictor for each label."""

    def __init__(self, labels: list[TabularPredictor]) -> None:
        self._labels = labels

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        return np.concatenate([label.predict(numbers, categories) for label in self._labels], axis=1)

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        return np.concatenate([label.contributions(numbers, categories) for label in self._labels], axis=1)


def label_table(table: TrainingTable, label: int, name: str) -> TrainingTable:
    """The rows where label number `label` is known, with it as binary target. Raises `BadInput` if there are none."""
    rows = np.flatnonzero(table.weight[:, label] > 0)
    if not len(rows):
        raise BadInput(f"examples of label {name}", "one or more whose label is known", NOTHING)
    known = rows_of(table, rows)
    return msgspec.structs.replace(
        known,
        target=np.ascontiguousarray(known.target[:, label]),
        weight=np.ascontiguousarray(known.weight[:, label]),
        final_weight=None if known.final_weight is None else np.ascontiguousarray(known.final_weight[:, label]),
        label_delays_us=table.label_delays_us[label : label + 1] or table.label_delays_us,
    )
