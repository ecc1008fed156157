"""Tables whose truth is known, and models that are wrong about them in a known way."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.models.tabular.table import TableColumn, TabularFit, TabularModel, TargetKind, TrainingTable

COLUMNS = (TableColumn("x", "number"), TableColumn("shop", "category"))
BINARY = TargetKind("binary")
QUANTILES = TargetKind("quantiles", quantiles=(0.1, 0.5, 0.9))


class Distorted(TabularModel, frozen=True):
    """Log-odds `factor` times column x; remembers how many rows it was fitted on."""

    kind: ClassVar[str] = ""
    factor: float = 2.0

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        return TabularFit({"rows": np.array([len(table)]), "positives": np.array([float((table.target > 0).sum())])})

    def open(self, arrays: Any, texts: Mapping[str, list[str]], columns: Any, target: TargetKind) -> Any:
        return _Line(self.factor, target)


class _Line:
    def __init__(self, factor: float, target: TargetKind) -> None:
        self.factor, self.target = factor, target

    def links(self, numbers: NDArray[Any]) -> NDArray[Any]:
        signs = np.linspace(1, -1, len(self.target.outputs)) if len(self.target.outputs) > 1 else np.ones(1)
        return self.factor * numbers[:, :1] * signs

    def predict(self, numbers: NDArray[Any], categories: NDArray[np.int32]) -> NDArray[Any]:
        links = self.links(numbers)
        if self.target.kind == "multiclass":
            odds = np.exp(links)
            return odds / odds.sum(axis=1, keepdims=True)
        return 1 / (1 + np.exp(-links))

    def contributions(self, numbers: NDArray[Any], categories: NDArray[np.int32]) -> NDArray[Any]:
        links = self.links(numbers)
        return np.stack([links, np.zeros_like(links), np.zeros_like(links)], axis=2)


class Narrow(TabularModel, frozen=True):
    """Quantiles 10 x - width, 10 x, 10 x + width, whatever was seen; `crossed` turns the outer two around."""

    kind: ClassVar[str] = ""
    width: float = 0.1

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        return TabularFit({"rows": np.array([len(table)])})

    def open(self, arrays: Any, texts: Mapping[str, list[str]], columns: Any, target: TargetKind) -> Any:
        return _Band(self.width, target)


class _Band:
    def __init__(self, width: float, target: TargetKind) -> None:
        self.offsets = np.linspace(-width, width, len(target.quantiles))

    def predict(self, numbers: NDArray[Any], categories: NDArray[np.int32]) -> NDArray[Any]:
        return 10 * numbers[:, :1] + self.offsets

    def contributions(self, numbers: NDArray[Any], categories: NDArray[np.int32]) -> NDArray[Any]:
        values = self.predict(numbers, categories)
        return np.stack([values - self.offsets, np.zeros_like(values), np.zeros_like(values) + self.offsets], axis=2)


def table_of(x: NDArray[Any], target: NDArray[Any], shop: NDArray[Any] | None = None) -> TrainingTable:
    """Rows in order of time, each of weight 1."""
    codes = np.zeros(len(x), np.int32) if shop is None else shop.astype(np.int32)
    return TrainingTable(
        columns=COLUMNS,
        numbers=np.ascontiguousarray(x, np.float64)[:, None],
        categories=codes[:, None],
        vocabularies={"shop": ["a", "b", "c"]},
        target=np.asarray(target, np.float64),
        weight=np.ones(len(x)),
        at_us=np.arange(len(x), dtype=np.int64),
    )


def clicks(rows: int, seed: int) -> tuple[TrainingTable, NDArray[Any]]:
    """x whose log-odds are the true ones: (table, true probabilities)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-1.0, 1.5, rows)
    true = 1 / (1 + np.exp(-x))
    return table_of(x, rng.random(rows) < true), true
