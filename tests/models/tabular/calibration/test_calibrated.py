"""A wrapped model becomes calibrated on the newest window, explains itself, and keeps its bits in any batch."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.models.tabular.calibration.planted import BINARY, COLUMNS, Distorted, clicks, table_of

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.models import kind_of, load_artifact, model_of, params_of, save_artifact
from flyball.models.tabular.calibration.calibrated import Calibrated, calibrated
from flyball.models.tabular.calibration.downsampled import downsampled
from flyball.models.tabular.table import TargetKind

HOWS = ("isotonic", "platt", "beta")
NONE = np.zeros((0, 1), np.int32)


def opened(model: Any, table: Any, target: TargetKind = BINARY) -> Any:
    fitted = model.fit(table, target, 0)
    return model.open(fitted.arrays, fitted.texts, COLUMNS, target)


@pytest.mark.parametrize("how", HOWS)
def test_probabilities_are_right_on_fresh_rows(how: Any) -> None:
    table, _ = clicks(60_000, 0)
    fresh, true = clicks(20_000, 1)
    corrected = opened(calibrated(Distorted(), how), table).predict(fresh.numbers, fresh.categories)[:, 0]
    wrong = opened(Distorted(), table).predict(fresh.numbers, fresh.categories)[:, 0]
    assert np.abs(corrected - true).mean() < 0.015
    assert np.abs(wrong - true).mean() > 0.07


@pytest.mark.parametrize("how", HOWS)
def test_the_map_sees_the_newest_rows_alone_and_the_model_the_others(how: Any) -> None:
    """The older four fifths lie about everything: the map must not notice."""
    table, true = clicks(20_000, 2)
    lying = table.target.copy()
    lying[:16_000] = 1 - lying[:16_000]
    model = calibrated(Distorted(), how)
    fitted = model.fit(msgspec.structs.replace(table, target=lying), BINARY, 0)
    found = model.open(fitted.arrays, fitted.texts, COLUMNS, BINARY).predict(table.numbers, table.categories)[:, 0]
    assert np.abs(found - true).mean() < 0.03
    assert fitted.arrays["base_rows"].tolist() == [16_000]
    assert fitted.note == "calibrated on the newest 4000 of 20000 examples"
    again = Calibrated(Distorted(), how, refit=True).fit(msgspec.structs.replace(table, target=lying), BINARY, 0)
    assert again.arrays["base_rows"].tolist() == [20_000]
    learned = [name for name in fitted.arrays if not name.startswith("base_")]
    assert all((fitted.arrays[name] == again.arrays[name]).all() for name in learned)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    "target",
    [BINARY, TargetKind("multiclass", classes=("a", "b", "c"))],
    ids=lambda target: target.kind,
)
def test_every_kind_in_any_batch_with_contributions_that_add_up(how: Any, target: TargetKind) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 600)
    actual: Any = rng.random(600) < 0.5
    if target.kind == "multiclass":
        actual = rng.integers(0, 3, 600)
    table = table_of(x, actual)
    predictor = opened(calibrated(Distorted(), how), table, target)
    found = predictor.predict(table.numbers, table.categories)
    assert found.shape == (600, len(target.outputs))
    assert ((found >= 0) & (found <= 1)).all()
    if target.kind == "multiclass":
        assert found.sum(axis=1) == pytest.approx(np.ones(600))
    single = [predictor.predict(table.numbers[row : row + 1], table.categories[row : row + 1])[0] for row in range(60)]
    assert np.array(single).tolist() == found[:60].tolist()
    added = predictor.contributions(table.numbers, table.categories).sum(axis=2)
    linked = np.log(found) if target.kind == "multiclass" else np.log(found / (1 - found))
    assert added == pytest.approx(linked, abs=1e-6)


def test_isotonic_is_never_certain() -> None:
    x = np.linspace(-1, 1, 100)[np.random.default_rng(0).permutation(100)]
    found = opened(calibrated(Distorted(9.0)), table_of(x, x > 0)).predict(x[:, None], NONE)[:, 0]
    assert found.min() == 1 / 22
    assert found.max() == 1 - 1 / 22


@pytest.mark.parametrize("how", HOWS)
def test_a_window_of_one_class_and_the_fewest_rows(how: Any) -> None:
    for actual in (0.0, 1.0):
        found = opened(calibrated(Distorted(), how), table_of(np.arange(10.0), np.full(10, actual)))
        assert np.isfinite(found.predict(np.array([[0.0], [9.0]]), NONE)).all()
    opened(calibrated(Distorted(), how, share=0.5), table_of(np.arange(2.0), np.array([0, 1])))
    with pytest.raises(BadInput, match="examples to train and to calibrate on must be two or more, .* got 1"):
        opened(calibrated(Distorted(), how), table_of(np.arange(1.0), np.ones(1)))


def test_its_parameters_are_checked() -> None:
    with pytest.raises(BadDeclaration, match=r"method of calibrated\(...\) must be .* got 'sigmoid'"):
        calibrated(Distorted(), "sigmoid")  # type: ignore[arg-type]
    with pytest.raises(BadDeclaration, match=r"share of calibrated\(...\) must be between 0 and 1, got 1"):
        calibrated(Distorted(), share=1.0)
    with pytest.raises(BadDeclaration, match=r"model of calibrated\(...\) must be a model of tables"):
        calibrated("LightGBM")  # type: ignore[arg-type]


def test_calibration_goes_around_downsampling() -> None:
    table, _ = clicks(60_000, 4)
    fresh, true = clicks(20_000, 5)
    model = calibrated(downsampled(Distorted(), rate=0.25), "beta")
    found = opened(model, table).predict(fresh.numbers, fresh.categories)[:, 0]
    assert np.abs(found - true).mean() < 0.015
    with pytest.raises(BadDeclaration, match=r"fb.calibrated\(fb.downsampled\(model\)\) calibrates on all examples"):
        downsampled(calibrated(Distorted()), rate=0.25)


@pytest.mark.parametrize("how", HOWS)
def test_a_wrapped_model_comes_back_from_its_artifact(how: Any, tmp_path: Path) -> None:
    table, _ = clicks(2_000, 6)
    model = fb.calibrated(fb.downsampled(fb.Constant(), rate=0.5), how, share=0.3)
    fitted = model.fit(table, BINARY, 0)
    manifest = {"kind": kind_of(model), "params": params_of(model)}
    save_artifact(tmp_path / "a", manifest, fitted.arrays, texts=fitted.texts)
    artifact = load_artifact(tmp_path / "a")
    again = model_of(artifact)
    assert again == model
    predictors = [
        one.open(arrays, texts, COLUMNS, BINARY)
        for one, arrays, texts in ((model, fitted.arrays, fitted.texts), (again, artifact.arrays, artifact.texts))
    ]
    first, second = (one.predict(table.numbers, table.categories).tolist() for one in predictors)
    assert first == second
