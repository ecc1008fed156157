"""Tables of numbers and categories, and the contract of their models.

A model is a value of its parameters; what it learned is arrays and texts; a row gets the same bits in any batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, Doubles
from flyball.models.parameters import CheckedParameters


class TableColumn(msgspec.Struct, frozen=True):
    """One column of a table."""

    name: str
    kind: Literal["number", "category"]


class TargetKind(msgspec.Struct, frozen=True):
    """What is predicted.

    `quantiles`: for kind "quantiles", ascending, between 0 and 1. `classes`: for "multiclass" the classes in the order
    of their numbers, for "multilabel" the labels in the order of their columns.
    """

    kind: Literal["number", "quantiles", "binary", "multiclass", "multilabel"]
    quantiles: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the predicted values.

        >>> TargetKind("quantiles", quantiles=(0.1, 0.5, 0.975)).outputs
        ('q10', 'q50', 'q97.5')
        """
        if self.kind == "quantiles":
            return tuple(f"q{quantile * 100:.6g}" for quantile in self.quantiles)
        if self.kind == "number":
            return ("value",)
        return ("probability",) if self.kind == "binary" else self.classes


class Table(msgspec.Struct, frozen=True):
    """Rows of a table.

    `numbers`: float64 (rows, number columns), NaN for missing. `categories`: int32 (rows, category columns), indexes
    into `vocabularies` {column: its texts}, -1 for missing or unknown. `columns`: all columns; those of each array are
    in this order.
    """

    columns: tuple[TableColumn, ...]
    numbers: Doubles
    categories: NDArray[np.int32]
    vocabularies: Mapping[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def number_names(self) -> list[str]:
        """The names of the columns of `numbers`."""
        return [column.name for column in self.columns if column.kind == "number"]

    @property
    def category_names(self) -> list[str]:
        """The names of the columns of `categories`."""
        return [column.name for column in self.columns if column.kind == "category"]


class TrainingTable(Table, frozen=True, kw_only=True):
    """A table with labels.

    `target`: float64 (rows,), for classes their numbers. `weight`: float64 (rows,), above 0. `at_us`: int64 (rows,),
    ascending. `label_delays_us`: for each label, how long after its row it is final.

    `final_weight`: None if every label is final. Else float64 with the shape of `weight`: the weight of a row in a
    sample of rows with final labels, 0 for other rows. `weight` itself is correct for all rows together only: a row
    whose label came early also stands for rows of the same age whose label has not come yet.

    For "multilabel", `target` and the weights are (rows, labels): `target` is 0 or 1, or NaN with `weight` 0 where the
    label is not known. Only models that name "multilabel" in `predicts` get such a table.
    """

    target: Doubles
    weight: Doubles
    at_us: NDArray[np.int64]
    final_weight: Doubles | None = None
    label_delays_us: tuple[int, ...] = (0,)


class TabularFit(msgspec.Struct, frozen=True):
    """A fitted model's arrays and texts. `note`: what the fit left out or did differently; "" for nothing."""

    arrays: Arrays
    texts: Mapping[str, list[str]] = {}
    note: str = ""


class TabularPredictor(Protocol):
    """A fitted model. Its methods are pure; a row gets the same bits in any batch."""

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """Predictions, float64 (rows, outputs of the target)."""
        ...

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """What each column contributes, float64 (rows, outputs, columns + 1): the table's columns in order, then the
        base. The sum over the last axis is the prediction before the link function: log odds for a probability."""
        ...


class TabularModel(msgspec.Struct, metaclass=CheckedParameters, frozen=True):
    """A model's parameters. Subclass with `frozen=True`, give the fields defaults, write `fit` and `open`.

    `kind`: the name of one of Flyball's own models in artifacts, tables and on the command line. `predicts`: the kinds
    of targets that it supports. `search_space`: {parameter: the values that a search tries}.
    """

    kind: ClassVar[str] = ""
    predicts: ClassVar[tuple[str, ...]] = ("number", "quantiles", "binary", "multiclass")
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    @property
    def parts(self) -> "tuple[TabularModel, ...]":
        """The models among its parameters."""
        values = [getattr(self, name) for name in self.__struct_fields__]
        members = [member for value in values for member in (value if isinstance(value, tuple) else (value,))]
        return tuple(member for member in members if isinstance(member, TabularModel))

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """What was learned from `table`. The same table and seed give the same bits."""
        raise NotImplementedError(f"{type(self).__name__} must define fit(table, target, seed)")

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> TabularPredictor:
        """The predictor for what `fit` learned from a table of these columns."""
        raise NotImplementedError(f"{type(self).__name__} must define open(arrays, texts, columns, target)")


def logistic(margin: Doubles) -> Doubles:
    """The probabilities that correspond to log odds, float64 of the same shape.

    >>> logistic(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    small = np.exp(-np.abs(margin))
    return np.where(margin >= 0, 1.0, small) / (1.0 + small)


def log_odds(probability: Doubles) -> Doubles:
    """The log odds of probabilities, float64 of the same shape; probabilities of 0 and 1 give finite values."""
    inside = np.clip(probability, 1e-12, 1.0 - 1e-12)
    return np.log(inside) - np.log1p(-inside)


def weighted_quantiles(values: Doubles, weight: Doubles, quantiles: Sequence[float]) -> Doubles:
    """For each quantile, the smallest value such that the values up to it have at least that share of the weight.

    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.ones(3), [0.5, 0.9])
    array([2., 3.])
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    indexes = np.minimum(np.searchsorted(reached, np.asarray(quantiles) - 1e-12), len(order) - 1)
    result: Doubles = values[order][indexes]
    return result


def summary_of(table: TrainingTable, target: TargetKind) -> Doubles:
    """A summary of the target that ignores the columns, float64 (outputs,): the mean, the weighted quantiles, the share
    of positives, of each class, or of each label among the rows where it is known."""
    if target.kind == "quantiles":
        return weighted_quantiles(table.target, table.weight, target.quantiles)
    if target.kind == "multiclass":
        counts = np.bincount(table.target.astype(np.int64), table.weight, len(target.classes))
        shares: Doubles = counts / counts.sum()
        return shares
    if target.kind == "multilabel":
        known = np.where(table.weight > 0, table.target, 0.0)
        means: Doubles = (known * table.weight).sum(axis=0) / np.maximum(table.weight.sum(axis=0), 1e-300)
        return means
    return np.atleast_1d(np.average(table.target, axis=0, weights=table.weight))
