"""Every model of tables as an ONNX file gives its own numbers under onnxruntime, or is refused by name."""

import sys
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest

import flyball as fb
from flyball.core import MissingExtra, Refused
from flyball.models import TABULAR_MODELS, TableColumn, TabularModel, TargetKind, TrainingTable
from flyball.models.tabular.onnx.export import ONNX_TOLERANCE, onnx_of
from flyball.testing.tabular_checks import TABULAR_TARGETS, degenerate_tables, sample_table

NUMBER, BINARY, CLASSES = (TABULAR_TARGETS[kind] for kind in ("number", "binary", "multiclass"))
SMALL = fb.LightGBM(n_estimators=20, num_leaves=5, most=20)
WIDE = fb.LightGBM(n_estimators=30, num_leaves=8, most=500, min_data_in_leaf=2)
VARIANTS: dict[str, TabularModel] = {
    **{name: model() for name, model in TABULAR_MODELS.items() if name not in ("estimator", "group_median")},
    "group_median": fb.GroupMedian("shop", "x", "person", least=2),
    "means of texts": SMALL,
    "sets of 150 texts": WIDE,
    "isotonic": fb.calibrated(SMALL),
    "platt": fb.calibrated(fb.Linear(), "platt"),
    "beta": fb.calibrated(fb.FTRL(bits=8), "beta"),
    "isotonic of a constant": fb.calibrated(fb.Constant()),
    "downsampled": fb.downsampled(SMALL, 0.5),
    "calibrated downsampled": fb.calibrated(fb.downsampled(fb.Linear(), 0.3), refit=True),
    "conformal": fb.conformal(SMALL, 0.8),
    "conformal groups": fb.conformal(fb.Linear(), 0.8, groups=("shop", "city"), share=0.5),
    "a label each": fb.OneVsRest(fb.calibrated(SMALL)),
    "stacked": fb.Stacking((fb.Linear(), SMALL, fb.calibrated(fb.Linear(), "platt")), folds=2),
}


def kinds_of(model: TabularModel) -> list[str]:
    """The targets that it and every model within it can have."""
    inner = [] if isinstance(model, fb.OneVsRest) else model.parts
    return [kind for kind in model.predicts if all(kind in kinds_of(part) for part in inner)]


CASES = [(name, kind) for name, model in VARIANTS.items() for kind in kinds_of(model)]
NUMBERS = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e12, -1e300, 5e-324)


