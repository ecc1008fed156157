"""Linear and logistic regression against the conditions that a solution satisfies, and a planted line."""

from typing import Any

import numpy as np
import pytest
from tests.models.tabular.tables import table_of

import flyball as fb
from flyball.core import BadDeclaration
from flyball.models import TableColumn, TargetKind, TrainingTable
from flyball.models.tabular.linear import _design, _solved

EFFECT = np.array([3.0, -1.0, 0.5, 2.0, 0.0])


def planted(table: Any) -> np.ndarray:
    """10 + 4 a kilometer + an effect of the shop; missing kilometers are as the mean."""
    km = np.where(np.isnan(table.numbers[:, 0]), np.nanmean(table.numbers[:, 0]), table.numbers[:, 0])
    shop = np.where(table.categories[:, 0] >= 0, EFFECT[table.categories[:, 0]], 0.0)
    return 10.0 + 4.0 * km + shop


def predictor_of(model: Any, table: Any, target: TargetKind) -> Any:
    fitted = model.fit(table, target, 1)
    return model.open(fitted.arrays, fitted.texts, table.columns, target)


def test_a_planted_line_is_found() -> None:
    table = table_of(3_000)
    table = table_of(3_000, target=planted(table) + np.random.default_rng(2).normal(0, 0.1, size=3_000))
    predictor = predictor_of(fb.Linear(l2=0.01), table, TargetKind("number"))
    other = table_of(200, seed=5)
    assert predictor.predict(table.numbers, table.categories)[:, 0] == pytest.approx(planted(table), abs=0.05)
    alone = np.concatenate(
        [predictor.predict(other.numbers[row : row + 1], other.categories[row : row + 1]) for row in range(200)]
    )
    assert predictor.predict(other.numbers, other.categories).tobytes() == alone.tobytes()


def test_ridge_coefficients_satisfy_the_normal_equations() -> None:
    weight = np.random.default_rng(4).uniform(0.5, 2.0, size=400)
    table = table_of(400, weight=weight)
    fitted = fb.Linear(l2=3.0).fit(table, TargetKind("number"), 1)
    design = _design(fitted.arrays, table.numbers, table.categories)
    coefficients, base = fitted.arrays["coefficients"][0], fitted.arrays["base"][0]
    left = table.target - design @ coefficients - base
    assert design.T @ (weight * left) == pytest.approx(3.0 * coefficients, abs=1e-8)
    assert (weight * left).sum() == pytest.approx(0.0, abs=1e-6)


def test_logistic_coefficients_make_the_penalized_gradient_zero() -> None:
    table = table_of(600)
    chance = 1 / (1 + np.exp(-(planted(table) - 18) / 3))
    table = table_of(600, target=(np.random.default_rng(3).random(600) < chance).astype(float))
    fitted = fb.Linear(l2=1.0).fit(table, TargetKind("binary"), 1)
    design = _design(fitted.arrays, table.numbers, table.categories)
    coefficients, base = fitted.arrays["coefficients"][0], fitted.arrays["base"][0]
    probability = 1 / (1 + np.exp(-(design @ coefficients + base)))
    assert design.T @ (table.target - probability) == pytest.approx(coefficients, abs=1e-5)
    predictor = predictor_of(fb.Linear(), table, TargetKind("binary"))
    assert predictor.predict(table.numbers, table.categories)[:, 0] == pytest.approx(probability)


def test_quantiles_hold_their_share() -> None:
    table = table_of(3_000)
    table = table_of(3_000, target=planted(table) + np.random.default_rng(2).normal(0, 2, size=3_000))
    target = TargetKind("quantiles", quantiles=(0.1, 0.5, 0.9))
    predicted = predictor_of(fb.Linear(), table, target).predict(table.numbers, table.categories)
    for place, share in enumerate((0.1, 0.5, 0.9)):
        assert (table.target <= predicted[:, place]).mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_and_columns_without_variance_are_learned(rows: int) -> None:
    table = table_of(rows, target=np.full(rows, 7.0))
    predictor = predictor_of(fb.Linear(), table, TargetKind("number"))
    assert predictor.predict(table.numbers, table.categories)[:, 0] == pytest.approx(np.full(rows, 7.0))
    with pytest.raises(BadDeclaration, match="l2"):
        fb.Linear(l2=0.0)


def test_more_columns_than_rows_have_the_solution_of_the_whole_system() -> None:
    rng = np.random.default_rng(4)
    rows = np.hstack([rng.normal(size=(30, 80)), np.ones((30, 1))])
    weight, right = rng.uniform(0.1, 2.0, 30), rng.normal(size=81)
    penalty = np.append(np.full(80, 0.7), 1e-9)
    must = np.linalg.solve((rows * weight[:, None]).T @ rows + np.diag(penalty), right)
    assert _solved(rows, weight, penalty, right) == pytest.approx(must, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", ["number", "binary"])
def test_ten_thousand_columns_are_learned_from(kind: str) -> None:
    rng = np.random.default_rng(5)
    numbers = rng.normal(size=(150, 10_000))
    numbers[:, :20] = np.where(np.arange(150)[:, None] % 2, 3.0, -3.0)  # twenty columns say the same
    table = TrainingTable(
        columns=tuple(TableColumn(f"c{column}", "number") for column in range(10_000)),
        numbers=numbers,
        categories=np.empty((150, 0), np.int32),
        target=(np.arange(150) % 2).astype(float),
        weight=np.ones(150),
        at_us=np.arange(150),
    )
    predictor = predictor_of(fb.Linear(l2=10.0), table, TargetKind(kind))  # type: ignore[arg-type]
    unseen = rng.normal(size=(2, 10_000))
    unseen[:, :20] = [[3.0], [-3.0]]
    high, low = predictor.predict(unseen, np.empty((2, 0), np.int32))[:, 0]
    assert high > low


def test_logistic_regression_finds_the_best_where_few_rows_lie_far_out() -> None:
    # Rare events that a heavy-tailed column tells: whole Newton steps overshoot here and never come back.
    rng, rows = np.random.default_rng(0), 20_000
    tail = np.where(rng.random(rows) < 0.005, rng.lognormal(4.0, 1.0, rows), rng.exponential(0.05, rows))
    numbers = np.column_stack([tail, tail * rng.uniform(0.5, 1.5, rows), rng.normal(size=(rows, 3))])
    happened = (rng.random(rows) < np.where(tail > 5, 0.9, 0.004)).astype(np.float64)
    table = TrainingTable(
        columns=tuple(TableColumn(f"x{number}", "number") for number in range(5)),
        numbers=numbers,
        categories=np.empty((rows, 0), np.int32),
        target=happened,
        weight=np.ones(rows),
        at_us=np.arange(rows),
    )
    fitted = fb.Linear(l2=1.0).fit(table, TargetKind("binary"), 1)
    design = _design(fitted.arrays, table.numbers, table.categories)
    coefficients, base = fitted.arrays["coefficients"][0], fitted.arrays["base"][0]
    probability = 1 / (1 + np.exp(-(design @ coefficients + base)))
    assert design.T @ (happened - probability) == pytest.approx(coefficients, abs=1e-4)
    assert (happened - probability).sum() == pytest.approx(0.0, abs=1e-4)
