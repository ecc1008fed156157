"""Quality per declared group of logged predictions, where their labels are final."""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from flyball.core import Doubles
from flyball.evaluation import GroupComparison, GroupInput, compare_groups
from flyball.monitoring.performance.logged import Logged, PredictionKind
from flyball.tasks import DefinedRatio, Resampled, auc, brier, log_loss

_RESAMPLES = 400
_SMALLEST = 1e-15

MeasureRows = Callable[[Logged], Resampled]


def _mean(value: Callable[[Logged], Doubles], counted: Callable[[Logged], Doubles] | None = None) -> MeasureRows:
    """The mean of a number of each prediction; nan without any. `counted`: which predictions count."""

    def measured(rows: Logged) -> DefinedRatio:
        counts = np.ones(len(rows)) if counted is None else counted(rows)
        above, below = (
            np.bincount(rows.unit, part * rows.weight, rows.units).astype(np.float64)
            for part in (value(rows) * counts, counts)
        )
        return DefinedRatio(above, below)

    return measured


def _errors(rows: Logged) -> Doubles:
    return np.abs(rows.scores - rows.actual)


def _flagged(rows: Logged) -> Doubles:
    return rows.flagged.astype(np.float64)


def _of_actual(rows: Logged) -> Doubles:
    probability = rows.scores[np.arange(len(rows)), rows.actual.astype(np.int64)]
    return np.asarray(-np.log(np.maximum(probability, _SMALLEST)))


def _covered(rows: Logged) -> Doubles:
    return ((rows.spans[:, 0] <= rows.actual) & (rows.actual <= rows.spans[:, 1])).astype(np.float64)


LIVE_GROUP_METRICS: Mapping[PredictionKind, Mapping[str, MeasureRows]] = {
    "probability": {
        "log_loss": lambda rows: log_loss(rows.scores, rows.actual, rows.unit, rows.units, rows.weight),
        "auc": lambda rows: auc(rows.scores, rows.actual, rows.unit, rows.units, rows.weight),
        "brier": lambda rows: brier(rows.scores, rows.actual, rows.unit, rows.units, rows.weight),
        "true_positive_rate": _mean(_flagged, lambda rows: rows.actual),
        "false_positive_rate": _mean(_flagged, lambda rows: 1 - rows.actual),
        "calibration_gap": _mean(lambda rows: rows.actual - rows.scores),
    },
    "classes": {
        "log_loss": _mean(_of_actual),
        "accuracy": _mean(lambda rows: np.asarray(rows.scores.argmax(axis=1) == rows.actual, np.float64)),
    },
    "number": {
        "mae": _mean(_errors),
        "bias": _mean(lambda rows: rows.scores - rows.actual),
        "coverage": _mean(_covered, lambda rows: (~np.isnan(rows.spans[:, 0])).astype(np.float64)),
    },
    "list": {
        "hit_rate": _mean(lambda rows: (rows.actual > 0).astype(np.float64)),
        "reciprocal_rank": _mean(lambda rows: (rows.actual > 0) * 1.0 / np.maximum(rows.actual, 1.0)),
    },
}
"""{what is predicted: {metric: how it is measured on predictions with labels}}; names are those of offline reports."""

SELECTED: Mapping[str, MeasureRows] = {"selection_rate": _mean(_flagged)}
"""What needs no label, of probabilities."""


def compare_live(rows: Logged, by: str, *, seed: int = 0, attributes: int = 1) -> GroupComparison:
    """The groups of `by`, a slice of `rows`, compared by what is known of their predictions.

    What is selected counts all predictions, as answered; everything else those with a final label.
    """
    units = np.unique(rows.unit, return_inverse=True)
    dense = msgspec.structs.replace(rows, unit=units[1], units=len(units[0]))
    groups = {str(name): _input(dense.only(dense.slices[by] == name)) for name in np.unique(dense.slices[by])}
    return compare_groups(by, groups, max(dense.units, 1), seed, _RESAMPLES, attributes)


def _input(rows: Logged) -> GroupInput:
    known = rows.only(rows.labeled)
    measures: dict[str, Resampled] = {}
    if rows.kind == "probability":
        as_answered = msgspec.structs.replace(rows, weight=np.ones(len(rows)))
        measures |= {name: measure(as_answered) for name, measure in SELECTED.items()}
    if len(known):
        measures |= {name: measure(known) for name, measure in LIVE_GROUP_METRICS[rows.kind].items()}
    return GroupInput(len(known), len(np.unique(known.unit)), measures)


def with_weights(rows: Logged, factors: Doubles) -> Logged:
    """The same rows, each counting so many times as much; (rows,)."""
    return msgspec.structs.replace(rows, weight=rows.weight * factors)
