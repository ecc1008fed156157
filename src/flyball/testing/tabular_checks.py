"""Checks that every model of tables must pass. Run them over `TABULAR_MODELS`, and over your own class:

    @pytest.mark.parametrize("check", TABULAR_CHECKS, ids=lambda check: check.__name__)
    @pytest.mark.parametrize("kind", MyModel.predicts)
    def test_my_model(check, kind, tmp_path):
        check(MyModel(), TABULAR_TARGETS[kind], tmp_path)

Each check raises `AssertionError` and says what is wrong. A model must accept a few hundred rows of numbers, some
missing, and of categories, some unknown, and the tables of `degenerate_tables`: one row, one class, a constant or empty
column. The log odds or values that contributions add up to must be finite too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput
from flyball.models import (
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
    kind_of,
    load_artifact,
    model_of,
    params_of,
    save_artifact,
)

TabularCheck = Callable[[TabularModel, TargetKind, Path], None]

TABULAR_TARGETS: dict[str, TargetKind] = {
    "number": TargetKind("number"),
    "quantiles": TargetKind("quantiles", quantiles=(0.1, 0.5, 0.9)),
    "binary": TargetKind("binary"),
    "multiclass": TargetKind("multiclass", classes=("low", "mid", "high")),
    "multilabel": TargetKind("multilabel", classes=("high", "odd")),
}

_COLUMNS = (
    TableColumn("x", "number"),
    TableColumn("shop", "category"),
    TableColumn("flat", "number"),
    TableColumn("person", "category"),
    TableColumn("skewed", "number"),
    TableColumn("nothing", "number"),
    TableColumn("city", "category"),
)
_TEXTS = {"shop": 4, "person": 150, "city": 1}


def sample_table(target: TargetKind, rows: int = 400, seed: int = 3) -> TrainingTable:
    """Rows whose target increases with `x` and is larger in one shop.

    `flat` and `city` are constant, `nothing` is empty, and one value in ten is missing or unknown; weights differ. With
    several labels, one in five is unknown.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    numbers = np.column_stack([x, np.full(rows, 7.0), np.exp(2 * rng.normal(size=rows)), np.full(rows, np.nan)])
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    categories = np.column_stack([rng.integers(0, count, rows) for count in _TEXTS.values()]).astype(np.int32)
    categories[rng.random(categories.shape) < 0.1] = -1
    target_values = 2 * x + 3 * (categories[:, 0] == 1) + rng.normal(size=rows)
    if target.kind == "binary":
        target_values = (target_values > 1).astype(np.float64)
    elif target.kind == "multiclass":
        target_values = np.digitize(target_values, [0.0, 2.0]).astype(np.float64)
    weight = rng.choice([0.5, 1.0, 3.0], rows)
    if target.kind == "multilabel":
        target_values = np.column_stack([target_values > 1, categories[:, 1] % 2 == 1]).astype(np.float64)
        weight = np.where(rng.random(target_values.shape) < 0.2, 0.0, weight[:, None])
        weight[:2] = 1.0
        target_values[weight == 0] = np.nan
    return TrainingTable(
        columns=_COLUMNS,
        numbers=numbers,
        categories=categories,
        vocabularies={name: [f"{name}{n}" for n in range(count)] for name, count in _TEXTS.items()},
        target=target_values,
        weight=weight,
        at_us=np.arange(rows, dtype=np.int64),
    )


def degenerate_tables(target: TargetKind) -> dict[str, TrainingTable]:
    """{name: table}, of extreme cases with the same columns."""
    table = sample_table(target, rows=60)
    highest = 1.0 if target.kind in ("binary", "multilabel") else 2.0
    outweighed = table.weight.copy()
    outweighed[0] = 1e6
    unknown = np.where(table.weight > 0, 0.0, np.nan)
    return {
        "one row": _first(table, 1),
        "two rows": _first(table, 2),
        "all the lowest": msgspec.structs.replace(table, target=unknown),
        "all the highest": msgspec.structs.replace(table, target=unknown + highest),
        "every number missing": msgspec.structs.replace(table, numbers=np.full_like(table.numbers, np.nan)),
        "every category unknown": msgspec.structs.replace(table, categories=np.full_like(table.categories, -1)),
        "all rows alike": msgspec.structs.replace(
            table, numbers=np.zeros_like(table.numbers), categories=np.zeros_like(table.categories)
        ),
        "one row outweighs all": msgspec.structs.replace(table, weight=outweighed),
    }


