"""Estimated performance: planted changes of the scores, shares of labels, and what cannot be estimated."""

import numpy as np
import pytest
from msgspec.structs import replace
from tests.monitoring.performance.bank import rows

from flyball.monitoring.performance.estimated import estimated, estimated_shares, expected_values, learn_reference
from flyball.monitoring.performance.logged import Logged
from flyball.monitoring.performance.loss_windows import explained_by_shares
from flyball.monitoring.performance.measured import measured


def planted(count: int, seed: int, shift: float = 0.0) -> Logged:
    """Probabilities that are too low, with what became of them."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(2 + shift, 5, count)
    return rows(scores, rng.random(count) < np.sqrt(scores))


def test_a_shift_of_scores_is_estimated_as_it_is_measured_later() -> None:
    reference = learn_reference(planted(6_000, 1))
    now = planted(4_000, 2, shift=0.8)
    expected, why = estimated(now, reference)
    later = measured(now)
    assert not why
    for name, metric in expected.items():
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= later[name].value <= metric.high, name
    assert set(expected) == {"accuracy", "precision", "recall", "f1", "log_loss", "brier", "auc"}
    assert expected_values(now, reference) == pytest.approx({name: metric.value for name, metric in expected.items()})


def test_shares_of_labels_follow_their_change() -> None:
    rng = np.random.default_rng(3)

    def of(labels: np.ndarray) -> Logged:
        return rows(np.clip(rng.normal(0.3 + 0.4 * labels, 0.15), 0, 1), labels)

    reference = learn_reference(of(rng.random(5_000) < 0.2))
    shift, why = estimated_shares(of(rng.random(2_000) < 0.5), reference)
    assert not why
    assert shift is not None
    assert shift.method == "bbse"
    assert shift.low[1] < 0.5 < shift.high[1]
    assert shift.changed


def test_classes_are_estimated_too() -> None:
    rng = np.random.default_rng(4)
    scores = rng.dirichlet([1, 1, 1], 4_000)
    labels = (rng.random(4_000)[:, None] > scores.cumsum(axis=1)).sum(axis=1)
    both = rows(scores, labels, "classes", classes=("a", "b", "c"))
    reference = learn_reference(both.only(np.arange(4_000) < 3_000))
    now = both.only(np.arange(4_000) >= 3_000)
    expected, _ = estimated(now, reference)
    assert expected["accuracy"].value == pytest.approx(measured(now)["accuracy"].value, abs=0.05)
    shift, _ = estimated_shares(now, reference)
    assert shift is not None
    assert shift.shares == pytest.approx([1 / 3] * 3, abs=0.08)


def test_what_cannot_be_estimated_says_why() -> None:
    numbers = learn_reference(rows([1, 2], [1, 2], "number"))
    assert estimated(rows([1], [1], "number"), numbers) == (
        {},
        "numbers have no probabilities from which their performance could be estimated",
    )
    assert learn_reference(rows([3], [1], "list")).unknown.startswith("lists have no probabilities")
    few = learn_reference(rows([0.1] * 50, [0] * 40 + [1] * 10))
    assert few.unknown == (
        "too few labels are known from before: outcomes of kind 1 must be 30 or more: wait for more labels, got 10"
    )
    assert expected_values(rows([0.5], [1]), few) == {}
    assert estimated_shares(rows([0.5], [1]), few) == (None, few.unknown)
    reference = learn_reference(planted(2_000, 5))
    _, why = estimated(rows([0.999] * 100, [1] * 100), reference)
    assert why == "100% of the scores lie where the reference has next to no rows"
    rng = np.random.default_rng(6)
    noise = learn_reference(rows(rng.random(2_000), rng.random(2_000) < 0.5))
    _, why = estimated_shares(rows([0.5] * 20, [1] * 20), noise)
    assert why.startswith("condition number of the confusion matrix must be at most 30")


def test_the_latest_labels_are_learned() -> None:
    both = rows(np.full(60_000, 0.5), np.arange(60_000) % 2)
    assert len(learn_reference(both).rows) == 50_000


def test_labels_that_a_decision_hides_do_not_shift_the_shares() -> None:
    rng = np.random.default_rng(5)
    labels = rng.random(20_000) < 0.1
    made = rows(np.clip(rng.normal(0.2 + 0.5 * labels, 0.15), 0, 1), labels)
    declined = made.scores > 0.5
    known = ~declined | (rng.random(len(labels)) < 0.1)
    reference = replace(made, weight=np.where(declined, 10.0, 1.0)).only(known)
    shift, _ = estimated_shares(made, learn_reference(reference), draws=50)
    assert shift is not None
    assert shift.shares[1] == pytest.approx(0.1, abs=0.01)
    assert explained_by_shares(reference, made, shift.shares) is not None