def run(file: bytes, table: TrainingTable, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """What another program gets: the columns by name, categories as texts, unknown ones as texts never seen."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    feeds: dict[str, np.ndarray] = {name: numbers[:, [index]] for index, name in enumerate(table.number_names)}
    for index, name in enumerate(table.category_names):
        texts = [*table.vocabularies[name], "never seen"]
        feeds[name] = np.array([[texts[code]] for code in categories[:, index]], dtype=object).reshape(-1, 1)
    return session.run(None, feeds)[0]


def gap(must: np.ndarray, got: np.ndarray) -> float:
    """The largest distance, of numbers beyond 1 in proportion."""
    assert got.dtype == np.float64
    assert got.shape == must.shape
    assert np.isfinite(got).all()
    return float((np.abs(got - must) / np.maximum(1.0, np.abs(must))).max(initial=0.0))


def compare(model: TabularModel, table: TrainingTable, target: TargetKind) -> float:
    fitted = model.fit(table, target, 7)
    file = onnx_of(model, fitted.arrays, table.columns, table.vocabularies, target)
    predictor = model.open(fitted.arrays, fitted.texts, table.columns, target)
    unseen = sample_table(target, rows=300, seed=4)
    odd = [
        (np.full((2, unseen.numbers.shape[1]), number), np.full((2, unseen.categories.shape[1]), code, np.int32))
        for number in NUMBERS
        for code in (-1, 0)
    ]
    together = (
        np.vstack([table.numbers, unseen.numbers, *(numbers for numbers, _ in odd)]),
        np.vstack([table.categories, unseen.categories, *(categories for _, categories in odd)]),
    )
    known = np.where(np.isfinite(together[0]), together[0], np.nan)  # as a request's row is made
    must = predictor.predict(known, together[1])
    alone = run(file, table, together[0][:1], together[1][:1])
    none = run(file, table, together[0][:0], together[1][:0])
    assert none.shape == (0, len(target.outputs))
    return max(gap(must, run(file, table, *together)), gap(must[:1], alone))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_file_gives_the_model_s_own_numbers(name: str, kind: str) -> None:
    assert compare(VARIANTS[name], sample_table(TABULAR_TARGETS[kind]), TABULAR_TARGETS[kind]) < ONNX_TOLERANCE


def test_every_model_of_the_table_is_exported_or_refused_by_name() -> None:
    exported = {name for name, model in VARIANTS.items() if name in TABULAR_MODELS}
    assert TABULAR_MODELS.keys() - exported == {"estimator"}
    with pytest.raises(Refused, match="one of Calibrated, Conformal, .* to become ONNX, got Estimator"):
        onnx_of(fb.Estimator(), {}, sample_table(NUMBER).columns, sample_table(NUMBER).vocabularies, NUMBER)


class Doubled(fb.Linear, frozen=True):
    """A model of somebody's own, which does otherwise than what it derives from."""


def test_a_model_of_somebody_s_own_is_refused_wherever_it_stands() -> None:
    table = sample_table(BINARY)
    for model in (Doubled(), fb.calibrated(Doubled(), "platt")):
        learned = model.fit(table, BINARY, 7)
        with pytest.raises(Refused, match="got Doubled"):
            onnx_of(model, learned.arrays, table.columns, table.vocabularies, BINARY)


@pytest.mark.parametrize("name", ["linear", "ftrl", "group_median", "isotonic", "sets of 150 texts", "means of texts"])
def test_what_was_learned_from_tables_at_the_edges_is_the_same(name: str) -> None:
    model = VARIANTS[name]
    kind = "binary" if "binary" in kinds_of(model) else "number"
    for edge, table in degenerate_tables(TABULAR_TARGETS[kind]).items():
        if isinstance(model, fb.Calibrated) and len(table) <= 2:
            continue  # too few to divide in two: it refuses to learn
        assert compare(model, table, TABULAR_TARGETS[kind]) < ONNX_TOLERANCE, edge


def test_sets_of_more_categories_than_a_word_has_bits() -> None:
    table = sample_table(NUMBER, rows=6_000)
    by_person = np.sin(7.0 * table.categories[:, 1]) * 5 + table.target
    table = msgspec.structs.replace(table, target=by_person)
    learned = WIDE.fit(table, NUMBER, 7).arrays["trees_0"].tobytes().decode()
    bounds = [line.split("=")[1].split() for line in learned.splitlines() if line.startswith("cat_boundaries")]
    assert max(int(last) - int(first) for of_tree in bounds for first, last in pairwise(of_tree)) >= 3
    assert compare(WIDE, table, NUMBER) < ONNX_TOLERANCE


def test_the_file_says_what_it_is_and_is_the_same_each_time() -> None:
    table = sample_table(CLASSES)
    learned = SMALL.fit(table, CLASSES, 7)
    arguments = (SMALL, learned.arrays, table.columns, table.vocabularies, CLASSES, {"version": "v3"})
    file = onnx_of(*arguments)
    assert file == onnx_of(*arguments)
    session = onnxruntime.InferenceSession(file)
    assert [value.name for value in session.get_inputs()] == [column.name for column in table.columns]
    kinds = {value.name: (value.type, value.shape) for value in session.get_inputs()}
    assert kinds["x"] == ("tensor(double)", ["rows", 1])
    assert kinds["shop"] == ("tensor(string)", ["rows", 1])
    (output,) = session.get_outputs()
    assert (output.name, output.type, output.shape) == ("prediction", "tensor(double)", ["rows", 3])
    about = session.get_modelmeta().custom_metadata_map
    assert about == {"outputs": '["low","mid","high"]', "target": "multiclass", "version": "v3"}


def test_a_column_may_have_the_name_of_the_output_but_there_must_be_one() -> None:
    columns = (TableColumn("prediction", "number"),)
    file = onnx_of(fb.Constant(), {"constant": np.array([2.5])}, columns, {}, NUMBER)
    (output,) = onnxruntime.InferenceSession(file).get_outputs()
    assert output.name == "prediction_"
    with pytest.raises(Refused, match="must have columns to become ONNX"):
        onnx_of(fb.Constant(), {"constant": np.array([2.5])}, (), {}, NUMBER)


def test_without_the_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx.helper", None)
    with pytest.raises(MissingExtra, match=r"flyball\[onnx\]"):
        onnx_of(fb.Constant(), {"constant": np.array([2.5])}, (TableColumn("x", "number"),), {}, NUMBER)


@pytest.mark.parametrize(
    ("attribute", "change"),
    [
        ("nodes_missing_value_tracks_true", lambda values: [1 - value for value in values]),
        ("nodes_featureids", lambda values: [0] * len(values)),
        ("tree_roots", lambda values: values[1:]),
    ],
)
def test_the_comparison_finds_trees_that_are_not_the_same(attribute: str, change: Any) -> None:
    table = sample_table(NUMBER)
    model = fb.LightGBM(n_estimators=20, num_leaves=5)
    learned = model.fit(table, NUMBER, 7)
    made = onnx.load_from_string(onnx_of(model, learned.arrays, table.columns, table.vocabularies, NUMBER))
    (trees,) = [node for node in made.graph.node if node.op_type == "TreeEnsemble"]
    (found,) = [part for part in trees.attribute if part.name == attribute]
    changed = change(list(found.ints))
    del found.ints[:]
    found.ints.extend(changed)
    must = model.open(learned.arrays, {}, table.columns, NUMBER).predict(table.numbers, table.categories)
    assert gap(must, run(made.SerializeToString(), table, table.numbers, table.categories)) > 1e-3


@pytest.mark.parametrize(
    ("name", "kind"), [("lightgbm", "binary"), ("isolation_forest", "binary"), ("isotonic", "binary")]
)
def test_no_node_has_a_leaf_and_a_node_of_one_number(name: str, kind: str) -> None:
    """onnxruntime before 1.24 takes them for the same child: sums were wrong by up to 2.9 with 1.21 to 1.23."""
    table, model, target = sample_table(TABULAR_TARGETS[kind]), VARIANTS[name], TABULAR_TARGETS[kind]
    learned = model.fit(table, target, 7)
    made = onnx.load_from_string(onnx_of(model, learned.arrays, table.columns, table.vocabularies, target))
    ensembles = [node for node in made.graph.node if node.op_type == "TreeEnsemble"]
    assert ensembles
    for node in ensembles:
        numbers = {part.name: list(part.ints) for part in node.attribute}
        for left, right in zip(numbers["nodes_truenodeids"], numbers["nodes_falsenodeids"], strict=True):
            assert left != right
