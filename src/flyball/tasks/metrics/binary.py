"""Metrics of predicted probabilities against what happened (0 or 1).

Every function takes `predicted`, float64 (rows,), probabilities (for `auc` and `average_precision` any scores),
`actual`, 0 or 1, and each row's unit (`unit_of`, of `units`). Sources: AUC with ties as half: Hanley and McNeil,
"The meaning and use of the area under a ROC curve", Radiology 1982; average precision: Manning, Raghavan and Schütze,
"Introduction to Information Retrieval", 2008, chapter 8, thresholds at distinct scores; log loss and Brier score:
Gneiting and Raftery, JASA 2007; calibration error in equally filled bins: Nixon et al., "Measuring Calibration in Deep
Learning", CVPR Workshops 2019.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, SignedInts
from flyball.tasks.metrics.unit_weights import Resampled, ratio, request_mean, row_weights

_SMALLEST = 1e-15
_BINS = 10


def logloss(predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int) -> Resampled:
    """Mean of -log of the probability given to what happened; probabilities count as 1e-15 at least."""
    given = np.where(actual > 0, predicted, 1.0 - np.asarray(predicted, np.float64))
    return request_mean(-np.log(np.clip(given, _SMALLEST, 1.0)), unit_of, units)


def brier(predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int) -> Resampled:
    """Mean squared difference of probability and what happened."""
    return request_mean((np.asarray(predicted, np.float64) - actual) ** 2, unit_of, units)


def calibration_ratio(predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int) -> Resampled:
    """Sum of probabilities over what happened; it should be 1."""
    return ratio(predicted, actual, unit_of, units)


def calibration_error(predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int) -> Resampled:
    """Mean over rows of |mean probability - share that happened| of the row's bin: ten bins of equally many rows."""
    order = np.argsort(predicted, kind="stable")
    bin_of = np.empty(len(order), np.int64)
    bin_of[order] = np.arange(len(order)) * _BINS // max(len(order), 1)
    gap = np.asarray(predicted, np.float64) - actual
    gaps = np.stack([np.bincount(unit_of, np.where(bin_of == one, gap, 0.0), units) for one in range(_BINS)], axis=1)
    rows = np.bincount(unit_of, minlength=units).astype(np.float64)
    return lambda weights: np.asarray(np.abs(weights @ gaps).sum(axis=1) / np.maximum(weights @ rows, 1e-300))


def auc(predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int) -> Resampled:
    """Probability that a row where it happened scores above one where it did not, ties as half; nan without both."""
    order = np.argsort(predicted, kind="stable")
    happened, last = np.asarray(actual)[order] > 0, _last_of_ties(np.asarray(predicted)[order])

    def value(weights: Doubles) -> Doubles:
        parts = []
        for rows in row_weights(weights, unit_of[order]):
            above, below = np.where(happened, rows, 0.0), np.where(happened, 0.0, rows)
            until = np.cumsum(below, axis=1)
            upto = until[:, last]
            before = np.concatenate([np.zeros((len(rows), 1)), upto], axis=1)[:, _tie_number(last)]
            wins = (above * (before + 0.5 * (upto[:, _tie_number(last)] - before))).sum(axis=1)
            parts.append(_divided(wins, above.sum(axis=1) * below.sum(axis=1)))
        return np.concatenate(parts)

    return value


def average_precision(predicted: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int) -> Resampled:
    """Sum over distinct scores, best first, of (recall gained there) times (precision down to there)."""
    order = np.argsort(-np.asarray(predicted), kind="stable")
    happened, last = np.asarray(actual)[order] > 0, _last_of_ties(np.asarray(predicted)[order])

    def value(weights: Doubles) -> Doubles:
        parts = []
        for rows in row_weights(weights, unit_of[order]):
            hits = np.cumsum(np.where(happened, rows, 0.0), axis=1)[:, last]
            seen = np.cumsum(rows, axis=1)[:, last]
            gained = np.diff(hits, axis=1, prepend=0.0)
            parts.append(_divided((gained * hits / np.maximum(seen, 1e-300)).sum(axis=1), hits[:, -1]))
        return np.concatenate(parts)

    return value


def _last_of_ties(ordered: NDArray[Any]) -> NDArray[np.int64]:
    """The last row of each run of equal scores."""
    ends = np.append(ordered[1:] != ordered[:-1], True) if len(ordered) else np.zeros(0, bool)
    return np.flatnonzero(ends)


def _tie_number(last: NDArray[np.int64]) -> NDArray[np.int64]:
    """The run of each row."""
    return np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))


def _divided(above: Doubles, below: Doubles) -> Doubles:
    divided: Doubles = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return divided
