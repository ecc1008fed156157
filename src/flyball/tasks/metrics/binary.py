"""Metrics of predicted probabilities against outcomes (0 or 1).

Every function takes `predicted`, float64 (rows,), probabilities (for `auc` and `average_precision` any scores),
`actual`, (rows,), 0 or 1, the unit of each row (`unit_of`, (rows,), below `units`) and the weight of each example
(`weight`, (rows,), 1 by default). No metric depends on the order of rows with equal scores. Sources: AUC with ties as
half: Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982; average precision:
Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, chapter 8, thresholds at distinct scores;
recall at a false-positive rate: Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006; log loss
and Brier score: Gneiting and Raftery, JASA 2007.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles, SignedInts
from flyball.tasks.unit_weights import (
    ExampleWeight,
    Resampled,
    Undefined,
    defined_ratio,
    divided,
    request_mean,
    row_weights,
)

_SMALLEST = 1e-15


def one_class(actual: NDArray[Any], metric: str) -> Undefined | None:
    """Why a metric that compares both classes is undefined for `actual`; None if it is defined.

    >>> one_class(np.array([0, 0, 0]), "auc").reason
    'auc needs examples of both classes, all 3 are 0'
    """
    happened = np.asarray(actual) > 0
    if happened.any() and not happened.all():
        return None
    only = "" if not len(happened) else f", all {len(happened)} are {int(happened[0])}"
    return Undefined(f"{metric} needs examples of both classes{only or ', there are none'}")


def log_loss(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Mean log loss: -log of the probability of the actual outcome, clipped at 1e-15."""
    probability = np.where(np.asarray(actual) > 0, predicted, 1.0 - np.asarray(predicted, np.float64))
    return request_mean(-np.log(np.clip(probability, _SMALLEST, 1.0)), unit_of, units, weight)


def brier(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Brier score: the mean squared difference of probability and outcome."""
    return request_mean((np.asarray(predicted, np.float64) - actual) ** 2, unit_of, units, weight)


def calibration_ratio(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Calibration ratio: the sum of probabilities divided by the number of positives, ideally 1; nan without any."""
    return defined_ratio(predicted, actual, unit_of, units, weight)


def auc(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Area under the ROC curve: the probability that a positive scores above a negative, ties as half.

    nan without both classes.
    """
    ascending = _Ranked(-np.asarray(predicted, np.float64), actual, unit_of, weight)

    def of_rows(rows: Doubles) -> Doubles:
        above, below = ascending.at_thresholds(rows)
        before = np.concatenate([np.zeros((len(rows), 1)), below[:, :-1]], axis=1)
        gained = np.diff(above, axis=1, prepend=0.0)
        return divided((gained * (before + below)).sum(axis=1) / 2, above[:, -1] * below[:, -1])

    return ascending.resampled(of_rows)


def average_precision(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Average precision: the sum over distinct scores, best first, of the gain in recall times the precision.

    nan without positives.
    """
    descending = _Ranked(predicted, actual, unit_of, weight)

    def of_rows(rows: Doubles) -> Doubles:
        above, below = descending.at_thresholds(rows)
        gained = np.diff(above, axis=1, prepend=0.0)
        return divided((gained * above / np.maximum(above + below, 1e-300)).sum(axis=1), above[:, -1])

    return descending.resampled(of_rows)


def recall_at_fpr(
    predicted: NDArray[Any],
    actual: NDArray[Any],
    most: float,
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
) -> Resampled:
    """The highest recall of a threshold whose false-positive rate is at most `most`, in [0, 1].

    nan without both classes.
    """
    if not 0 <= most <= 1:
        raise BadInput("false-positive rate", "from 0 to 1", most)
    descending = _Ranked(predicted, actual, unit_of, weight)

    def of_rows(rows: Doubles) -> Doubles:
        above, below = descending.at_thresholds(rows)
        allowed = below <= most * below[:, -1:] * (1 + 1e-12)  # includes a rate of exactly `most`
        recall = divided(np.where(allowed, above, 0.0).max(axis=1), above[:, -1])
        return np.where(below[:, -1] > 0, recall, np.nan)

    return descending.resampled(of_rows)


class _Ranked:
    """Rows by descending score; rows with equal scores have one threshold."""

    def __init__(self, scores: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, weight: ExampleWeight) -> None:
        order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
        ordered = np.asarray(scores)[order]
        ends = np.append(ordered[1:] != ordered[:-1], True) if len(order) else np.zeros(0, bool)
        self._happened = np.asarray(actual)[order] > 0
        self._last_of_ties, self._unit_of = np.flatnonzero(ends), unit_of[order]
        self._weight = None if weight is None else np.asarray(weight, np.float64)[order]

    def at_thresholds(self, rows: Doubles) -> tuple[Doubles, Doubles]:
        """The weight of positive and of negative rows at or above each distinct score, (resamples, scores) each."""
        above = np.cumsum(np.where(self._happened, rows, 0.0), axis=1)[:, self._last_of_ties]
        below = np.cumsum(np.where(self._happened, 0.0, rows), axis=1)[:, self._last_of_ties]
        return above, below

    def resampled(self, of_rows: Callable[[Doubles], Doubles]) -> Resampled:
        """`of_rows`: row weights (some resamples, rows) in this order -> values (some resamples,)."""
        if not len(self._last_of_ties):
            return lambda weights: np.full(len(weights), np.nan)
        return lambda weights: np.concatenate(
            [of_rows(rows) for rows in row_weights(weights, self._unit_of, self._weight)]
        )
