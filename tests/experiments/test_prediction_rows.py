"""Losses by their definitions, and which responses have a number."""

from math import log
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flyball.apps.delivery import app as delivery
from flyball.apps.fraud import app as fraud
from flyball.core import BadDeclaration
from flyball.experiments import NOTHING, PredictionRows
from flyball.experiments.prediction_rows import LARGEST_WEIGHT, LabelValues, loss_of
from flyball.outcomes import Prediction
from flyball.policy import ExperimentMetric, metric
from flyball.tasks import About, RecommendRequest


def about(**declaration: object) -> About:
    return About(kind="predict", request=RecommendRequest, declaration=dict(declaration))


@pytest.mark.parametrize(
    ("loss", "values", "actual", "expected"),
    [
        ("absolute_error", [3.0], 5.0, 2.0),
        ("squared_error", [3.0], 5.0, 4.0),
        ("bias", [3.0], 5.0, -2.0),
        ("log_loss", [0.8], 1.0, -log(0.8)),
        ("log_loss", [0.8], 0.0, -log(0.2)),
        ("brier", [0.8], 1.0, 0.04),
        ("accuracy", [0.8], 0.0, 0.0),
        ("accuracy", [0.5], 1.0, 1.0),
        ("absolute_error", [], 5.0, None),
    ],
)
def test_losses_of_a_number(loss: str, values: list[float], actual: float, expected: float | None) -> None:
    assert loss_of(loss, about(), "x", values, actual) == (None if expected is None else pytest.approx(expected))


def test_losses_of_quantiles_and_classes() -> None:
    quantiles = about(quantiles=[0.1, 0.5, 0.9])
    assert loss_of("pinball", quantiles, "x", [1.0, 2.0, 4.0], 3.0) == pytest.approx((0.2 + 0.5 + 0.1) / 3)
    assert loss_of("coverage", quantiles, "x", [1.0, 2.0, 4.0], 4.0) == 1.0
    assert loss_of("coverage", quantiles, "x", [1.0, 2.0, 4.0], 4.1) == 0.0
    assert loss_of("absolute_error", quantiles, "x", [1.0, 2.0, 4.0], 3.0) == 1.0
    classes = about(classes=["a", "b", "c"])
    assert loss_of("accuracy", classes, "x", [0.2, 0.5, 0.3], 1.0) == 1.0
    assert loss_of("log_loss", classes, "x", [0.2, 0.5, 0.3], 2.0) == pytest.approx(-log(0.3))
    assert loss_of("brier", classes, "x", [0.2, 0.5, 0.3], 0.0) == pytest.approx(0.64 + 0.25 + 0.09)


def test_a_loss_that_the_task_cannot_have_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="of a task that predicts quantiles"):
        loss_of("pinball", about(), "x", [1.0], 1.0)
    with pytest.raises(BadDeclaration, match="accuracy, log_loss or brier"):
        loss_of("bias", about(classes=["a", "b"]), "x", [0.5, 0.5], 1.0)
    assert loss_of("pinball", delivery.task.about, "order", [10.0, 20.0, 30.0], 25.0) is not None
    assert loss_of("log_loss", fraud.task.about, "chargeback", [0.5], 1.0) == pytest.approx(log(2))


def payment(decision: str, propensity: float = 1.0, probability: float = 0.3) -> Prediction:
    return Prediction(
        id="p1",
        at_us=1,
        key="1",
        items=[],
        version="v1",
        level="chosen",
        arm="candidate",
        propensity=1.0,
        request_type="payment",
        request={},
        scores=[],
        sources=[],
        offsets=(),
        values=[probability],
        decision=decision,
        decision_propensity=propensity,
    )


def rows_of(chosen: ExperimentMetric) -> PredictionRows:
    log: Any = None  # single responses are given, none is read
    return PredictionRows(log, Path("none"), fraud.task.about, chosen)


def test_what_a_decision_prevents_did_not_happen_and_has_no_loss() -> None:
    label, loss = rows_of(metric.label("chargeback", better="low")), rows_of(metric.model("log_loss"))
    declined, approved = payment("decline", 0.95), payment("approve")
    assert label.number_of(declined, NOTHING) == label.number_of(declined, LabelValues(censored=True)) == 0.0
    assert label.number_of(approved, LabelValues((1.0,))) == 1.0
    assert label.number_of(approved, LabelValues(censored=True)) is None
    assert loss.number_of(declined, NOTHING) is None
    assert [rows.weight_of(payment("approve", 0.05)) for rows in (label, loss)] == [1.0, 20.0]
    assert loss.weight_of(payment("approve", 0.001)) == LARGEST_WEIGHT
    assert loss.weight_of(approved) == 1.0


def test_the_control_group_makes_the_loss_that_of_all_requests() -> None:
    rng, loss, control = Random(11), rows_of(metric.model("brier")), 0.05
    everyone, labeled, total, weights = [], [], 0.0, 0.0
    for _ in range(40_000):
        risk = rng.choice((0.02, 0.7))
        outcome = LabelValues((1.0,)) if rng.random() < risk else NOTHING
        let_pass = risk < 0.5 or rng.random() < control
        answer = payment("approve" if let_pass else "decline", control if risk > 0.5 else 1.0, risk)
        everyone.append((risk - len(outcome.values)) ** 2)
        number = loss.number_of(answer, outcome)
        if number is not None:
            labeled.append(number)
            total, weights = total + loss.weight_of(answer) * number, weights + loss.weight_of(answer)
    truth = sum(everyone) / len(everyone)
    assert total / weights == pytest.approx(truth, rel=0.1)
    assert sum(labeled) / len(labeled) < 0.4 * truth, "the loss of those that were let pass alone"
