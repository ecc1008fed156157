"""Estimators of other libraries give what they give themselves, and their files hold nothing that was not named."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skops.io import dumps as skops_dumps
from tests.models.tabular.tables import table_of

import flyball as fb
from flyball.core import ArtifactCorrupt, BadDeclaration, BadInput, MissingExtra, Refused
from flyball.models import TargetKind, kind_of, load_artifact, model_of, params_of, save_artifact
from flyball.models.tabular.estimator import encoded
from flyball.models.tabular.estimator_files import SklearnReader, to_bytes
from flyball.testing.tabular_checks import TABULAR_CHECKS, TABULAR_TARGETS, TabularCheck

BINARY, NUMBER = TargetKind("binary"), TargetKind("number")
CLASSES = TargetKind("multiclass", classes=("a", "b", "c", "d"))
TREE, HIST = "sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


class Scaled(fb.Estimator, frozen=True):
    """A pipeline, as a user writes one."""

    c: float = 1.0

    def build(self, target: TargetKind, seed: int) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=self.c, random_state=seed))


def boosted(kind: str) -> fb.Estimator:
    name = "Regressor" if kind == "number" else "Classifier"
    return fb.Estimator(
        f"sklearn.ensemble:HistGradientBoosting{name}",
        {"max_iter": 5, "min_samples_leaf": 5},
        trusted=(HIST,),
        categories="codes",
        missing="keep",
    )


def forest(kind: str) -> fb.Estimator:
    name = "Regressor" if kind == "number" else "Classifier"
    return fb.Estimator(f"sklearn.ensemble:RandomForest{name}", {"n_estimators": 4}, trusted=(TREE,))


def xgboost(kind: str) -> fb.Estimator:
    name = "Regressor" if kind == "number" else "Classifier"
    return fb.Estimator(f"xgboost:XGB{name}", {"n_estimators": 10, "max_depth": 3}, missing="keep")


MAKERS: dict[str, Any] = {"boosted": boosted, "forest": forest, "xgboost": xgboost}
CASES = [(name, kind) for name in MAKERS for kind in ("number", "binary", "multiclass")]
CASES += [("pipeline", "binary"), ("pipeline", "multiclass")]


@pytest.mark.parametrize("check", TABULAR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_passes_the_checks_of_every_model(name: str, kind: str, check: TabularCheck, tmp_path: Path) -> None:
    check(Scaled() if name == "pipeline" else MAKERS[name](kind), TABULAR_TARGETS[kind], tmp_path)


def test_predictions_are_those_of_the_estimator_itself() -> None:
    table = table_of(300, weight=np.random.default_rng(1).choice([1.0, 4.0], 300))
    model = boosted("number")
    fitted = model.fit(table, NUMBER, 5)
    own = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5, random_state=5)
    matrix = np.hstack([table.numbers, np.where(table.categories < 0, np.nan, table.categories)])
    own.fit(matrix, table.target, sample_weight=table.weight)
    predicted = model.open(fitted.arrays, fitted.texts, table.columns, NUMBER).predict(table.numbers, table.categories)
    assert predicted[:, 0] == pytest.approx(own.predict(matrix), rel=1e-12)


def test_weights_reach_the_last_step_of_a_pipeline_and_their_absence_is_noted() -> None:
    weight = np.where(np.arange(200) < 100, 1.0, 9.0)
    table = table_of(200, target=(np.arange(200) < 100).astype(float), weight=weight)
    opened = Scaled().open(Scaled().fit(table, BINARY, 1).arrays, {}, table.columns, BINARY)
    assert opened.predict(table.numbers, table.categories).mean() < 0.2
    discriminant = fb.Estimator("sklearn.discriminant_analysis:LinearDiscriminantAnalysis")
    assert "weights are left out" in discriminant.fit(table, BINARY, 1).note
    even = msgspec.structs.replace(table, weight=np.ones(200))
    assert discriminant.fit(even, BINARY, 1).note == ""


@pytest.mark.parametrize("name", MAKERS)
def test_classes_that_were_not_learned_have_no_probability(name: str) -> None:
    table = table_of(200, target=np.random.default_rng(2).choice([1.0, 3.0], 200))
    model = MAKERS[name]("multiclass")
    opened = model.open(model.fit(table, CLASSES, 1).arrays, {}, table.columns, CLASSES)
    values = opened.predict(table.numbers, table.categories)
    assert (values[:, [0, 2]] == 0).all()
    assert values.sum(axis=1) == pytest.approx(np.ones(200))
    chosen = np.array([1, 3])[values[:, [1, 3]].argmax(axis=1)]
    assert (chosen == table.target).mean() > 0.6


def test_types_that_are_not_trusted_are_refused_when_written_and_when_read(tmp_path: Path) -> None:
    table = table_of(100)
    careless = fb.Estimator("sklearn.ensemble:RandomForestRegressor", {"n_estimators": 3})
    with pytest.raises(Refused, match=f"trusted types only, got {TREE}.*trusted="):
        careless.fit(table, NUMBER, 1)
    fitted = forest("number").fit(table, NUMBER, 1)
    with pytest.raises(Refused, match="trusted types only"):
        careless.open(fitted.arrays, {}, table.columns, NUMBER)


class Evil:
    """Would run code when it is unpickled; skops does not know its type."""

    def __reduce__(self) -> Any:
        return (sys.exit, ("ran",))

    def fit(self, matrix: Any, labels: Any) -> "Evil":
        return self


def test_a_file_with_a_type_of_ones_own_is_refused_without_running_it() -> None:
    fitted = forest("number").fit(table_of(100), NUMBER, 1)
    arrays = {**fitted.arrays, "skops": to_bytes(Evil())}
    with pytest.raises(Refused, match="Evil"):
        forest("number").open(arrays, {}, table_of(1).columns, NUMBER)


class Malicious:
    """Runs a command when it is read from a pickle."""

    def __reduce__(self) -> Any:
        return os.system, ("touch /nonexistent/folder/of-a-test",)


@pytest.mark.parametrize(
    ("planted", "named"),
    [
        (Malicious(), "Malicious"),
        (FunctionTransformer(os.system), "posix.system"),
        (make_pipeline(FunctionTransformer(partial(os.system, "true")), Ridge()), "functools.partial, posix.system"),
    ],
)
def test_a_planted_file_is_refused_by_the_names_of_its_types_and_nothing_runs(
    planted: Any, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.frombuffer(skops_dumps(planted), np.uint8)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"ran {command}"))
    with pytest.raises(Refused, match=rf"trusted types only, got \S*{named}: review what they do"):
        SklearnReader(data, (), classes=False)


@pytest.mark.parametrize("data", [b"", b"\x80\x04\x95.", b"PK\x03\x04 cut off"])
def test_what_is_no_file_of_an_estimator_is_corrupt(data: bytes) -> None:
    with pytest.raises(ArtifactCorrupt, match=f"must be a file that skops wrote, got {len(data)} bytes of another"):
        SklearnReader(np.frombuffer(data, np.uint8), (), classes=False)


def test_params_and_trusted_types_come_back_from_an_artifact(tmp_path: Path) -> None:
    model = forest("number")
    fitted = model.fit(table_of(100), NUMBER, 1)
    save_artifact(tmp_path / "a", {"kind": kind_of(model), "params": params_of(model)}, fitted.arrays)
    loaded = load_artifact(tmp_path / "a")
    assert model_of(loaded) == model
    assert kind_of(Scaled()) == "test_estimator.py:Scaled"


def test_another_seed_is_another_forest_and_it_runs_on_one_thread() -> None:
    table = table_of(200)
    bits = [forest("number").fit(table, NUMBER, seed).arrays["skops"].tobytes() for seed in (1, 1, 2)]
    assert bits[0] == bits[1] != bits[2]
    built = forest("number").build(NUMBER, 7)
    assert (built.random_state, built.n_jobs) == (7, 1)
    pinned = fb.Estimator("sklearn.ensemble:RandomForestRegressor", {"random_state": 3}).build(NUMBER, 7)
    assert pinned.random_state == 3


def test_missing_numbers_become_their_mean_and_texts_hot_columns() -> None:
    table = table_of(50)
    arrays = fb.Estimator("sklearn.linear_model:Ridge").fit(table, NUMBER, 1).arrays
    matrix = encoded(arrays, np.array([[np.nan, 2.0]]), np.array([[2, -1]], np.int32))
    assert matrix[0, 0] == pytest.approx(np.nanmean(table.numbers[:, 0]))
    assert matrix[0, 2:].tolist().count(1.0) == 1
    assert matrix.shape == (1, 2 + 5 + 3)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"make": "sklearn"}, "module:Class"),
        ({"make": "a:b", "trusted": "sklearn"}, "tuple of names"),
        ({"make": "a:b", "categories": "hash"}, "one_hot"),
        ({"make": "a:b", "missing": "drop"}, "keep"),
        ({"make": "a:b", "params": {"estimator": object()}}, "write build"),
    ],
)
def test_declarations_that_cannot_be_are_refused(given: Any, says: str) -> None:
    with pytest.raises(BadDeclaration, match=says):
        fb.Estimator(**given)


def test_what_cannot_be_made_or_fitted_says_why() -> None:
    table = table_of(50)
    with pytest.raises(BadDeclaration, match="takes these params.*depth"):
        fb.Estimator("sklearn.tree:DecisionTreeRegressor", {"depth": 3}).fit(table, NUMBER, 1)
    with pytest.raises(BadDeclaration, match="nothing_here"):
        fb.Estimator("nothing_here:Model").fit(table, NUMBER, 1)
    with pytest.raises(BadInput, match="LinearRegression.*NaN"):
        fb.Estimator("sklearn.linear_model:LinearRegression", missing="keep").fit(table, NUMBER, 1)
    happened = msgspec.structs.replace(table, target=(table.target > 0).astype(float))
    with pytest.raises(BadDeclaration, match="predict_proba"):
        fb.Estimator("sklearn.svm:LinearSVC").fit(happened, BINARY, 1)


@pytest.mark.parametrize(("package", "extra"), [("sklearn", "sklearn"), ("xgboost", "xgboost")])
def test_a_missing_package_names_the_extra(package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=f'pip install "flyball\\[{extra}\\]"'):
        fb.Estimator(f"{package}.some:Model").build(NUMBER, 1)


def test_it_beats_the_constant_where_it_should() -> None:
    rng = np.random.default_rng(3)
    table = table_of(600)
    km = np.nan_to_num(table.numbers[:, 0], nan=2.0)
    happened = (rng.random(600) < 1 / (1 + np.exp(4 - 2 * km))).astype(float)
    table = msgspec.structs.replace(table, target=happened)
    model = Scaled()
    opened = model.open(model.fit(table, BINARY, 1).arrays, {}, table.columns, BINARY)
    probability = opened.predict(table.numbers, table.categories)[:, 0]
    assert np.mean((probability - happened) ** 2) < 0.8 * happened.var()
