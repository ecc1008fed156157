"""A model that is trained on a share of the negatives, with probabilities corrected for the omitted ones."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, Doubles
from flyball.models.tabular.baselines import Constant
from flyball.models.tabular.calibration.calibrated import Calibrated
from flyball.models.tabular.calibration.prior import corrected_prior
from flyball.models.tabular.calibration.window import check_wrapped, open_base, rows_of, with_base
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
)


class Downsampled(TabularModel, frozen=True):
    """`model` trained on all positives and the share `rate` of the negatives, drawn by the seed of the fit.

    Its probabilities are corrected for the changed prior (Dal Pozzolo et al. 2015), so that they refer to all examples.
    Negatives are omitted only in the fit of `model`: an enclosing calibration, thresholds and evaluation use all.
    """

    kind: ClassVar[str] = "downsampled"
    predicts: ClassVar[tuple[str, ...]] = ("binary",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"rate": (0.05, 0.1, 0.2, 0.5)}

    model: TabularModel = Constant()
    rate: float = 0.1

    def __post_init__(self) -> None:
        check_wrapped("downsampled(...)", self.model)
        if not 0 < self.rate <= 1:
            must = "the share of the negatives to keep, above 0, at most 1"
            raise BadDeclaration("rate of downsampled(...)", must, self.rate)
        if isinstance(self.model, Calibrated):
            raise BadDeclaration(
                "model of downsampled(...)",
                "one that is not calibrated: fb.calibrated(fb.downsampled(model)) calibrates on all examples",
                type(self.model).__name__,
            )

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """The arrays of the model."""
        draws = np.random.default_rng(seed).random(len(table))
        rows = np.flatnonzero((table.target > 0) | (draws < self.rate))
        base = self.model.fit(rows_of(table, rows) if len(rows) else table, target, seed)
        return with_base({}, {}, base, f"trained on {len(rows)} of {len(table)} examples")

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "DownsampledPredictor":
        """The corrected predictor. Raises what `open` of the model raises."""
        return DownsampledPredictor(open_base(self.model, arrays, texts, columns, target), self.rate)


class DownsampledPredictor:
    def __init__(self, base: TabularPredictor, rate: float) -> None:
        self._base, self._rate = base, rate

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        return corrected_prior(self._base.predict(numbers, categories), self._rate)

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """The contributions of the model; the correction, the same for every row, is added to the base."""
        added = self._base.contributions(numbers, categories).copy()
        added[:, :, -1] += np.log(self._rate)
        return added


def downsampled(model: TabularModel, rate: float) -> Downsampled:
    """`model` trained on the share `rate` of the negatives, see `Downsampled`. Raises `BadDeclaration`.

    >>> downsampled(Constant(), rate=0.1).rate
    0.1
    """
    return Downsampled(model, rate)
