"""Combines several models of a table linearly, with weights from their predictions of rows that they have not seen.

Source: Wolpert, "Stacked Generalization", Neural Networks 1992; folds in order of time as in forward validation: Hart,
"Automated Empirical Selection of Models", 1994, and Bergmeir and Benítez, "On the use of cross-validation for time
series predictor evaluation", Information Sciences 2012.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, BadInput, Doubles, format_duration
from flyball.models.tabular.boosted import LightGBM
from flyball.models.tabular.calibration.window import check_wrapped, final_rows, rows_of
from flyball.models.tabular.linear import Linear, LinearPredictor
from flyball.models.tabular.nested import open_part, part_fit
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
)

EDGE = 1e-6  # probabilities are limited to [EDGE, 1 - EDGE], so that one certain model does not outweigh all others


class Stacking(TabularModel, frozen=True):
    """A linear regression on the predictions of `models`; for probabilities a logistic regression on their log odds.

    The rows with final labels are cut into `folds` + 1 pieces of equal size in order of time. Each piece except the
    first is predicted by models fitted on earlier rows whose labels were final when the piece began. The regression is
    fitted on these predictions (`l2`: penalty of its squared coefficients, in numbers of examples). Then the models
    are fitted on all rows. The cost is folds + 1 fits of each model, and for each response the predictions of all
    models.
    """

    kind: ClassVar[str] = "stacking"
    predicts: ClassVar[tuple[str, ...]] = ("number", "binary", "multiclass")
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"folds": (3, 5, 8), "l2": (0.1, 1.0, 10.0, 100.0)}

    models: tuple[TabularModel, ...] = (Linear(), LightGBM())
    folds: int = 5
    l2: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.models, tuple) or len(self.models) < 2:
            must = "a tuple of two models of tables or more, such as (fb.Linear(), fb.LightGBM())"
            raise BadDeclaration("models of Stacking", must, self.models)
        for model in self.models:
            check_wrapped("Stacking", model)
        if self.folds < 1:
            raise BadDeclaration("folds of Stacking", "1 or more", self.folds)
        if not self.l2 > 0:
            raise BadDeclaration("l2 of Stacking", "above 0", self.l2)

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """The arrays of each model, and as `line_0_`... those of the regression. Raises `BadInput` if all rows are of
        one time, or if no label was final before the last piece began."""
        final = final_rows(table)
        pieces = time_folds(final.at_us, self.folds, max(table.label_delays_us))
        predicted = [
            self._margins(rows_of(final, earlier), rows_of(final, later), target, seed) for earlier, later in pieces
        ]
        unseen = rows_of(final, np.concatenate([later for _, later in pieces]))
        stacked = msgspec.structs.replace(
            unseen,
            columns=inputs_of(len(self.models), target),
            numbers=np.concatenate(predicted),
            categories=np.empty((len(unseen), 0), np.int32),
            vocabularies={},
        )
        fits = [part_fit("line", 0, Linear(l2=self.l2).fit(stacked, target, seed))]
        fits += [part_fit("model", index, model.fit(table, target, seed)) for index, model in enumerate(self.models)]
        arrays = {name: array for fitted in fits for name, array in fitted.arrays.items()}
        texts = {name: names for fitted in fits for name, names in fitted.texts.items()}
        notes = dict.fromkeys(fitted.note for fitted in fits if fitted.note)
        return TabularFit(arrays, texts, "; ".join(notes))

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "StackingPredictor":
        """As `TabularModel.open`; raises the errors of the models' `open`."""
        parts = [
            open_part(model, "model", index, arrays, texts, columns, target) for index, model in enumerate(self.models)
        ]
        learned = {name.removeprefix("line_0_"): array for name, array in arrays.items() if name.startswith("line_0_")}
        return StackingPredictor(parts, learned, len(columns), target)

    def _margins(self, earlier: TrainingTable, later: TrainingTable, target: TargetKind, seed: int) -> Doubles:
        """Predictions of later rows by models fitted on earlier ones, float64 (later rows, models * outputs)."""
        predictors = []
        for model in self.models:
            fitted = model.fit(earlier, target, seed)
            predictors.append(model.open(fitted.arrays, fitted.texts, earlier.columns, target))
        return margins_of(predictors, later.numbers, later.categories, target)


