"""An estimator of another library, such as scikit-learn, XGBoost or PyTorch, as a model of a table.

Contributions are the changes of the prediction as columns are filled in one after another, averaged over an order of
the columns and its reverse: Strumbelj and Kononenko, "Explaining prediction models and individual predictions with
feature contributions", Knowledge and Information Systems 2014, with one pair of permutations.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import signature
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadDeclaration, BadInput, Doubles
from flyball.models.tabular.baselines import ConstantPredictor, linked
from flyball.models.tabular.estimator_files import (
    ONNX,
    SKOPS,
    XGBOOST,
    OnnxReader,
    SklearnReader,
    XGBoostReader,
    check_trusted,
    format_of,
    need,
    to_bytes,
)
from flyball.models.tabular.table import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
    summary_of,
)

_BLOCK = 32
"""Rows in each call of an estimator. Always the same number, because other libraries give a row different bits in
batches of different sizes."""


class Estimator(TabularModel, frozen=True):
    """An estimator by the path of its class, such as `Estimator("sklearn.ensemble:RandomForestClassifier", {...})`.

    `params`: arguments of its constructor, plain values. If it has the parameters, `random_state` is set to the seed
    and `n_jobs` to 1. For other arguments, subclass and define `build`. The estimator must have `fit(matrix, labels)`;
    `sample_weight` is passed if it accepts it, otherwise the note of the version says so. If it has `to_onnx()`, which
    returns the bytes of an ONNX file (one input; the last output holds the numbers or probabilities), that file is
    stored and makes the predictions. `trusted`: types that the stored file may contain besides those that skops trusts;
    a file with other types is neither written nor read. `categories`: "one_hot", a column for each of the `most`
    frequent texts, or "codes", one column with the numbers of the texts, NaN for missing. `missing`: missing numbers
    become the mean ("mean") or stay NaN ("keep").
    """

    kind: ClassVar[str] = "estimator"
    predicts: ClassVar[tuple[str, ...]] = ("number", "binary", "multiclass")

    make: str = "sklearn.ensemble:HistGradientBoostingRegressor"
    params: dict[str, Any] = {}
    trusted: tuple[str, ...] = ()
    categories: Literal["one_hot", "codes"] = "one_hot"
    missing: Literal["mean", "keep"] = "mean"
    most: int = 100

    def __post_init__(self) -> None:
        if self.make.count(":") != 1 or not all(self.make.split(":")):
            raise BadDeclaration("make of Estimator", "module:Class, such as sklearn.svm:SVC", self.make)
        if isinstance(self.trusted, str) or not all(isinstance(name, str) for name in self.trusted):
            raise BadDeclaration("trusted of Estimator", "a tuple of names of types", self.trusted)
        if self.categories not in ("one_hot", "codes"):
            raise BadDeclaration("categories of Estimator", '"one_hot" or "codes"', self.categories)
        if self.missing not in ("mean", "keep"):
            raise BadDeclaration("missing of Estimator", '"mean" or "keep"', self.missing)
        if self.most < 0:
            raise BadDeclaration("most of Estimator", "0 or more", self.most)
        strange = sorted(name for name, value in self.params.items() if not isinstance(value, _PLAIN))
        if strange:
            must = "numbers, texts, truths or None; for others subclass fb.Estimator and write build"
            raise BadDeclaration("params of Estimator", must, strange)

    def build(self, target: TargetKind, seed: int) -> Any:
        """The estimator, not fitted yet. Raises `BadDeclaration` if it cannot be imported or constructed."""
        module, _, name = self.make.partition(":")
        package = module.partition(".")[0]
        if package in _EXTRAS:
            need(package, _EXTRAS[package])
        try:
            estimator = getattr(import_module(module), name)(**self.params)
        except (ImportError, AttributeError, TypeError) as error:
            raise BadDeclaration(f"estimator {self.make}", "a class that takes these params", str(error)) from None
        return _seeded(estimator, self.params, seed)

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        """As `TabularModel.fit`. Raises `Refused` if the file would contain types that are not trusted."""
        arrays = self._encoding(table)
        labels: NDArray[Any] = table.target
        if target.kind != "number":
            classes, codes = np.unique(table.target, return_inverse=True)
            arrays["classes"] = classes.astype(np.int64)
            labels = codes
            if len(classes) == 1:
                arrays["constant"] = summary_of(table, target)
                return TabularFit(arrays, note="all examples are of one class: its share is predicted")
        estimator = self.build(target, seed)
        makes = format_of(estimator)
        if target.kind != "number" and makes != ONNX and not hasattr(estimator, "predict_proba"):
            raise BadDeclaration(f"estimator {type(estimator).__name__}", "one with predict_proba", target.kind)
        matrix = encoded(arrays, table.numbers, table.categories)
        weights, note = _weights(estimator, table.weight)
        try:
            with need("threadpoolctl", "onnx" if makes == ONNX else "sklearn").threadpool_limits(limits=1):
                estimator.fit(matrix, labels, **weights)
        except ValueError as error:
            raise BadInput(
                f"examples for {type(estimator).__name__}", "examples that it can be fitted on", str(error)
            ) from None
        arrays[makes] = to_bytes(estimator)
        if makes == SKOPS:
            check_trusted(arrays[SKOPS], self.trusted)
        if makes == ONNX:
            OnnxReader(arrays[ONNX], matrix.shape[1], len(arrays.get("classes", ()))).predict(matrix[:1])
        return TabularFit(arrays, note=note)

    def open(
        self, arrays: Arrays, texts: Mapping[str, list[str]], columns: tuple[TableColumn, ...], target: TargetKind
    ) -> TabularPredictor:
        """As `TabularModel.open`. Raises `Refused` for a file with types that are not trusted, `MissingExtra` if the
        library is not installed."""
        if "constant" in arrays:
            return ConstantPredictor(arrays["constant"], len(columns), target)
        classes, kinds = target.kind != "number", [column.kind for column in columns]
        if XGBOOST in arrays:
            return EstimatorPredictor(XGBoostReader(arrays[XGBOOST], classes).predict, arrays, columns, target)
        if ONNX in arrays:
            width = encoded(
                arrays, np.empty((0, kinds.count("number"))), np.empty((0, kinds.count("category")), np.int32)
            )
            onnx = OnnxReader(arrays[ONNX], width.shape[1], len(arrays.get("classes", ())))
            return EstimatorPredictor(onnx.predict, arrays, columns, target)
        reader = SklearnReader(arrays[SKOPS], self.trusted, classes)
        return EstimatorPredictor(reader.predict, arrays, columns, target)

    def _encoding(self, table: TrainingTable) -> dict[str, NDArray[Any]]:
        """`fill`, `code_fill`: what replaces missing numbers and codes. NaN keeps them missing; a column without any
        value is filled with 0, because some estimators cannot be fitted on it. `slot_0`...: the column of each text."""
        known = np.isfinite(table.numbers)
        fill = np.where(known.any(axis=0), np.nan, 0.0)
        if self.missing == "mean":
            weights = known * table.weight[:, None]
            sums = (np.where(known, table.numbers, 0.0) * weights).sum(axis=0)
            fill = sums / np.maximum(weights.sum(axis=0), 1e-300)
        code_fill = np.where((table.categories >= 0).any(axis=0), np.nan, 0.0)
        arrays: dict[str, NDArray[Any]] = {"fill": fill, "code_fill": code_fill}
        if self.categories == "one_hot":
            for index, name in enumerate(table.category_names):
                codes, count = table.categories[:, index], len(table.vocabularies[name])
                sums = np.bincount(codes[codes >= 0], table.weight[codes >= 0], count)
                kept = np.argsort(-sums, kind="stable")[: self.most]
                slots = np.full(count, -1, np.int32)
                slots[kept] = np.arange(len(kept), dtype=np.int32)
                arrays[f"slot_{index}"] = slots
        return arrays


class EstimatorPredictor:
    """Calls the estimator with blocks of a fixed number of rows, so that a row gets the same bits in any batch."""

    def __init__(
        self,
        predict: Callable[[Doubles], Doubles],
        arrays: Arrays,
        columns: tuple[TableColumn, ...],
        target: TargetKind,
    ) -> None:
        self._predict, self._arrays, self._columns, self._target = predict, arrays, columns, target

    def predict(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        matrix = encoded(self._arrays, numbers, categories)
        values = np.empty((len(matrix), len(self._target.outputs)))
        for first in range(0, len(matrix), _BLOCK):
            rows = matrix[first : first + _BLOCK]
            block = np.zeros((_BLOCK, matrix.shape[1]))
            block[: len(rows)] = rows
            values[first : first + len(rows)] = self._outputs(self._predict(block))[: len(rows)]
        return values

    def contributions(self, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
        """How the prediction changes as the columns of an unknown row are filled in, averaged over both orders."""
        width = len(self._columns)
        unknown = np.full_like(numbers, np.nan), np.full_like(categories, -1)
        base = linked(self.predict(*unknown), self._target)
        added = np.zeros((len(numbers), base.shape[1], width + 1))
        added[:, :, -1] = base
        kinds = [column.kind for column in self._columns]
        index_of = [kinds[:index].count(kind) for index, kind in enumerate(kinds)]
        for order in (range(width), range(width - 1, -1, -1)):
            row_numbers, row_categories, before = unknown[0].copy(), unknown[1].copy(), base
            for index in order:
                known, rows = (numbers, row_numbers) if kinds[index] == "number" else (categories, row_categories)
                rows[:, index_of[index]] = known[:, index_of[index]]
                after = linked(self.predict(row_numbers, row_categories), self._target)
                added[:, :, index] += (after - before) / 2
                before = after
        return added

    def _outputs(self, values: Doubles) -> Doubles:
        """Predictions as columns of the target; a class that was not in the training data has probability 0."""
        if self._target.kind == "number":
            return values
        classes = self._arrays["classes"]
        if self._target.kind == "binary":
            return values[:, classes.tolist().index(1)][:, None]
        outputs = np.zeros((len(values), len(self._target.classes)))
        outputs[:, classes] = np.clip(values, 0.0, 1.0)
        shares: Doubles = outputs / np.maximum(outputs.sum(axis=1, keepdims=True), 1e-300)
        return shares


def encoded(arrays: Arrays, numbers: Doubles, categories: NDArray[np.int32]) -> Doubles:
    """float64 (rows, columns of the estimator): numbers, then categories as one-hot columns or as codes."""
    parts = [np.where(~np.isfinite(numbers), arrays["fill"], numbers)]
    for index in range(categories.shape[1]):
        codes = categories[:, index]
        slots = arrays.get(f"slot_{index}")
        if slots is None:
            parts.append(np.where(codes < 0, arrays["code_fill"][index], codes)[:, None])
            continue
        hot = np.zeros((len(codes), int(slots.max(initial=-1)) + 1))
        slot = np.where(codes >= 0, slots[np.maximum(codes, 0)], -1) if len(slots) else np.full(len(codes), -1)
        rows = np.flatnonzero(slot >= 0)
        hot[rows, slot[rows]] = 1.0
        parts.append(hot)
    return np.ascontiguousarray(np.hstack(parts))


_PLAIN = int | float | str | bool | None
_EXTRAS = {"sklearn": "sklearn", "xgboost": "xgboost"}
_FIXED = {"n_jobs": 1}


def _seeded(estimator: Any, params: Mapping[str, Any], seed: int) -> Any:
    """The estimator with the seed and one thread, if it has these parameters and they were not given."""
    have = estimator.get_params() if hasattr(estimator, "get_params") else {}
    fixed = {"random_state": seed, **_FIXED}
    chosen = {name: value for name, value in fixed.items() if name in have and name not in params}
    return estimator.set_params(**chosen) if chosen else estimator


def _weights(estimator: Any, weight: Doubles) -> tuple[dict[str, Doubles], str]:
    """(the argument of `fit` for weights, in a pipeline that of the last step; a note if there is no such argument)."""
    steps = getattr(estimator, "steps", None)
    last, prefix = (steps[-1][1], f"{steps[-1][0]}__") if steps else (estimator, "")
    if "sample_weight" in signature(last.fit).parameters:
        return {f"{prefix}sample_weight": weight}, ""
    if (weight == weight[0]).all():
        return {}, ""
    return {}, f"weights are left out: {type(last).__name__} does not accept any"
