"""Rows of numbers and categories, and the contract of a model of them.

Parameters of a model are a value; what it learned is arrays and texts; a row gets the same bits in any batch.
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
    """What is predicted. `quantiles`: of "quantiles", ascending, between 0 and 1. `classes`: of "multiclass" in
    the order of their numbers, of "multilabel" the labels in the order of their columns."""

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
    """`numbers`: float64 (rows, number columns), NaN for missing. `categories`: int32 (rows, category columns), indexes
    into `vocabularies` {column: its texts}, -1 for missing or unknown. `columns`: of both kinds, each array's in this
    order."""

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
    """With `target`: float64 (rows,), of classes their numbers; `weight`: float64 (rows,), above 0; `at_us`: int64
    (rows,), ascending.

    `final_weight`: None where every label is final; else float64 as `weight`, what a row counts among those whose label
    is final, 0 where it is not: a row that has its label early stands for others of its age that do not, which only the
    `weight` of all rows together makes good. `label_delays_us`: how long after its row a label is final, one for each
    label.

    Of "multilabel" `target` and the weights are (rows, labels): `target` 0 or 1, NaN where the label is not known, and
    `weight` 0 there. Only models that name "multilabel" in `predicts` see such a table."""

    target: Doubles
    weight: Doubles
    at_us: NDArray[np.int64]
    final_weight: Doubles | None = None
    label_delays_us: tuple[int, ...] = (0,)


class TabularFit(msgspec.Struct, frozen=True):
    """A fitted model's arrays. `note`: what the fit left out or did differently, "" for nothing."""

    arrays: Arrays
    texts: Mapping[str, list[str]] = {}
    note: str = ""


class TabularPredictor(Protocol):
    """A fitted model, ready to predict. Pure; a row gets the same bits in any batch."""

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """float64 (rows, outputs) of the target."""
        ...

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """float64 (rows, outputs, columns + 1), in order of the table's columns, the base last; they sum to the
        prediction before the model's link."""
        ...


class TabularModel(msgspec.Struct, metaclass=CheckedParameters, frozen=True):
    """A model's parameters. Subclass with `frozen=True`, give the fields defaults, write `fit` and `open`.

    `kind`: the name of one of Flyball's own models in artifacts, tables and on the command line. `predicts`: the kinds
    of targets it can have. `search_space`: parameters that a search varies, each with the values to try.
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
        """Learn. Same table and seed: same bits."""
        raise NotImplementedError(f"{type(self).__name__} must define fit(table, target, seed)")

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> TabularPredictor:
        """The predictor for what `fit` learned from a table of these columns."""
        raise NotImplementedError(f"{type(self).__name__} must define open(arrays, texts, columns, target)")


def logistic(margin: Doubles) -> Doubles:
    """The probability of a log odds.

    >>> logistic(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    small = np.exp(-np.abs(margin))
    return np.where(margin >= 0, 1.0, small) / (1.0 + small)


def log_odds(probability: Doubles) -> Doubles:
    """The log odds of a probability, kept finite."""
    inside = np.clip(probability, 1e-12, 1.0 - 1e-12)
    return np.log(inside) - np.log1p(-inside)


def weighted_quantiles(values: Doubles, weight: Doubles, quantiles: Sequence[float]) -> Doubles:
    """The smallest values up to which so large a share of the weight lies.

    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.ones(3), [0.5, 0.9])
    array([2., 3.])
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    indexes = np.minimum(np.searchsorted(reached, np.asarray(quantiles) - 1e-12), len(order) - 1)
    result: Doubles = values[order][indexes]
    return result


def summary_of(table: TrainingTable, target: TargetKind) -> Doubles:
    """The target without regard to any column, float64 (outputs,): mean, weighted quantiles, share of positives, of
    each class or of each label where it is known."""
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
