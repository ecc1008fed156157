"""Losses by their definitions, and which responses have a number."""

from math import log

import pytest

from flyball.apps.delivery import app as delivery
from flyball.apps.fraud import app as fraud
from flyball.core import BadDeclaration
from flyball.experiments.prediction_rows import loss_of
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
