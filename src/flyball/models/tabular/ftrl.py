"""Logistic regression over hashed features, learned row by row.

Source: McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, algorithm 1.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, Doubles
from flyball.models.tabular.table import TableColumn, TabularFit, TabularModel, TargetKind, TrainingTable, logistic

WIDEST = 10.0
"""The largest distance of a number from the mean, in standard deviations."""


class FTRL(TabularModel, frozen=True):
    """Follow the regularized leader (FTRL-Proximal): one pass over the rows in order of time.

    The text of a category is hashed to one of 2 ** `bits` coefficients. So memory does not depend on the number of
    texts, and texts with the same hash share a coefficient. Numbers are standardized by the mean and deviation of the
    rows so far and limited to 10 deviations; a missing number has its own coefficient. `alpha`, `beta`: the learning
    rate of each coefficient, which falls with the squared gradients so far. `l1` keeps rare coefficients at 0, `l2`
    keeps all of them small. `update` continues with new rows and gives the same bits as one pass over all rows. With
    several classes, one model for each against the others, and probabilities divided by their sum.
    """

    kind: ClassVar[str] = "ftrl"
    predicts: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "alpha": (0.01, 0.03, 0.1, 0.3, 1.0),
        "l1": (0.0, 0.1, 1.0, 3.0),
        "l2": (0.0, 0.1, 1.0, 10.0),
    }

    alpha: float = 0.1
    beta: float = 1.0
    l1: float = 0.1
    l2: float = 1.0
    bits: int = 18

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise BadDeclaration("FTRL's alpha", "above 0", self.alpha)
        for name in ("beta", "l1", "l2"):
            if not getattr(self, name) >= 0:
                raise BadDeclaration(f"FTRL's {name}", "at least 0", getattr(self, name))
        if self.beta + self.l2 <= 0:
            raise BadDeclaration("FTRL's beta and l2", "not both 0", (self.beta, self.l2))
        if not 1 <= self.bits <= 28:
            raise BadDeclaration("FTRL's bits", "from 1 to 28", self.bits)

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        outputs, numbers = len(target.outputs), table.numbers.shape[1]
        start = {
            "z": np.zeros((outputs, 2**self.bits + 1)),
            "n": np.zeros((outputs, 2**self.bits + 1)),
            "seen": np.zeros((numbers, 3)),
        }
        return self.update(TabularFit(start), table, target, seed)

    def update(self, learned: TabularFit, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """What was `learned`, updated with the rows of `table`, which must all be newer; vocabularies may differ."""
        from flyball.models.kernels.ftrl import follow_leader, standardize_running

        arrays = {name: np.array(learned.arrays[name]) for name in ("z", "n", "seen")}
        hashed = self._hashed(table)
        standard = np.empty_like(table.numbers)
        standardize_running(np.ascontiguousarray(table.numbers), arrays["seen"], WIDEST, standard)
        slots, values = _features(table.columns, standard, table.categories, hashed, 2**self.bits)
        for output in range(len(target.outputs)):
            positive = output if target.kind == "multiclass" else 1
            happened = (table.target == positive).astype(np.float64)
            weight = np.ascontiguousarray(table.weight, np.float64)
            sums = (arrays["z"][output], arrays["n"][output])
            follow_leader(slots, values, happened, weight, *sums, self.alpha, self.beta, self.l1, self.l2)
        return TabularFit({**arrays, **hashed})

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "FTRLPredictor":
        return FTRLPredictor(self.coefficients(arrays), arrays, columns, target)

    def coefficients(self, arrays: Arrays) -> Doubles:
        """The coefficients, float64 (outputs, slots + 1); the last one is the base."""
        z, n = arrays["z"], arrays["n"]
        bound = np.append(np.full(z.shape[1] - 1, self.l1), 0.0)
        pulled = np.where(np.abs(z) <= bound, 0.0, -(z - np.sign(z) * bound))
        coefficients: Doubles = pulled / ((self.beta + np.sqrt(n)) / self.alpha + self.l2)
        return coefficients

    def _hashed(self, table: TrainingTable) -> dict[str, NDArray[np.int64]]:
        """{"slots_" and the position of a column: the slot of each text, or the slots of the number and of missing}."""
        hashed = {}
        for index, column in enumerate(table.columns):
            if column.kind == "number":
                texts = ["number", "missing"]
            else:
                texts = [f"text\0{text}" for text in table.vocabularies[column.name]]
            keys = [hashlib.blake2b(f"{column.name}\0{text}".encode(), digest_size=8).digest() for text in texts]
            slots = [int.from_bytes(key, "little") % 2**self.bits for key in keys]
            hashed[f"slots_{index}"] = np.array(slots, np.int64)
        return hashed


class FTRLPredictor:
    """Adds up contributions column by column, so that a row gets the same bits in any batch."""

    def __init__(
        self, coefficients: Doubles, arrays: Arrays, columns: tuple[TableColumn, ...], target: TargetKind
    ) -> None:
        self._coefficients, self._arrays, self._columns, self._target = coefficients, arrays, columns, target

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        added = self.contributions(numbers, categories)
        margin = added[:, :, -1].copy()
        for index in range(len(self._columns)):
            margin += added[:, :, index]
        chances = logistic(margin)
        if self._target.kind == "binary":
            return chances
        total = chances[:, :1].copy()
        for output in range(1, chances.shape[1]):
            total += chances[:, output : output + 1]
        return chances / np.maximum(total, 1e-300)

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        mean, scale = mean_and_scale(self._arrays)
        standard = np.clip((numbers - mean) / scale, -WIDEST, WIDEST)
        width = self._coefficients.shape[1] - 1
        slots, values = _features(self._columns, standard, categories, self._arrays, width)
        own = self._coefficients[:, np.maximum(slots, 0)] * np.where(slots >= 0, values, 0.0)
        return np.ascontiguousarray(own.transpose(1, 0, 2))


def mean_and_scale(arrays: Mapping[str, NDArray[Any]]) -> tuple[Doubles, Doubles]:
    """(mean, scale) by which each number is standardized; the scale of a constant number is infinite."""
    count, mean, squares = arrays["seen"].T
    deviation = np.sqrt(squares / np.maximum(count, 1.0))
    return mean, np.where(deviation > 0, deviation, np.inf)


def _features(
    columns: tuple[TableColumn, ...],
    standard: Doubles,
    categories: NDArray[np.int32],
    hashed: Mapping[str, NDArray[Any]],
    base: int,
) -> tuple[NDArray[np.int64], Doubles]:
    """(slots, int64; values, float64), both (rows, columns + 1); the last column is the base.

    The slot of an unknown text is -1; the value of a text is 1, that of a number its standardized value.
    """
    rows = len(standard)
    slots, values = np.full((rows, len(columns) + 1), base, np.int64), np.ones((rows, len(columns) + 1))
    number, category = 0, 0
    for index, column in enumerate(columns):
        own = hashed[f"slots_{index}"]
        if column.kind == "number":
            missing = np.isnan(standard[:, number])
            slots[:, index] = np.where(missing, own[1], own[0])
            values[:, index] = np.where(missing, 1.0, standard[:, number])
            number += 1
            continue
        codes = categories[:, category]
        known = own[np.maximum(codes, 0)] if len(own) else np.full(rows, -1, np.int64)
        slots[:, index] = np.where(codes >= 0, known, -1)
        category += 1
    return slots, values
