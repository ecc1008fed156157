"""Platt scaling: a logistic regression on the score.

Source: Platt, "Probabilistic Outputs for Support Vector Machines", Advances in Large Margin Classifiers 1999, with his
smoothed targets and the fit of Lin, Lin and Weng, Machine Learning 2007.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles
from flyball.models.tabular.calibration.examples import checked_examples
from flyball.models.tabular.calibration.logistic import fit_logistic, smoothed_targets


class PlattMap(msgspec.Struct, frozen=True):
    """probability = 1 / (1 + exp(-(slope * score + intercept))); Platt's A and B are minus these."""

    slope: float
    intercept: float

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """The coefficients of the equal `BetaMap` of probabilities, if the scores are their log odds."""
        return self.slope, self.slope, self.intercept

    def apply(self, scores: NDArray[Any]) -> Doubles:
        """The calibrated probabilities, (n,)."""
        from flyball.models.kernels.calibration import sigmoid_line

        out = np.empty(len(scores))
        sigmoid_line(np.ascontiguousarray(scores, np.float64), self.slope, self.intercept, out)
        return out


def fit_platt(scores: NDArray[Any], actual: NDArray[Any], weight: NDArray[Any] | None = None) -> PlattMap:
    """Fit on `scores`, such as log odds, and `actual`, from 0 to 1, shape (n,) each.

    Raises `BadInput` for different shapes, numbers out of range or not finite, or no weight above 0.
    """
    scores, actual, weight = checked_examples(scores, actual, weight)
    features = np.stack([scores, np.ones(len(scores))], axis=1)
    slope, intercept = fit_logistic(features, smoothed_targets(actual, weight), weight, np.zeros(2))
    return PlattMap(float(slope), float(intercept))


def log_odds_of(probabilities: NDArray[Any]) -> Doubles:
    """log(p / (1 - p)), shape (n,), of probabilities that are clipped to 1e-15 from 0 and 1."""
    from flyball.models.kernels.calibration import log_odds

    out = np.empty(len(probabilities))
    log_odds(np.ascontiguousarray(probabilities, np.float64), out)
    return out
