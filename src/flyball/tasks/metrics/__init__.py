"""Metrics that any task can use, as functions of unit weights.

Promises: the value of a metric is its value at unit weights of 1; a weight applies to a unit (user, day, document) with
all its requests; an example of weight 2 counts as two examples.
"""

from flyball.tasks.metrics.binary import (
    auc,
    average_precision,
    brier,
    calibration_ratio,
    log_loss,
    one_class,
    recall_at_fpr,
)
from flyball.tasks.metrics.classes import accuracy, balanced_accuracy, class_log_loss, macro_f1
from flyball.tasks.metrics.cost_curve import CostCurve, CostPoint, cost_curve, reviews_of
from flyball.tasks.metrics.decisions import (
    confusion,
    false_positive_rate,
    money_saved,
    precision_a_day,
    precision_of_flagged,
    recall_a_day,
    recall_of_flagged,
    savings,
)
from flyball.tasks.metrics.labels import f1, hamming_loss, label_cells, macro, micro, subset_accuracy
from flyball.tasks.metrics.numbers import bias, interval_coverage, interval_width, late_share, mae, pinball, rmse, rmsle
from flyball.tasks.metrics.reliability import ReliabilityBin, bin_edges, calibration_error, reliability
from flyball.tasks.unit_weights import (
    DefinedRatio,
    RatioOfSums,
    Resampled,
    Undefined,
    defined_ratio,
    divided,
    ratio,
    request_mean,
    row_weights,
)

__all__ = [
    "CostCurve",
    "CostPoint",
    "DefinedRatio",
    "RatioOfSums",
    "ReliabilityBin",
    "Resampled",
    "Undefined",
    "accuracy",
    "auc",
    "average_precision",
    "balanced_accuracy",
    "bias",
    "bin_edges",
    "brier",
    "calibration_error",
    "calibration_ratio",
    "class_log_loss",
    "confusion",
    "cost_curve",
    "defined_ratio",
    "divided",
    "f1",
    "false_positive_rate",
    "hamming_loss",
    "interval_coverage",
    "interval_width",
    "label_cells",
    "late_share",
    "log_loss",
    "macro",
    "macro_f1",
    "mae",
    "micro",
    "money_saved",
    "one_class",
    "pinball",
    "precision_a_day",
    "precision_of_flagged",
    "ratio",
    "recall_a_day",
    "recall_at_fpr",
    "recall_of_flagged",
    "reliability",
    "request_mean",
    "reviews_of",
    "rmse",
    "rmsle",
    "row_weights",
    "savings",
    "subset_accuracy",
]
