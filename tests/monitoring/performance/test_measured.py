"""Measured performance: each metric by its definition, intervals over units, weights of a control group."""

from typing import Any

import numpy as np
import pytest
from tests.monitoring.performance.bank import rows

from flyball.monitoring.performance.measured import LIVE_METRICS, losses, main_metric, measured, value_of

SCORES, ACTUAL = [0.9, 0.8, 0.6, 0.4, 0.3, 0.1], [1, 0, 1, 1, 0, 0]


def test_metrics_of_probabilities_by_hand() -> None:
    values = {name: metric.value for name, metric in measured(rows(SCORES, ACTUAL)).items()}
    hit = [0.9, 0.2, 0.6, 0.4, 0.7, 0.9]  # the probability of what happened
    expected = {
        "share": 0.5,
        "auc": 7 / 9,
        "log_loss": -np.mean(np.log(hit)),
        "brier": np.mean((1 - np.array(hit)) ** 2),
        "accuracy": 4 / 6,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "calibration_gap": 0.5 - np.mean(SCORES),
    }
    assert values == pytest.approx(expected)


def test_metrics_of_classes_numbers_and_lists_by_hand() -> None:
    classes = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    values = {name: metric.value for name, metric in measured(rows(classes, [0, 1], "classes")).items()}
    brier = (0.25 + 0.09 + 0.04 + 0.01 + 0.64 + 0.49) / 2
    assert values == pytest.approx({"accuracy": 0.5, "log_loss": -np.log([0.5, 0.2]).mean(), "brier": brier})
    spans = np.array([[8.0, 12.0], [8.0, 12.0]])
    numbers = measured(rows([10, 10], [9, 14], "number", spans=spans))
    assert {name: metric.value for name, metric in numbers.items()} == pytest.approx(
        {"absolute_error": 2.5, "bias": -1.5, "coverage": 0.5}
    )
    lists = measured(rows([3, 3, 3, 3], [1, 0, 2, 0], "list"))
    assert {name: metric.value for name, metric in lists.items()} == pytest.approx(
        {"hit_rate": 0.5, "reciprocal_rank": 1.5 / 4, "rank_taken": 1.5}
    )


def test_what_is_undefined_is_left_out() -> None:
    assert "auc" not in measured(rows([0.1, 0.2], [0, 0]))
    assert "precision" not in measured(rows([0.1, 0.2], [0, 1]))
    assert "coverage" not in measured(rows([1, 2], [1, 2], "number"))
    assert "rank_taken" not in measured(rows([3], [0], "list"))
    assert measured(rows([], [])) == {}
    assert np.isnan(value_of(rows([], []), "brier"))


def test_rows_of_a_control_group_stand_for_others() -> None:
    weighted = measured(rows([0.2, 0.8], [0, 1], weight=np.array([9.0, 1.0])))
    assert weighted["share"].value == pytest.approx(0.1)
    assert weighted["brier"].value == pytest.approx(0.04)


def test_intervals_are_over_units() -> None:
    """Ten rows of each unit are equal: the interval is that of the units, three times as wide as that of rows."""
    rng = np.random.default_rng(1)
    actual = np.repeat(rng.random(400) < 0.4, 10)
    scores = np.full(4_000, 0.4)
    of_units = measured(rows(scores, actual, unit=np.repeat(np.arange(400), 10), units=400))["share"]
    of_rows = measured(rows(scores, actual))["share"]
    assert of_units.low is not None
    assert of_units.high is not None
    assert of_rows.low is not None
    assert of_rows.high is not None
    assert (of_units.high - of_units.low) / (of_rows.high - of_rows.low) == pytest.approx(np.sqrt(10), rel=0.2)


def test_a_value_alone_is_the_measured_one() -> None:
    part = rows(SCORES, ACTUAL).only(np.array([True, True, True, True, False, False]))
    for name, metric in measured(part).items():
        assert value_of(part, name) == pytest.approx(metric.value)


@pytest.mark.parametrize(
    ("kind", "scores", "actual", "expected"),
    [
        ("probability", [0.8, 0.3], [1, 1], [0.04, 0.49]),
        ("classes", [[0.8, 0.2], [0.3, 0.7]], [0, 0], [0.04, 0.49]),
        ("number", [5, 7], [4, 9], [1, 2]),
        ("list", [3, 3], [2, 0], [0.5, 1]),
    ],
)
def test_the_loss_of_each_prediction(kind: str, scores: Any, actual: Any, expected: Any) -> None:
    assert losses(rows(scores, actual, kind)).tolist() == pytest.approx(expected)


def test_every_kind_has_a_main_metric() -> None:
    assert {kind: LIVE_METRICS[kind][main_metric(kind)].better for kind in LIVE_METRICS} == {
        "probability": "low",
        "classes": "low",
        "number": "low",
        "list": "high",
    }