def check_pure(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """A fit does not change its table, nor a prediction its rows or the arrays; a second one has the same bits."""
    table = sample_table(target)
    before = [table_array.tobytes() for table_array in (table.numbers, table.categories, table.target, table.weight)]
    fitted = model.fit(table, target, 7)
    after = [table_array.tobytes() for table_array in (table.numbers, table.categories, table.target, table.weight)]
    assert before == after, "a fit must leave its table as it was"
    kept = {name: array.copy() for name, array in fitted.arrays.items()}
    predictor = _open(model, fitted, target)
    unseen = sample_table(target, rows=60, seed=4)
    first = predictor.predict(unseen.numbers, unseen.categories)
    parts = predictor.contributions(unseen.numbers, unseen.categories)
    _same(first, predictor.predict(unseen.numbers, unseen.categories), "a second prediction")
    _same(parts, predictor.contributions(unseen.numbers, unseen.categories), "second contributions")
    again = sample_table(target, rows=60, seed=4)
    _same(again.numbers, unseen.numbers, "the rows after a prediction")
    _same(again.categories, unseen.categories, "the rows after a prediction")
    for name, array in kept.items():
        _same(array, fitted.arrays[name], f"{name} after a prediction")


def check_same_bits_in_any_batch(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """The answers of a row have the same bits alone and in any batch or order."""
    predictor, unseen = _fitted(model, target), sample_table(target, rows=60, seed=4)
    for answer, what in ((predictor.predict, "predictions"), (predictor.contributions, "contributions")):
        together = answer(unseen.numbers, unseen.categories)
        alone = [answer(unseen.numbers[[row]], unseen.categories[[row]])[0] for row in range(60)]
        _same(together, np.array(alone), f"{what} of a row alone")
        turned = answer(unseen.numbers[::-1].copy(), unseen.categories[::-1].copy())
        _same(together, turned[::-1].copy(), f"{what} in another order")
    none = predictor.predict(unseen.numbers[:0], unseen.categories[:0])
    assert none.shape == (0, len(target.outputs)), f"no rows must give shape (0, outputs), got {none.shape}"


def check_same_fit(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """The same table and seed give the same bits."""
    table = sample_table(target)
    first, second = (model.fit(table, target, 7) for _ in range(2))
    assert first.arrays.keys() == second.arrays.keys(), "a second fit must have the same arrays"
    assert first.texts == second.texts, "a second fit must have the same texts"
    for name in first.arrays:
        _same(first.arrays[name], second.arrays[name], f"{name} of a second fit")


def check_kept_in_artifact(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """A model that is saved and opened from its manifest alone gives the same bits."""
    fitted, unseen = model.fit(sample_table(target), target, 7), sample_table(target, rows=60, seed=4)
    manifest = {"kind": kind_of(model), "params": params_of(model)}
    save_artifact(folder / "artifact", manifest, fitted.arrays, texts=fitted.texts)
    loaded = load_artifact(folder / "artifact")
    loaded_model = model_of(loaded, [type(model)])
    assert loaded_model == model, f"the model must come back as {model}, got {loaded_model}"
    reopened = loaded_model.open(loaded.arrays, loaded.texts, _COLUMNS, target)
    must = _open(model, fitted, target).predict(unseen.numbers, unseen.categories)
    _same(must, reopened.predict(unseen.numbers, unseen.categories), "predictions after a round trip")


def check_in_range(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """Predictions are finite float64 (rows, outputs): probabilities, classes that sum to 1, uncrossed quantiles."""
    predictor, unseen = _fitted(model, target), sample_table(target, rows=300, seed=4)
    _check_values(predictor.predict(unseen.numbers, unseen.categories), 300, target, "unseen rows")


def check_odd_rows(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """Rows with missing numbers, unknown categories, and numbers far outside those of training are answered."""
    predictor = _fitted(model, target)
    for number in (np.nan, 0.0, 1e12, -1e12):
        numbers, categories = np.full((3, 4), number), np.full((3, 3), -1, np.int32)
        _check_values(predictor.predict(numbers, categories), 3, target, f"numbers {number}")
        assert np.isfinite(predictor.contributions(numbers, categories)).all(), f"contributions of {number} are finite"


def check_infinite_numbers(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """With infinite numbers in training and prediction, predictions and contributions are finite."""
    table = sample_table(target)
    numbers = table.numbers.copy()
    numbers[::7, 0], numbers[3::7, 2], numbers[5::7, 2] = np.inf, -np.inf, np.inf
    table = msgspec.structs.replace(table, numbers=numbers)
    predictor = _open(model, model.fit(table, target, 7), target)
    _check_values(predictor.predict(numbers, table.categories), len(table), target, "infinite numbers")
    _check_contributions(predictor, table, target, "infinite numbers")


def check_degenerate(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """A model learns from the tables of extreme cases; it may refuse one or two rows by `BadInput`."""
    unseen = sample_table(target, rows=20, seed=4)
    for name, table in degenerate_tables(target).items():
        try:
            fitted = model.fit(table, target, 7)
        except BadInput:
            assert len(table) <= 2, f"{name} must be learned from"
            continue
        predictor = _open(model, fitted, target)
        _check_values(predictor.predict(unseen.numbers, unseen.categories), 20, target, name)
        _check_contributions(predictor, unseen, target, name)


def check_contributions(model: TabularModel, target: TargetKind, folder: Path) -> None:
    """The contributions of all columns and a base add up to the prediction, for probabilities to the log odds."""
    _check_contributions(_fitted(model, target), sample_table(target, rows=60, seed=4), target, "unseen rows")


TABULAR_CHECKS: list[TabularCheck] = [
    check_pure,
    check_same_bits_in_any_batch,
    check_same_fit,
    check_kept_in_artifact,
    check_in_range,
    check_odd_rows,
    check_infinite_numbers,
    check_degenerate,
    check_contributions,
]


def _check_values(values: NDArray[Any], rows: int, target: TargetKind, what: str) -> None:
    shape = (rows, len(target.outputs))
    assert values.dtype == np.float64, f"{what}: predictions must be float64, got {values.dtype}"
    assert values.shape == shape, f"{what}: predictions must be of shape {shape}, got {values.shape}"
    assert np.isfinite(values).all(), f"{what}: predictions must be finite"
    if target.kind == "quantiles":
        assert (np.diff(values, axis=1) >= 0).all(), f"{what}: quantiles must not cross"
    if target.kind in ("binary", "multiclass", "multilabel"):
        assert values.min(initial=0.0) >= 0, f"{what}: probabilities must be at least 0"
        assert values.max(initial=0.0) <= 1, f"{what}: probabilities must be at most 1"
    if target.kind == "multiclass":
        assert np.abs(values.sum(axis=1) - 1).max(initial=0.0) < 1e-9, f"{what}: classes must sum to 1"


def _check_contributions(predictor: TabularPredictor, rows: TrainingTable, target: TargetKind, what: str) -> None:
    added = predictor.contributions(rows.numbers, rows.categories)
    shape = (len(rows), len(target.outputs), len(_COLUMNS) + 1)
    assert added.shape == shape, f"{what}: contributions must be of shape {shape}, got {added.shape}"
    assert np.isfinite(added).all(), f"{what}: contributions must be finite"
    values, margin = predictor.predict(rows.numbers, rows.categories), added.sum(axis=2)
    ways = [margin]
    if target.kind in ("binary", "multiclass", "multilabel"):
        chances = 1 / (1 + np.exp(-np.clip(margin, -700, 700)))
        ways = [chances]
    if target.kind == "multiclass":
        powers = np.exp(margin - margin.max(axis=1, keepdims=True))
        ways = [powers / powers.sum(axis=1, keepdims=True), chances / chances.sum(axis=1, keepdims=True)]
    gap = min(float(np.abs(way - values).max()) for way in ways)
    assert gap <= 1e-6 * max(1.0, float(np.abs(values).max())), f"{what}: contributions must add up, {gap} is missing"


def _fitted(model: TabularModel, target: TargetKind) -> TabularPredictor:
    return _open(model, model.fit(sample_table(target), target, 7), target)


def _open(model: TabularModel, fitted: TabularFit, target: TargetKind) -> TabularPredictor:
    return model.open(fitted.arrays, fitted.texts, _COLUMNS, target)


def _first(table: TrainingTable, rows: int) -> TrainingTable:
    names = ("numbers", "categories", "target", "weight", "at_us")
    return msgspec.structs.replace(table, **{name: getattr(table, name)[:rows] for name in names})


def _same(must: NDArray[Any], got: NDArray[Any], what: str) -> None:
    same = must.dtype == got.dtype and must.shape == got.shape and must.tobytes() == got.tobytes()
    assert same, f"{what} must be the same bits"
