"""Metrics of predicted numbers against actual ones.

Every function takes `predicted` and `actual`, float64 (rows,), the unit of each row (`unit_of`, (rows,), below `units`)
and the weight of each example (`weight`, (rows,), 1 by default). Sources: mean absolute and root mean squared error:
Hyndman and Koehler, "Another look at measures of forecast accuracy", International Journal of Forecasting 2006; pinball
loss: Koenker and Bassett, "Regression Quantiles", Econometrica 1978; coverage and width of intervals: Gneiting and
Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 2007.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import SignedInts
from flyball.tasks.unit_weights import ExampleWeight, Resampled, defined_ratio, request_mean


def mae(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Mean absolute error."""
    return request_mean(np.abs(predicted - actual), unit_of, units, weight)


def rmse(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Root mean squared error."""
    squares = request_mean((predicted - actual) ** 2, unit_of, units, weight)
    return lambda weights: np.sqrt(squares(weights))


def rmsle(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Root mean squared error of log(1 + x), for numbers of 0 or more; a prediction below 0 counts as 0."""
    return rmse(np.log1p(np.maximum(predicted, 0.0)), np.log1p(actual), unit_of, units, weight)


def bias(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Bias: the mean of predicted minus actual numbers, ideally 0."""
    return request_mean(predicted - actual, unit_of, units, weight)


def late_share(
    predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Share of rows whose actual number is above the predicted one, such as broken delivery promises."""
    return request_mean(np.asarray(actual) > predicted, unit_of, units, weight)


def pinball(
    predicted: NDArray[Any],
    actual: NDArray[Any],
    quantile: float,
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
) -> Resampled:
    """Mean pinball loss of predictions of the `quantile`, between 0 and 1."""
    gap = actual - predicted
    return request_mean(np.maximum(quantile * gap, (quantile - 1) * gap), unit_of, units, weight)


def interval_coverage(
    low: NDArray[Any],
    high: NDArray[Any],
    actual: NDArray[Any],
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
) -> Resampled:
    """Share of rows whose actual number is in [low, high]."""
    return request_mean((low <= actual) & (actual <= high), unit_of, units, weight)


def interval_width(
    low: NDArray[Any], high: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Mean of high minus low; of two intervals with equal coverage, the narrower one is better."""
    return defined_ratio(high - low, np.ones(len(high)), unit_of, units, weight)
