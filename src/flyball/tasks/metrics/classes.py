"""Metrics of predicted classes.

`probabilities`: float64 (rows, classes). `actual`: int64 (rows,), the class of each row, -1 for none of the classes.
`weight`: (rows,), the weight of each example. Sources: log loss: Gneiting and Raftery, JASA 2007; macro-averaged
F1: Opitz and Burst, "Macro F1 and Macro F1", 2019, the mean of the classes' F1; balanced accuracy: Brodersen et al.,
ICPR 2010.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, SignedInts
from flyball.tasks.unit_weights import ExampleWeight, Resampled, divided, request_mean


def class_log_loss(
    probabilities: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Mean log loss: -log of the probability of the row's class, clipped at 1e-15; 1e-15 for an unknown class."""
    known = np.asarray(actual) >= 0
    probability = np.where(known, probabilities[np.arange(len(actual)), np.where(known, actual, 0)], 0.0)
    return request_mean(-np.log(np.clip(probability, 1e-15, 1.0)), unit_of, units, weight)


def accuracy(
    chosen: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Share of rows whose `chosen` class (rows,) is the actual one."""
    return request_mean(np.asarray(chosen) == actual, unit_of, units, weight)


def macro_f1(
    chosen: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Macro-averaged F1: the mean over classes of 2 hits / (chosen + actual), without classes that never occur."""
    classes, chosen_of, actual_of, hits_of = _counts(chosen, actual, unit_of, units, weight)

    def value(weights: Doubles) -> Doubles:
        scores = divided(2 * (weights @ hits_of), weights @ chosen_of + weights @ actual_of)
        return _mean_over_classes(scores)

    return value if classes else lambda weights: np.full(len(weights), np.nan)


def balanced_accuracy(
    chosen: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Balanced accuracy: the mean recall of the classes that occur."""
    classes, _, actual_of, hits_of = _counts(chosen, actual, unit_of, units, weight)

    def value(weights: Doubles) -> Doubles:
        return _mean_over_classes(divided(weights @ hits_of, weights @ actual_of))

    return value if classes else lambda weights: np.full(len(weights), np.nan)


def _counts(
    chosen: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight
) -> tuple[int, Doubles, Doubles, Doubles]:
    """The number of classes, and the weights of chosen, actual and both, (units, classes) each."""
    chosen, actual = np.asarray(chosen), np.asarray(actual)
    counted = np.ones(len(actual)) if weight is None else np.asarray(weight, np.float64)
    classes = np.unique(np.concatenate([chosen, actual]))

    def by_unit(rows: NDArray[Any]) -> Doubles:
        return np.bincount(unit_of, counted * rows, units).astype(np.float64)

    if not len(classes):
        return 0, np.zeros((units, 0)), np.zeros((units, 0)), np.zeros((units, 0))
    return (
        len(classes),
        np.stack([by_unit(chosen == name) for name in classes], axis=1),
        np.stack([by_unit(actual == name) for name in classes], axis=1),
        np.stack([by_unit((chosen == name) & (actual == name)) for name in classes], axis=1),
    )


def _mean_over_classes(scores: Doubles) -> Doubles:
    is_defined = ~np.isnan(scores)
    return divided(np.where(is_defined, scores, 0.0).sum(axis=1), is_defined.sum(axis=1).astype(np.float64))
