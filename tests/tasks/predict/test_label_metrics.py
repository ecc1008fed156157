"""Metrics of several labels against the definitions, written out over the cells whose label is known."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.tasks.answers import Answers
from flyball.tasks.evaluation import EvaluationSet
from flyball.tasks.metrics import Undefined
from flyball.tasks.predict.label_metrics import label_families

LABELS = ("late", "damaged", "lost")
PROBABILITY = np.array([[0.9, 0.2, 0.6], [0.4, 0.7, 0.5], [0.3, 0.6, 0.1], [0.8, 0.1, 0.4], [0.55, 0.5, 0.3]])
CAME = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]], dtype=np.float64)
KNOWN = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 1]], dtype=np.float64)


class Truth(msgspec.Struct, frozen=True):
    target: Any
    weight: Any


def value(name: str, known: NDArray[Any] = KNOWN, argument: float = 0.0, weights: NDArray[Any] | None = None) -> Any:
    """A metric of the rows above, each of them a unit."""
    rows = np.arange(len(CAME))
    empty = np.zeros((len(rows), 0))
    answers = Answers(empty.astype(np.int32), [], empty.astype(np.int8), [], empty, PROBABILITY)
    examples = EvaluationSet((0, 1), rows, [], [], [str(row) for row in rows], rows, Truth(CAME, known))
    prepared = label_families(LABELS)[0][name].make(argument).prepare(answers, examples)
    if prepared is None or isinstance(prepared, Undefined):
        return prepared
    return float(prepared(np.ones((1, len(rows))) if weights is None else weights[None])[0])


def cells(label: int, known: NDArray[Any] = KNOWN) -> list[tuple[float, bool]]:
    return [(PROBABILITY[row, label], CAME[row, label] > 0) for row in range(len(CAME)) if known[row, label]]


def log_loss(of: list[tuple[float, bool]]) -> float:
    return -sum(math.log(p if came else 1 - p) for p, came in of) / len(of)


def f1(of: list[tuple[float, bool]], threshold: float) -> float:
    right = sum(p >= threshold and came for p, came in of)
    return 2 * right / (sum(p >= threshold for p, _ in of) + sum(came for _, came in of))


def average_precision(of: list[tuple[float, bool]]) -> float:
    """Mean over the outcome of the precision down to it; no two probabilities are alike here."""
    ranked = [came for _, came in sorted(of, reverse=True)]
    return sum(sum(ranked[: n + 1]) / (n + 1) for n, came in enumerate(ranked) if came) / sum(ranked)


@pytest.mark.parametrize(("name", "measure"), [("log_loss", log_loss), ("average_precision", average_precision)])
def test_macro_is_the_mean_over_labels_and_micro_of_all_cells(name: str, measure: Any) -> None:
    by_label = [measure(cells(label)) for label in range(3)]
    assert value(f"macro_{name}") == pytest.approx(sum(by_label) / 3)
    for label, expected in zip(LABELS, by_label, strict=True):
        assert value(f"{label}:{name}") == pytest.approx(expected)
    if name == "log_loss":
        assert value("micro_log_loss") == pytest.approx(log_loss([cell for label in range(3) for cell in cells(label)]))


@pytest.mark.parametrize("threshold", [0.5, 0.45, 0.95])
def test_f1_counts_probabilities_from_the_threshold_on(threshold: float) -> None:
    by_label = [f1(cells(label), threshold) for label in range(3)]
    for label, expected in zip(LABELS, by_label, strict=True):
        assert value(f"{label}:f1", argument=threshold) == pytest.approx(expected)
    assert value("macro_f1", argument=threshold) == pytest.approx(sum(by_label) / 3)
    together = [cell for label in range(3) for cell in cells(label)]
    assert value("micro_f1", argument=threshold) == pytest.approx(f1(together, threshold))


def test_hamming_loss_is_the_share_of_wrong_cells_and_subset_accuracy_of_rows_without_any() -> None:
    wrong = [(p >= 0.5) != came for label in range(3) for p, came in cells(label)]
    assert value("hamming_loss", argument=0.5) == pytest.approx(sum(wrong) / len(wrong))
    whole = [row for row in range(len(CAME)) if KNOWN[row].all()]
    right = [all((PROBABILITY[row] >= 0.5) == (CAME[row] > 0)) for row in whole]
    assert value("subset_accuracy", argument=0.5) == pytest.approx(sum(right) / len(whole))


def test_what_is_not_known_of_a_label_changes_nothing() -> None:
    """The one row of `damaged` that is not known may be predicted as it likes."""
    before = {name: value(name, argument=0.5) for name in label_families(LABELS)[0]}
    kept, came = PROBABILITY[1, 1], CAME[1, 1]
    try:
        PROBABILITY[1, 1], CAME[1, 1] = 0.01, 0.0
        assert {name: value(name, argument=0.5) for name in before} == before
    finally:
        PROBABILITY[1, 1], CAME[1, 1] = kept, came


def test_a_label_that_is_nowhere_known_is_left_out_and_its_own_metrics_say_why() -> None:
    known = KNOWN.copy()
    known[:, 2] = 0
    assert value("macro_log_loss", known) == pytest.approx((log_loss(cells(0)) + log_loss(cells(1))) / 2)
    assert value("lost:log_loss", known) == Undefined(
        "lost:log_loss needs requests whose label is known, there are none"
    )


def test_auc_of_a_label_of_one_class_is_undefined() -> None:
    known = KNOWN * (CAME[:, [0]] > 0)
    undefined = value("late:auc", known)
    assert isinstance(undefined, Undefined)
    assert "late:auc" in undefined.reason


def test_a_resample_that_repeats_a_unit_counts_it_as_often() -> None:
    weights = np.array([3.0, 0.0, 1.0, 2.0, 0.0])
    repeated = [cell for row, times in enumerate(weights) if KNOWN[row, 0] for cell in [row] * int(times)]
    expected = log_loss([(PROBABILITY[row, 0], CAME[row, 0] > 0) for row in repeated])
    assert value("late:log_loss", weights=weights) == pytest.approx(expected)


def test_every_report_has_each_family_once_and_those_of_a_threshold_at_one_half() -> None:
    families, reported = label_families(LABELS)
    assert len(set(reported)) == len(reported) == len(families)
    assert {name for name in reported if "@" in name} == {
        f"{name}@0.5" for name, family in families.items() if family.argument
    }


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, math.nan])
@pytest.mark.parametrize("name", ["macro_f1", "late:f1", "hamming_loss", "subset_accuracy"])
def test_a_threshold_lies_between_0_and_1(name: str, threshold: float) -> None:
    with pytest.raises(BadDeclaration, match=f"threshold of {name} must be between 0 and 1"):
        label_families(LABELS)[0][name].make(threshold)
