"""Metrics that any task can use, as functions of unit weights.

Promises: a metric is its value at weights 1; a unit (user, day, document) counts as a whole, with all its requests.
"""

from flyball.tasks.metrics.binary import (
    auc,
    average_precision,
    brier,
    calibration_error,
    calibration_ratio,
    logloss,
)
from flyball.tasks.metrics.numbers import bias, interval_coverage, mae, pinball, rmse, rmsle
from flyball.tasks.metrics.unit_weights import RatioOfSums, Resampled, ratio, request_mean, row_weights

__all__ = [
    "RatioOfSums",
    "Resampled",
    "auc",
    "average_precision",
    "bias",
    "brier",
    "calibration_error",
    "calibration_ratio",
    "interval_coverage",
    "logloss",
    "mae",
    "pinball",
    "ratio",
    "request_mean",
    "rmse",
    "rmsle",
    "row_weights",
]
