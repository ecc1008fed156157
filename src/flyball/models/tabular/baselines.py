"""Baselines: the mean or median of all examples, or of a group. Every other model should be better."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, Doubles
from flyball.models.parameters import CheckedParameters
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TargetKind,
    TrainingTable,
    log_odds,
    summary_of,
    weighted_quantiles,
)


class Constant(TabularModel, frozen=True):
    """The same prediction for every row: the mean, the quantiles, the share of positives or the share of each class."""

    kind: ClassVar[str] = "constant"

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        return TabularFit({"constant": summary_of(table, target)})

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "ConstantPredictor":
        return ConstantPredictor(arrays["constant"], len(columns), target)


class ConstantPredictor:
    def __init__(self, values: Doubles, columns: int, target: TargetKind) -> None:
        self._values, self._columns, self._target = values, columns, target

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        return np.tile(self._values, (len(numbers), 1))

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        added = np.zeros((len(numbers), len(self._values), self._columns + 1))
        added[:, :, -1] = linked(self._values, self._target)
        return added


class _ByNames(CheckedParameters):
    """Takes the names of columns one by one: `GroupMedian("shop", "hour")`."""

    def __call__(cls, *by: str, **named: Any) -> Any:
        return super().__call__(**({"by": by} if by else {}), **named)


class GroupMedian(TabularModel, metaclass=_ByNames, frozen=True):
    """The median of the training rows with the same values in some columns.

    `GroupMedian("shop", "hour")` uses the rows of the same shop and hour; if these are fewer than `least`, the rows of
    the same shop; if those are too few, all rows. Numbers must be exactly equal. Other targets: each quantile, the
    share of positives of a binary target, the share of each class.
    """

    kind: ClassVar[str] = "group_median"
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"least": (5, 10, 20, 50, 100)}

    by: tuple[str, ...] = ()
    least: int = 20

    def __post_init__(self) -> None:
        if not self.by or not all(isinstance(name, str) for name in self.by) or len(set(self.by)) < len(self.by):
            raise BadDeclaration("GroupMedian's columns", 'different names, such as GroupMedian("shop")', self.by)
        if self.least < 1:
            raise BadDeclaration("GroupMedian's least", "1 or more", self.least)

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        missing = [name for name in self.by if name not in [column.name for column in table.columns]]
        if missing:
            raise BadDeclaration("GroupMedian's columns", "columns of the table", missing)
        arrays: dict[str, NDArray[Any]] = {"all": _usual(table, np.arange(len(table)), target)}
        for index, name in enumerate(self.by):
            if name in table.number_names:
                seen = table.numbers[:, table.number_names.index(name)]
                arrays[f"values_{index}"] = np.unique(seen[~np.isnan(seen)])
        codes, sizes = _codes(self.by, arrays, table.columns, table.vocabularies, table.numbers, table.categories)
        for depth in range(1, len(self.by) + 1):
            keys, place_of, counts = np.unique(_keys(codes[:, :depth], sizes), return_inverse=True, return_counts=True)
            order = np.argsort(place_of, kind="stable")
            parts = np.split(order, np.cumsum(counts)[:-1])
            kept = np.flatnonzero(counts >= self.least)
            arrays[f"keys_{depth}"] = keys[kept]
            usual = [_usual(table, parts[group], target) for group in kept.tolist()]
            arrays[f"usual_{depth}"] = np.array(usual).reshape(len(kept), len(target.outputs))
        return TabularFit(arrays, {"group_sizes": [str(size) for size in sizes]})

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> "GroupPredictor":
        return GroupPredictor(self.by, arrays, [int(size) for size in texts["group_sizes"]], columns, target)


class GroupPredictor:
    """Looks up a row's group, with all columns first and then with fewer."""

    def __init__(
        self,
        by: tuple[str, ...],
        arrays: Arrays,
        sizes: Sequence[int],
        columns: tuple[TableColumn, ...],
        target: TargetKind,
    ) -> None:
        self._by, self._arrays, self._sizes, self._columns, self._target = by, arrays, sizes, columns, target
        names = [column.name for column in columns]
        self._by_columns = [names.index(name) for name in by]

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        return self._levels(numbers, categories)[-1]

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        levels = [linked(level, self._target) for level in self._levels(numbers, categories)]
        added = np.zeros((len(numbers), len(self._target.outputs), len(self._columns) + 1))
        added[:, :, -1] = levels[0]
        for index, column in enumerate(self._by_columns):
            added[:, :, column] = levels[index + 1] - levels[index]
        return added

    def _levels(self, numbers: Doubles, categories: NDArray[np.int32]) -> list[Doubles]:
        """Predictions by no column, by the first column, by the first two, and so on.

        Where a group has too few rows, its prediction is the one by a column less.
        """
        codes, _ = _codes(self._by, self._arrays, self._columns, None, numbers, categories)
        levels = [np.tile(self._arrays["all"], (len(numbers), 1))]
        for depth in range(1, len(self._by) + 1):
            known, usual = self._arrays[f"keys_{depth}"], self._arrays[f"usual_{depth}"]
            level = levels[-1].copy()
            if len(known):
                keys = _keys(codes[:, :depth], self._sizes)
                key_index = np.minimum(np.searchsorted(known, keys), len(known) - 1)
                hit = known[key_index] == keys
                level[hit] = usual[key_index[hit]]
            levels.append(level)
        return levels


def linked(values: Doubles, target: TargetKind) -> Doubles:
    """Predictions on the scale on which contributions add up: log odds of probabilities; other values unchanged."""
    return log_odds(values) if target.kind in ("binary", "multiclass") else values


def _usual(table: TrainingTable, rows: NDArray[np.int64], target: TargetKind) -> Doubles:
    values, weight = table.target[rows], table.weight[rows]
    if target.kind == "number":
        return weighted_quantiles(values, weight, [0.5])
    if target.kind == "quantiles":
        return weighted_quantiles(values, weight, target.quantiles)
    if target.kind == "multiclass":
        counts = np.bincount(values.astype(np.int64), weight, len(target.classes))
        shares: Doubles = counts / counts.sum()
        return shares
    return np.atleast_1d(np.average(values, axis=0, weights=weight))


def _codes(
    by: Sequence[str],
    arrays: Mapping[str, NDArray[Any]],
    columns: Sequence[TableColumn],
    vocabularies: Mapping[str, list[str]] | None,
    numbers: Doubles,
    categories: NDArray[np.int32],
) -> tuple[NDArray[np.int64], list[int]]:
    """(codes, int64 (rows, by), 0 for missing or unknown values; the number of codes of each column).

    The numbers of codes are filled in only if `vocabularies` is given.
    """
    number_names = [column.name for column in columns if column.kind == "number"]
    category_names = [column.name for column in columns if column.kind == "category"]
    codes, sizes = np.zeros((len(numbers), len(by)), np.int64), []
    for index, name in enumerate(by):
        if name in number_names:
            seen, values = arrays[f"values_{index}"], numbers[:, number_names.index(name)]
            sizes.append(len(seen) + 1)
            if len(seen):
                at = np.minimum(np.searchsorted(seen, values), len(seen) - 1)
                codes[:, index] = np.where(seen[at] == values, at + 1, 0)
        else:
            codes[:, index] = categories[:, category_names.index(name)] + 1
            sizes.append(1 if vocabularies is None else len(vocabularies[name]) + 1)
    return codes, sizes


def _keys(codes: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.int64]:
    """One integer for each combination of codes, int64 (rows,)."""
    keys = np.zeros(len(codes), np.int64)
    for index in range(codes.shape[1]):
        keys = keys * sizes[index] + codes[:, index]
    return keys
