"""Every model of tables passes every shipped check, for each kind of target that it has."""

from pathlib import Path

import numpy as np
import pytest

import flyball as fb
from flyball.core import Arrays
from flyball.models import TABULAR_MODELS, TabularFit, TabularModel, TargetKind, TrainingTable
from flyball.testing.tabular_checks import (
    TABULAR_CHECKS,
    TABULAR_TARGETS,
    TabularCheck,
    check_contributions,
    check_degenerate,
    check_pure,
    check_same_bits_in_any_batch,
    check_same_fit,
)

SMALL = fb.LightGBM(n_estimators=20, num_leaves=5, most=20)
VARIANTS: dict[str, TabularModel] = {
    **{
        name: model() for name, model in TABULAR_MODELS.items() if name not in ("estimator", "group_median", "stacking")
    },
    "group_median": fb.GroupMedian("shop", "person", least=5),
    "lightgbm of few trees": SMALL,
    "calibrated trees": fb.calibrated(SMALL, "platt"),
    "downsampled lines": fb.downsampled(fb.Linear(), 0.5),
    "conformal trees": fb.conformal(SMALL, 0.8),
    "stacking": fb.Stacking((fb.Linear(), fb.LightGBM(n_estimators=3, num_leaves=3)), folds=2),
    "a label each": fb.OneVsRest(SMALL),
    "a label each, calibrated": fb.OneVsRest(fb.calibrated(fb.Linear(), "platt")),
}
"""Every model of the table, the wrappers over others than their default too."""

CASES = [(name, kind) for name, model in VARIANTS.items() for kind in model.predicts if kind in TABULAR_TARGETS]


@pytest.mark.parametrize("check", TABULAR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_model(name: str, kind: str, check: TabularCheck, tmp_path: Path) -> None:
    check(VARIANTS[name], TABULAR_TARGETS[kind], tmp_path)


def test_the_table_has_every_model_under_its_public_name() -> None:
    assert TABULAR_MODELS.keys() - {"estimator"} <= VARIANTS.keys()  # which has its own: test_estimator.py
    assert {model.__name__ for model in TABULAR_MODELS.values()} <= set(fb.__all__)


class Careless(TabularModel, frozen=True):
    """Breaks its promises: writes what it learned, looks at the company, adds nothing up, draws without a seed."""

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        return TabularFit(
            {"calls": np.zeros(1), "drawn": np.random.default_rng().random(4), "n": np.array([len(table)])}
        )

    def open(self, arrays: Arrays, texts: object, columns: tuple[object, ...], target: TargetKind) -> "Careless":
        object.__setattr__(_OPENED, "arrays", arrays)
        return _OPENED  # type: ignore[return-value]


class _Opened:
    arrays: Arrays

    def predict(self, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        self.arrays["calls"][0] += 1
        value = len(numbers) if self.arrays["n"][0] > 1 else np.nan
        return np.full((len(numbers), 1), float(value))

    def contributions(self, numbers: np.ndarray, categories: np.ndarray) -> np.ndarray:
        return np.full((len(numbers), 1, 8), 1.0)


_OPENED = _Opened()


@pytest.mark.parametrize(
    "check",
    [check_pure, check_same_bits_in_any_batch, check_same_fit, check_degenerate, check_contributions],
    ids=lambda check: check.__name__,
)
def test_the_checks_catch_a_model_that_breaks_its_promises(check: TabularCheck, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(Careless(), TABULAR_TARGETS["number"], tmp_path)
