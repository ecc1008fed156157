"""Isotonic calibration: the increasing step function that fits the outcomes best, interpolated between its steps.

Sources: pool-adjacent-violators: Barlow et al., "Statistical Inference under Order Restrictions", 1972; for
probabilities: Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD
2002.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles
from flyball.models.tabular.calibration.examples import checked_examples, pooled_by_score


class IsotonicMap(msgspec.Struct, frozen=True):
    """The map from scores to probabilities by linear interpolation; `knots`, `heights`: float64 (steps,), ascending."""

    knots: NDArray[np.float64]
    heights: NDArray[np.float64]

    def apply(self, scores: NDArray[Any]) -> Doubles:
        """The calibrated probabilities, shape (n,); outside the knots, the first or last height."""
        from flyball.models.kernels.calibration import interpolate

        out = np.empty(len(scores))
        interpolate(self.knots, self.heights, np.ascontiguousarray(scores, np.float64), out)
        return out


def fit_isotonic(scores: NDArray[Any], actual: NDArray[Any], weight: NDArray[Any] | None = None) -> IsotonicMap:
    """Fit on `scores`, numbers that increase with the probability, and `actual`, from 0 to 1, shape (n,) each.

    Examples with equal scores are merged into one with their mean; a `weight` of 0 omits an example. The result is the
    same, bit for bit, for any order of examples. Raises `BadInput` for different shapes, numbers out of range or not
    finite, or no weight above 0.

    >>> fit_isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 0, 1])).heights
    array([0. , 0.5, 0.5, 1. ])
    """
    from flyball.models.kernels.calibration import pool_violators

    points, means, masses = pooled_by_score(*checked_examples(scores, actual, weight))
    heights, mass, starts = np.empty(len(points)), np.empty(len(points)), np.empty(len(points), np.int64)
    blocks = int(pool_violators(means, masses, heights, mass, starts))
    first = starts[:blocks]
    last = np.append(first[1:], len(points)) - 1
    kept = np.stack([first, last], axis=1).ravel()
    twice = np.repeat(heights[:blocks], 2)
    single = np.append(True, kept[1:] != kept[:-1])  # a block of one score has one knot
    return IsotonicMap(points[kept][single], twice[single])
