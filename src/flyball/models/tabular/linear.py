"""Regularized linear and logistic regression over standardized numbers and one-hot categories.

Ridge regression: Hoerl and Kennard, "Ridge Regression", Technometrics 1970. Logistic regression by iteratively
reweighted least squares with the same penalty: le Cessie and van Houwelingen, "Ridge Estimators in Logistic
Regression", Applied Statistics 1992.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, Doubles
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TargetKind,
    TrainingTable,
    logistic,
    weighted_quantiles,
)

_STEPS, _HALVINGS, _CLOSE = 50, 40, 1e-8


class Linear(TabularModel, frozen=True):
    """A weighted sum of the columns; for probabilities it gives the log odds.

    `l2`: the penalty of the squared coefficients, in numbers of examples. Numbers are centered and divided by their
    standard deviation; missing ones count as the mean. Each of the `most` most frequent texts of a category has a
    coefficient. A quantile is the least-squares prediction plus that quantile of its residuals. With several classes,
    one model for each against the others, and probabilities divided by their sum.
    """

    kind: ClassVar[str] = "linear"
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"l2": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)}

    l2: float = 1.0
    most: int = 200

    def __post_init__(self) -> None:
        if not self.l2 > 0 or self.most < 1:
            raise BadDeclaration("Linear's l2 and most", "above 0", (self.l2, self.most))

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        total = table.weight.sum()
        is_known = np.isfinite(table.numbers)
        weights = is_known * table.weight[:, None]
        counted = np.maximum(weights.sum(axis=0), 1e-300)
        filled = np.where(is_known, table.numbers, 0.0)
        mean = (filled * weights).sum(axis=0) / counted
        scale = np.sqrt((weights * (filled - mean) ** 2).sum(axis=0) / counted)
        scale = np.where(scale > 1e-12 * np.maximum(np.abs(mean), 1e-300), scale, np.inf)
        learned: dict[str, NDArray[Any]] = {"mean": mean, "scale": scale}
        for index, name in enumerate(table.category_names):
            learned[f"slot_{index}"] = _slots(
                table.categories[:, index], table.weight, len(table.vocabularies[name]), self.most
            )
        design = _design(learned, table.numbers, table.categories)
        base = np.ones((len(table), 1))
        rows = np.hstack([design, base])
        if target.kind in ("binary", "multiclass"):
            classes = range(len(target.classes)) if target.kind == "multiclass" else (1,)
            fits = [self._logistic(rows, (table.target == cls).astype(np.float64), table.weight) for cls in classes]
        else:
            fits = [self._ridge(rows, table.target, table.weight)] * len(target.outputs)
        learned["coefficients"] = np.array([fit[:-1] for fit in fits])
        learned["base"] = np.array([fit[-1] for fit in fits])
        if target.kind == "quantiles":
            left = table.target - rows @ fits[0]
            learned["base"] = learned["base"] + weighted_quantiles(left, table.weight, target.quantiles)
        note = "" if total else "no example has any weight"
        return TabularFit(learned, note=note)

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "LinearPredictor":
        return LinearPredictor(arrays, columns, target)

    def _penalty(self, width: int) -> Doubles:
        return np.append(np.full(width - 1, self.l2), 1e-9)

    def _ridge(self, rows: Doubles, target: Doubles, weight: Doubles) -> Doubles:
        center = np.average(target, weights=weight)
        right = rows.T @ (weight * (target - center))
        coefficients = _solved(rows, weight, self._penalty(rows.shape[1]), right)
        coefficients[-1] += center
        return coefficients

    def _logistic(self, rows: Doubles, happened: Doubles, weight: Doubles) -> Doubles:
        penalty = self._penalty(rows.shape[1])
        coefficients: Doubles = np.zeros(rows.shape[1])
        share = np.clip(np.average(happened, weights=weight), 1e-9, 1 - 1e-9)
        coefficients[-1] = np.log(share / (1 - share))

        def goodness(tried: Doubles) -> float:
            margin = rows @ tried
            fit = weight @ (happened * margin - np.logaddexp(0.0, margin))
            return float(fit - penalty @ tried**2 / 2)

        reached = goodness(coefficients)
        for _ in range(_STEPS):
            probability = logistic(rows @ coefficients)
            gradient = rows.T @ (weight * (happened - probability)) - penalty * coefficients
            curvature = weight * np.maximum(probability * (1 - probability), 1e-9)
            step = _solved(rows, curvature, penalty, gradient)
            for _ in range(_HALVINGS):  # far from the optimum, a full step may overshoot and diverge
                tried = coefficients + step
                if (now := goodness(tried)) >= reached:
                    coefficients, reached = tried, now
                    break
                step = step / 2
            if np.abs(step).max() < _CLOSE:
                break
        return coefficients


class LinearPredictor:
    """Adds up contributions column by column, so that a row gets the same bits in any batch."""

    def __init__(self, arrays: Arrays, columns: tuple[TableColumn, ...], target: TargetKind) -> None:
        self._arrays, self._columns, self._target = arrays, columns, target

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        added = self.contributions(numbers, categories)
        values = added[:, :, -1].copy()
        for index in range(len(self._columns)):
            values += added[:, :, index]
        if self._target.kind == "binary":
            return logistic(values)
        if self._target.kind == "multiclass":
            shares = logistic(values)
            total = shares[:, :1].copy()
            for index in range(1, shares.shape[1]):
                total += shares[:, index : index + 1]
            return shares / np.maximum(total, 1e-300)
        return values

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        arrays = self._arrays
        coefficients = arrays["coefficients"]
        added = np.zeros((len(numbers), len(coefficients), len(self._columns) + 1))
        added[:, :, -1] = arrays["base"]
        number, category, first = 0, 0, len(arrays["mean"])
        for index, column in enumerate(self._columns):
            if column.kind == "number":
                centered = _standard(numbers[:, number], arrays["mean"][number], arrays["scale"][number])
                added[:, :, index] = centered[:, None] * coefficients[:, number]
                number += 1
                continue
            slots = arrays[f"slot_{category}"]
            width = int(slots.max(initial=-1)) + 1
            codes = categories[:, category]
            slot = np.where(codes >= 0, slots[np.maximum(codes, 0)], -1) if len(slots) else np.full(len(codes), -1)
            if width:
                own = coefficients[:, first : first + width]
                added[:, :, index] = np.where(slot[:, None] >= 0, own[:, np.maximum(slot, 0)].T, 0.0)
            first, category = first + width, category + 1
        return added


def _solved(rows: Doubles, weight: Doubles, penalty: Doubles, right: Doubles) -> Doubles:
    """The solution x of (rows' weight rows + penalty) x = right.

    The last column is the base; the penalty of the other columns must be equal. With more columns than rows, a system
    of the size of the rows is solved instead, so that memory and time grow linearly with the columns: the Woodbury
    identity, Golub and Van Loan, "Matrix Computations", 2013, section 2.1.4.
    """
    if rows.shape[1] <= len(rows):
        gram = (rows * weight[:, None]).T @ rows + np.diag(penalty)
        solution: Doubles = np.asarray(np.linalg.solve(gram, right), np.float64)
        return solution
    columns, l2, root = rows[:, :-1], penalty[0], np.sqrt(weight)
    scaled = columns * root[:, None]
    inner = scaled @ scaled.T + np.diag(np.full(len(rows), l2))
    sides = np.stack([right[:-1], columns.T @ weight], axis=1)
    by_columns = (sides - scaled.T @ np.linalg.solve(inner, scaled @ sides)) / l2
    crossed = sides[:, 1]
    base = (right[-1] - crossed @ by_columns[:, 0]) / (weight.sum() + penalty[-1] - crossed @ by_columns[:, 1])
    solution = np.append(by_columns[:, 0] - base * by_columns[:, 1], base)
    return solution


def _standard(values: Doubles, mean: Any, scale: Any) -> Doubles:
    known = np.isfinite(values)  # missing and infinite values count as the mean
    return np.where(known, (np.where(known, values, mean) - mean) / scale, 0.0)


def _slots(codes: NDArray[np.int32], weight: Doubles, count: int, most: int) -> NDArray[np.int32]:
    """The position of each text among those with a coefficient, -1 for the other texts; int32 (texts,)."""
    sums = np.bincount(codes[codes >= 0], weight[codes >= 0], count)
    slots = np.full(count, -1, np.int32)
    kept = np.argsort(-sums, kind="stable")[:most]
    slots[kept] = np.arange(len(kept), dtype=np.int32)
    return slots


def _design(learned: Mapping[str, NDArray[Any]], numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
    """The design matrix, float64 (rows, numbers and one-hot columns of all categories)."""
    parts: Sequence[Doubles] = [_standard(numbers, learned["mean"], learned["scale"])]
    for index in range(categories.shape[1]):
        slots = learned[f"slot_{index}"]
        hot = np.zeros((len(categories), int(slots.max(initial=-1)) + 1))
        codes = categories[:, index]
        slot = np.where(codes >= 0, slots[np.maximum(codes, 0)], -1) if len(slots) else np.full(len(codes), -1)
        rows = np.flatnonzero(slot >= 0)
        hot[rows, slot[rows]] = 1.0
        parts = [*parts, hot]
    return np.hstack(parts)
