"""Performance that labels show: metrics of logged predictions with intervals over keys."""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
import numpy as np

from flyball.core import Doubles
from flyball.evaluation import Estimate, resample
from flyball.monitoring.performance.logged import Logged, PredictionKind
from flyball.tasks import RatioOfSums, Resampled, auc, brier, log_loss

_RESAMPLES = 200
_SMALLEST = 1e-15


class LiveMetric(msgspec.Struct, frozen=True):
    """A metric of logged predictions with labels; `better`: "high" or "low", "" if it is only to be known."""

    better: Literal["high", "low", ""]
    measure: Callable[[Logged], Resampled]


def _mean(numbers: Doubles, rows: Logged, counted: Doubles | None = None) -> Resampled:
    """The weighted mean of `numbers` over rows, or the ratio to the sum of `counted`; nan without any."""
    below = rows.weight * (np.ones(len(rows)) if counted is None else counted)
    above, counts = (_by_unit(values, rows) for values in (numbers * rows.weight, below))
    ratio = RatioOfSums(above, counts)
    return lambda weights: np.where(weights @ counts > 0, ratio(weights), np.nan)


def _by_unit(values: Doubles, rows: Logged) -> Doubles:
    return np.asarray(np.bincount(rows.unit, values, rows.units), dtype=np.float64)


def _hits(rows: Logged) -> Doubles:
    return (rows.flagged & (rows.actual > 0)).astype(np.float64)


def _of_classes(loss: Callable[[Logged], Doubles]) -> Callable[[Logged], Resampled]:
    return lambda rows: _mean(loss(rows), rows)


def _probability_of_actual(rows: Logged) -> Doubles:
    return np.asarray(rows.scores[np.arange(len(rows)), rows.actual.astype(np.int64)])


def _class_brier(rows: Logged) -> Doubles:
    return np.asarray((rows.scores**2).sum(axis=1) - 2 * _probability_of_actual(rows) + 1)


def _covered(rows: Logged) -> Doubles:
    return ((rows.spans[:, 0] <= rows.actual) & (rows.actual <= rows.spans[:, 1])).astype(np.float64)


def _taken(rows: Logged) -> Doubles:
    return (rows.actual > 0).astype(np.float64)


LIVE_METRICS: Mapping[PredictionKind, Mapping[str, LiveMetric]] = {
    "probability": {
        "share": LiveMetric("", lambda rows: _mean(rows.actual, rows)),
        "auc": LiveMetric("high", lambda rows: auc(rows.scores, rows.actual, rows.unit, rows.units, rows.weight)),
        "log_loss": LiveMetric(
            "low", lambda rows: log_loss(rows.scores, rows.actual, rows.unit, rows.units, rows.weight)
        ),
        "brier": LiveMetric("low", lambda rows: brier(rows.scores, rows.actual, rows.unit, rows.units, rows.weight)),
        "accuracy": LiveMetric(
            "high", lambda rows: _mean((rows.flagged == (rows.actual > 0)).astype(np.float64), rows)
        ),
        "precision": LiveMetric("high", lambda rows: _mean(_hits(rows), rows, rows.flagged.astype(np.float64))),
        "recall": LiveMetric("high", lambda rows: _mean(_hits(rows), rows, rows.actual)),
        "f1": LiveMetric("high", lambda rows: _mean(2 * _hits(rows), rows, rows.flagged + rows.actual)),
        "calibration_gap": LiveMetric("", lambda rows: _mean(rows.actual - rows.scores, rows)),
    },
    "classes": {
        "accuracy": LiveMetric("high", _of_classes(lambda rows: (rows.scores.argmax(axis=1) == rows.actual) * 1.0)),
        "log_loss": LiveMetric(
            "low", _of_classes(lambda rows: -np.log(np.maximum(_probability_of_actual(rows), _SMALLEST)))
        ),
        "brier": LiveMetric("low", _of_classes(_class_brier)),
    },
    "number": {
        "absolute_error": LiveMetric("low", lambda rows: _mean(np.abs(rows.actual - rows.scores), rows)),
        "bias": LiveMetric("", lambda rows: _mean(rows.scores - rows.actual, rows)),
        "coverage": LiveMetric(
            "", lambda rows: _mean(_covered(rows), rows, (~np.isnan(rows.spans[:, 0])).astype(np.float64))
        ),
    },
    "list": {
        "hit_rate": LiveMetric("high", lambda rows: _mean(_taken(rows), rows)),
        "reciprocal_rank": LiveMetric("high", lambda rows: _mean(_taken(rows) / np.maximum(rows.actual, 1), rows)),
        "rank_taken": LiveMetric("low", lambda rows: _mean(rows.actual, rows, _taken(rows))),
    },
}
"""{what is predicted: {metric: how it is measured}}; the first with a direction is the one of slices."""


LOSS_NAMES: Mapping[PredictionKind, str] = {
    "probability": "the Brier score",
    "classes": "the Brier score (halved)",
    "number": "the absolute error",
    "list": "1 less the reciprocal rank",
}
"""{what is predicted: the loss of a single prediction, in words}."""


def main_metric(kind: PredictionKind) -> str:
    """The metric that slices and monitors look at: a mean over predictions, so that each counts."""
    return {"probability": "brier", "classes": "brier", "number": "absolute_error", "list": "hit_rate"}[kind]


def losses(rows: Logged) -> Doubles:
    """The loss of each prediction with a label, (rows,): Brier score, absolute error, or 1 less the reciprocal rank."""
    if rows.kind == "probability":
        return np.asarray((rows.scores - rows.actual) ** 2)
    if rows.kind == "classes":
        return _class_brier(rows) / 2
    if rows.kind == "number":
        return np.abs(rows.actual - rows.scores)
    return 1 - _taken(rows) / np.maximum(rows.actual, 1)


def measured(rows: Logged, names: "tuple[str, ...] | None" = None, seed: int = 0) -> dict[str, Estimate]:
    """Each metric of `rows`, all with labels, with its 95 % interval; metrics that are undefined are left out.

    `names`: of `LIVE_METRICS`, by default all of the kind. Keys are resampled, since predictions of a key are alike.
    """
    if not len(rows):
        return {}
    keys, unit = np.unique(rows.unit, return_inverse=True)
    dense = msgspec.structs.replace(rows, unit=unit, units=len(keys))
    of_kind = LIVE_METRICS[rows.kind]
    measures = {name: of_kind[name].measure(dense) for name in names or of_kind}
    resampled = resample(measures, len(keys), seed, _RESAMPLES)
    return {name: metric.estimate() for name, metric in resampled.items() if not np.isnan(metric.value)}


def value_of(rows: Logged, name: str) -> float:
    """The value of a metric of `rows`, all with labels; nan where it is undefined."""
    if not len(rows):
        return float("nan")
    return float(LIVE_METRICS[rows.kind][name].measure(rows)(np.ones((1, rows.units)))[0])