class StackingPredictor:
    """A linear model of the predictions of several predictors."""

    def __init__(self, parts: Sequence[TabularPredictor], line: Arrays, columns: int, target: TargetKind) -> None:
        self._parts, self._columns, self._target = parts, columns, target
        self._line = LinearPredictor(line, inputs_of(len(parts), target), target)
        self._slopes: Doubles = line["coefficients"] / line["scale"]

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        return self._line.predict(margins_of(self._parts, numbers, categories, self._target), _none(len(numbers)))

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """The contributions of the models times the regression's coefficients. What the models' links add is part of
        the base."""
        margins = margins_of(self._parts, numbers, categories, self._target)
        terms = self._line.contributions(margins, _none(len(numbers)))
        added = np.zeros((len(numbers), terms.shape[1], self._columns + 1))
        added[:, :, -1] = terms[:, :, -1]
        inputs: list[Doubles] = [
            np.ascontiguousarray(parts[:, output])
            for parts in (part.contributions(numbers, categories) for part in self._parts)
            for output in range(parts.shape[1])
        ]
        for index, parts in enumerate(inputs):
            for output in range(terms.shape[1]):
                own = parts * self._slopes[output, index]
                added[:, output] += own
                added[:, output, -1] += terms[:, output, index] - own.sum(axis=1)
        return added


def time_folds(
    at_us: NDArray[np.int64], folds: int, delay_us: int = 0
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(earlier rows, rows of the piece) of each piece except the first.

    The rows are cut into `folds` + 1 pieces of equal size in order of time. Rows of one time are in one piece, so equal
    times may give fewer pieces. `delay_us`: how long after a row its label is final; the earlier rows are those whose
    label was final when the piece began. A piece is left out if its earlier rows are fewer than half a piece. Raises
    `BadInput` if the rows have fewer than two times or no piece is left.

    >>> [(earlier.tolist(), later.tolist()) for earlier, later in time_folds(np.array([1, 2, 2, 3]), 3)]
    [([0], [1, 2]), ([0, 1, 2], [3])]
    >>> [(earlier.tolist(), later.tolist()) for earlier, later in time_folds(np.arange(6), 2, delay_us=1)]
    [([0], [2, 3]), ([0, 1, 2], [4, 5])]
    """
    rows = len(at_us)
    cuts = [round(piece * rows / (folds + 1)) for piece in range(1, folds + 1)]
    firsts = np.searchsorted(at_us, at_us[[cut for cut in cuts if cut < rows]], side="left")
    starts = [start for start in dict.fromkeys(firsts.tolist()) if start > 0]
    if not starts:
        last = int(np.searchsorted(at_us, at_us[-1], side="left")) if rows else 0
        starts = [last] if last else []
    if not starts:
        raise BadInput("examples to stack models by", "of two different times or more", f"{rows} of one time")
    known = np.searchsorted(at_us, at_us[starts] - delay_us, side="left").tolist() if delay_us else starts
    least = max(1, rows // (2 * (folds + 1))) if delay_us else 1
    pieces = [
        (np.arange(count), np.arange(start, end))
        for start, end, count in zip(starts, [*starts[1:], rows], known, strict=True)
        if count >= least
    ]
    if not pieces:
        days = (int(at_us[-1]) - int(at_us[0])) / 86_400_000_000
        must = f"from much more than the {format_duration(delay_us)} after which a label is final"
        raise BadInput("examples to stack models by", must, f"{rows} within {days:.1f} days")
    return pieces


def margins_of(
    parts: Sequence[TabularPredictor], numbers: Doubles, categories: NDArray[np.int32], target: TargetKind
) -> Doubles:
    """float64 (rows, models * outputs): the predictions of each model; log odds for probabilities."""
    predicted = np.concatenate([part.predict(numbers, categories) for part in parts], axis=1)
    if target.kind == "number":
        return predicted
    inside = np.clip(predicted, EDGE, 1.0 - EDGE)
    margins: Doubles = np.log(inside) - np.log1p(-inside)
    return margins


def inputs_of(models: int, target: TargetKind) -> tuple[TableColumn, ...]:
    return tuple(TableColumn(f"model{index}", "number") for index in range(models * len(target.outputs)))


def _none(rows: int) -> NDArray[np.int32]:
    return np.empty((rows, 0), np.int32)
