"""Metrics of the probabilities of several labels at once.

`probabilities`, `actual`, `weight`: float64 (rows, labels); `actual` is 0 or 1; a cell of weight 0 is unknown and never
counts. A macro average is the mean over labels, with equal weights; a micro average is over all cells. Sources:
Tsoumakas, Katakis and Vlahavas, "Mining Multi-label Data", Data Mining and Knowledge Discovery Handbook, 2010, section
7; subset accuracy: Boutell et al., "Learning multi-label scene classification", Pattern Recognition 2004.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, SignedInts
from flyball.tasks.unit_weights import ExampleWeight, Resampled, defined_ratio, divided, request_mean


def f1(
    chosen: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """F1: 2 hits / (chosen + happened) of decisions, bool (rows,); nan if nothing was chosen and nothing happened.

    Source: van Rijsbergen, "Information Retrieval", 1979.
    """
    chosen, happened = np.asarray(chosen), np.asarray(actual) > 0
    both = chosen.astype(np.float64) + happened
    return defined_ratio(2.0 * (chosen & happened), both, unit_of, units, weight)


def macro(
    measure: Callable[..., Resampled],
    values: NDArray[Any],
    actual: NDArray[Any],
    unit_of: SignedInts,
    units: int,
    weight: Doubles,
) -> Resampled:
    """Macro average: the mean over labels of the `measure` of one label; labels for which it is nan are left out."""
    measured = []
    for label in range(weight.shape[1]):
        own, label_actual, unit, counted = label_cells(values, actual, unit_of, weight, label)
        if len(counted):
            measured.append(measure(own, label_actual, unit, units, counted))

    def value(weights: Doubles) -> Doubles:
        scores = np.array([score(weights) for score in measured]).reshape(len(measured), len(weights))
        is_defined = ~np.isnan(scores)
        return divided(np.where(is_defined, scores, 0.0).sum(axis=0), is_defined.sum(axis=0).astype(np.float64))

    return value


def micro(
    measure: Callable[..., Resampled],
    values: NDArray[Any],
    actual: NDArray[Any],
    unit_of: SignedInts,
    units: int,
    weight: Doubles,
) -> Resampled:
    """Micro average: a `measure` of all cells, each treated as one row."""
    rows, labels = np.nonzero(weight > 0)
    cells = values[rows, labels], actual[rows, labels], unit_of[rows]
    return measure(*cells, units, weight[rows, labels])


def label_cells(
    values: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, weight: Doubles, label: int
) -> tuple[NDArray[Any], NDArray[Any], SignedInts, Doubles]:
    """The values, actual outcomes, units and weights of the rows with one known label."""
    rows = np.flatnonzero(weight[:, label] > 0)
    return values[rows, label], actual[rows, label], unit_of[rows], weight[rows, label]


def hamming_loss(
    chosen: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: Doubles
) -> Resampled:
    """Hamming loss: the share of known cells whose decision, bool (rows, labels), is wrong."""

    def wrong(chosen: NDArray[Any], actual: NDArray[Any], *weighting: Any) -> Resampled:
        return request_mean(chosen != (actual > 0), *weighting)

    return micro(wrong, chosen, actual, unit_of, units, weight)


def subset_accuracy(
    chosen: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: Doubles
) -> Resampled:
    """Subset accuracy: the share of rows with correct decisions on all labels, among rows with only known labels."""
    rows = np.flatnonzero((weight > 0).all(axis=1))
    right = (chosen[rows] == (actual[rows] > 0)).all(axis=1)
    return defined_ratio(right, np.ones(len(rows)), unit_of[rows], units, weight[rows].mean(axis=1))
