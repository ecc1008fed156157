"""A model whose probabilities are calibrated on a newer window than its training data."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, Doubles
from flyball.models.tabular.baselines import Constant
from flyball.models.tabular.calibration.beta import BetaMap, fit_beta
from flyball.models.tabular.calibration.isotonic import IsotonicMap, fit_isotonic
from flyball.models.tabular.calibration.platt import PlattMap, fit_platt, log_odds_of
from flyball.models.tabular.calibration.window import check_wrapped, open_base, split_newest, with_base
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
)

CalibrationMethod = Literal["isotonic", "platt", "beta"]
CalibrationMap = IsotonicMap | PlattMap | BetaMap


class Calibrated(TabularModel, frozen=True):
    """The probabilities of `model`, calibrated.

    `method`: "isotonic" (any increasing map; needs thousands of examples), "platt" (linear in the log odds; for few
    examples) or "beta" (bends the ends separately; keeps probabilities that are correct). The map is fitted on the
    newest `share` of the examples by time, and the model on the older ones. With `refit`, the model is then fitted
    again on all examples: it knows the newest ones, but the map was fitted for another fit. Several classes are
    calibrated one by one and scaled to sum to 1. Isotonic probabilities stay 1 / (n + 2) away from 0 and 1, where n is
    the effective number of examples of the map.
    """

    kind: ClassVar[str] = "calibrated"
    predicts: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"method": ("isotonic", "platt", "beta")}

    model: TabularModel = Constant()
    method: CalibrationMethod = "isotonic"
    share: float = 0.2
    refit: bool = False

    def __post_init__(self) -> None:
        check_wrapped("calibrated(...)", self.model, self.share)
        if self.method not in ("isotonic", "platt", "beta"):
            raise BadDeclaration("method of calibrated(...)", '"isotonic", "platt" or "beta"', self.method)

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """The arrays of the model, and `knots_0`, `heights_0`, ... ("isotonic") or `coefficients` (outputs, 3)."""
        older, newest = split_newest(table, self.share)
        base = self.model.fit(older, target, seed)
        predictor = self.model.open(base.arrays, base.texts, table.columns, target)
        predicted = predictor.predict(newest.numbers, newest.categories)
        maps = [
            self._fitted(predicted[:, output], happened, newest.weight)
            for output, happened in enumerate(_happened(newest.target, target))
        ]
        arrays: dict[str, NDArray[Any]] = {"seen": np.array([float(newest.weight.sum() / newest.weight.mean())])}
        coefficients = []
        for output, fitted in enumerate(maps):
            if isinstance(fitted, IsotonicMap):
                arrays |= {f"knots_{output}": fitted.knots, f"heights_{output}": fitted.heights}
            else:
                coefficients.append(fitted.coefficients)
        if coefficients:
            arrays["coefficients"] = np.array(coefficients)
        if self.refit:
            base = self.model.fit(table, target, seed)
        return with_base(arrays, {}, base, f"calibrated on the newest {len(newest)} of {len(table)} examples")

    def _fitted(self, predicted: Doubles, happened: Doubles, weight: Doubles) -> CalibrationMap:
        if self.method == "platt":
            return fit_platt(log_odds_of(predicted), happened, weight)
        return (
            fit_isotonic(predicted, happened, weight)
            if self.method == "isotonic"
            else fit_beta(predicted, happened, weight)
        )

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "CalibratedPredictor":
        """The calibrated predictor. Raises what `open` of the model raises."""
        maps: list[CalibrationMap] = []
        for output in range(len(target.outputs)):
            if self.method == "isotonic":
                maps.append(IsotonicMap(arrays[f"knots_{output}"], arrays[f"heights_{output}"]))
            else:
                a, b, c = arrays["coefficients"][output].tolist()
                maps.append(PlattMap(a, c) if self.method == "platt" else BetaMap(a, b, c))
        edge = 1 / (float(arrays["seen"][0]) + 2) if self.method == "isotonic" else 0.0
        base = open_base(self.model, arrays, texts, columns, target)
        return CalibratedPredictor(base, maps, edge, target)


class CalibratedPredictor:
    """Predicts calibrated probabilities. `edge`: their smallest distance from 0 and 1."""

    def __init__(self, base: TabularPredictor, maps: list[CalibrationMap], edge: float, target: TargetKind) -> None:
        self._base, self._maps, self._edge, self._target = base, maps, edge, target

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        predicted = self._base.predict(numbers, categories)
        calibrated = np.empty_like(predicted)
        for output, calibration in enumerate(self._maps):
            column = np.ascontiguousarray(predicted[:, output])
            scores = log_odds_of(column) if isinstance(calibration, PlattMap) else column
            calibrated[:, output] = np.clip(calibration.apply(scores), self._edge, 1 - self._edge)
        if self._target.kind != "multiclass":
            return calibrated
        total = calibrated[:, 0].copy()
        for output in range(1, calibrated.shape[1]):  # added in the same order for every batch
            total += calibrated[:, output]
        return np.where(total[:, None] > 0, calibrated / np.where(total > 0, total, 1.0)[:, None], predicted)

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """The contributions of the model; the change by calibration is added to the base."""
        added = self._base.contributions(numbers, categories).copy()
        calibrated = self.predict(numbers, categories)
        for output in range(added.shape[1]):
            column = np.ascontiguousarray(calibrated[:, output])
            if self._target.kind == "multiclass":
                linked = np.log(np.maximum(column, 1e-15))
            else:
                linked = log_odds_of(column)
            added[:, output, -1] += linked - added[:, output].sum(axis=1)
        return added


def calibrated(
    model: TabularModel, method: CalibrationMethod = "isotonic", share: float = 0.2, refit: bool = False
) -> Calibrated:
    """`model` with calibrated probabilities, see `Calibrated`. Raises `BadDeclaration`.

    >>> calibrated(Constant(), "platt").method
    'platt'
    """
    return Calibrated(model, method, share, refit)


def _happened(actual: Doubles, target: TargetKind) -> list[Doubles]:
    """Whether each output happened, float64 (rows,) for each."""
    if target.kind == "multiclass":
        return [(actual == number).astype(np.float64) for number in range(len(target.classes))]
    return [actual]
