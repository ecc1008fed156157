"""How predictions are evaluated: metrics by kind of target, baselines."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from flyball.models import Constant
from flyball.tasks import metrics
from flyball.tasks.answers import Answers
from flyball.tasks.metrics import Resampled, Undefined
from flyball.tasks.task import EvaluationPlan, EvaluationSet, MetricFamily

if TYPE_CHECKING:
    from flyball.tasks.predict.declaration import Predict

Measure = Callable[..., Resampled]


class TargetMetric(msgspec.Struct, frozen=True):
    """A metric of predicted values (requests, outputs) against what came.

    `measure(values, actual, unit_of, units, weight)`; `both_classes`: whether it needs positives and negatives.
    """

    name: str
    measure: Measure
    better: Literal["high", "low"] | float = "low"
    centered: bool = False
    both_classes: bool = False

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        truth = evaluation.truth
        undefined = metrics.one_class(truth.target, self.name) if self.both_classes else None
        if undefined is not None:
            return undefined
        return self.measure(
            answers.values, truth.target, evaluation.unit_of, len(evaluation.units), weight=truth.weight
        )


def _of_column(measure: Measure, column: int = 0) -> Measure:
    def measured(values: Any, *rest: Any, **named: Any) -> Resampled:
        return measure(values[:, column], *rest, **named)

    return measured


def _numbers(column: int = 0) -> dict[str, TargetMetric]:
    return {
        "mae": TargetMetric("mae", _of_column(metrics.mae, column)),
        "rmse": TargetMetric("rmse", _of_column(metrics.rmse, column)),
        "bias": TargetMetric("bias", _of_column(metrics.bias, column), better=0.0),
        "late_share": TargetMetric("late_share", _of_column(metrics.late_share, column)),
    }


def _quantiles(quantiles: tuple[float, ...]) -> dict[str, TargetMetric]:
    def mean_pinball(values: Any, actual: Any, unit_of: Any, units: int, weight: Any = None) -> Resampled:
        each = [
            metrics.pinball(values[:, place], actual, quantile, unit_of, units, weight)
            for place, quantile in enumerate(quantiles)
        ]
        return lambda weights: np.mean([one(weights) for one in each], axis=0)

    def coverage(values: Any, actual: Any, unit_of: Any, units: int, weight: Any = None) -> Resampled:
        return metrics.interval_coverage(values[:, 0], values[:, -1], actual, unit_of, units, weight)

    def width(values: Any, actual: Any, unit_of: Any, units: int, weight: Any = None) -> Resampled:
        return metrics.interval_width(values[:, 0], values[:, -1], unit_of, units, weight)

    middle = min(range(len(quantiles)), key=lambda place: abs(quantiles[place] - 0.5))
    found = {"pinball": TargetMetric("pinball", mean_pinball)}
    if len(quantiles) > 1:
        found["coverage"] = TargetMetric("coverage", coverage, better=round(quantiles[-1] - quantiles[0], 9))
        found["width"] = TargetMetric("width", width)
    return {**found, **_numbers(middle)}


def _binary() -> dict[str, TargetMetric]:
    return {
        "logloss": TargetMetric("logloss", _of_column(metrics.logloss)),
        "auc": TargetMetric("auc", _of_column(metrics.auc), better="high", both_classes=True),
        "average_precision": TargetMetric(
            "average_precision", _of_column(metrics.average_precision), better="high", both_classes=True
        ),
        "brier": TargetMetric("brier", _of_column(metrics.brier)),
        "calibration": TargetMetric("calibration", _of_column(metrics.calibration_ratio), better=1.0),
    }


def _classes() -> dict[str, TargetMetric]:
    def chosen(measure: Measure) -> Measure:
        def measured(values: Any, actual: Any, *rest: Any, **named: Any) -> Resampled:
            return measure(values.argmax(axis=1), actual.astype(np.int64), *rest, **named)

        return measured

    def logloss(values: Any, actual: Any, *rest: Any, **named: Any) -> Resampled:
        return metrics.class_logloss(values, actual.astype(np.int64), *rest, **named)

    return {
        "logloss": TargetMetric("logloss", logloss),
        "accuracy": TargetMetric("accuracy", chosen(metrics.accuracy), better="high"),
        "balanced_accuracy": TargetMetric("balanced_accuracy", chosen(metrics.balanced_accuracy), better="high"),
        "macro_f1": TargetMetric("macro_f1", chosen(metrics.macro_f1), better="high"),
    }


def evaluation_plan(task: "Predict") -> EvaluationPlan:
    """The plan of a task: the first of its kind's metrics decides unless the application says otherwise."""
    target = task.target_kind
    by_kind: Mapping[str, Callable[[], dict[str, TargetMetric]]] = {
        "number": _numbers,
        "quantiles": lambda: _quantiles(target.quantiles),
        "binary": _binary,
        "multiclass": _classes,
    }
    found = by_kind[target.kind]()
    names = tuple(found)
    return EvaluationPlan(
        families={name: _family(metric) for name, metric in found.items()},
        default=names[0],
        reported=names,
        shown=names,
        baselines={"constant": Constant()},
        sliced=names[:1],
    )


def _family(metric: TargetMetric) -> MetricFamily:
    return MetricFamily(lambda _: metric)
