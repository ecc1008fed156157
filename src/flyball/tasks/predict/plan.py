"""The evaluation plan of prediction tasks: metrics by kind of target, and baselines."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models import Constant, OneVsRest
from flyball.policy import Decide, MetricGate, Quote, factors_of
from flyball.tasks import metrics
from flyball.tasks.answers import Answers
from flyball.tasks.defaults import family_of
from flyball.tasks.evaluation import MISSING_GROUP, EvaluationPlan, EvaluationSet, Metric, MetricFamily
from flyball.tasks.metrics import Resampled, Undefined
from flyball.tasks.predict.decision_metrics import DailyPrecision, decision_families, quote_cost
from flyball.tasks.predict.decisions import group_of
from flyball.tasks.predict.declaration import DAY, TIMES, Predict
from flyball.tasks.predict.group_metrics import GROUP_METRICS, group_families
from flyball.tasks.predict.label_metrics import Measure, label_families
from flyball.tasks.predict.tables import CHOSEN, FACTOR, report_tables


class TargetMetric(msgspec.Struct, frozen=True):
    """A metric of predicted values (requests, outputs) against the outcomes.

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
    def measured(values: Any, *arguments: Any, **named: Any) -> Resampled:
        return measure(values[:, column], *arguments, **named)

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
        losses = [
            metrics.pinball(values[:, index], actual, quantile, unit_of, units, weight)
            for index, quantile in enumerate(quantiles)
        ]
        return lambda weights: np.mean([loss(weights) for loss in losses], axis=0)

    def coverage(values: Any, actual: Any, unit_of: Any, units: int, weight: Any = None) -> Resampled:
        return metrics.interval_coverage(values[:, 0], values[:, last], actual, unit_of, units, weight)

    def width(values: Any, actual: Any, unit_of: Any, units: int, weight: Any = None) -> Resampled:
        return metrics.interval_width(values[:, 0], values[:, last], unit_of, units, weight)

    last = len(quantiles) - 1  # a quote may stand behind them
    middle = min(range(len(quantiles)), key=lambda column: abs(quantiles[column] - 0.5))
    measures = {"pinball": TargetMetric("pinball", mean_pinball)}
    if len(quantiles) > 1:
        measures["coverage"] = TargetMetric("coverage", coverage, better=round(quantiles[-1] - quantiles[0], 9))
        measures["width"] = TargetMetric("width", width)
    return {**measures, **_numbers(middle)}


def _binary() -> dict[str, TargetMetric]:
    return {
        "log_loss": TargetMetric("log_loss", _of_column(metrics.log_loss)),
        "auc": TargetMetric("auc", _of_column(metrics.auc), better="high", both_classes=True),
        "average_precision": TargetMetric(
            "average_precision", _of_column(metrics.average_precision), better="high", both_classes=True
        ),
        "brier": TargetMetric("brier", _of_column(metrics.brier)),
        "calibration": TargetMetric("calibration", _of_column(metrics.calibration_ratio), better=1.0),
        "calibration_error": TargetMetric("calibration_error", _of_column(metrics.calibration_error), centered=True),
    }


def _classes() -> dict[str, TargetMetric]:
    def chosen(measure: Measure) -> Measure:
        def measured(values: Any, actual: Any, *arguments: Any, **named: Any) -> Resampled:
            return measure(values.argmax(axis=1), actual.astype(np.int64), *arguments, **named)

        return measured

    def log_loss(values: Any, actual: Any, *arguments: Any, **named: Any) -> Resampled:
        return metrics.class_log_loss(values, actual.astype(np.int64), *arguments, **named)

    return {
        "log_loss": TargetMetric("log_loss", log_loss),
        "accuracy": TargetMetric("accuracy", chosen(metrics.accuracy), better="high"),
        "balanced_accuracy": TargetMetric("balanced_accuracy", chosen(metrics.balanced_accuracy), better="high"),
        "macro_f1": TargetMetric("macro_f1", chosen(metrics.macro_f1), better="high"),
    }


def _recall_at_fpr(most: float) -> Metric:
    if not 0 < most <= 1:
        raise BadDeclaration("false-positive rate of recall_at_fpr", "above 0, at most 1", most)

    def measured(values: Any, actual: Any, unit_of: Any, units: int, weight: Any = None) -> Resampled:
        return metrics.recall_at_fpr(values[:, 0], actual, most, unit_of, units, weight)

    return TargetMetric("recall_at_fpr", measured, better="high", both_classes=True)


def _at_a_bound(by_unit: bool) -> dict[str, MetricFamily]:
    """Metrics of a probability with a number in their name, such as recall_at_fpr@0.01."""

    def precision_a_day(k: float) -> Metric:
        if k < 1 or k != int(k):
            raise BadDeclaration("reviews of precision_a_day", "a whole number from 1", k)
        return DailyPrecision(int(k), by_unit)

    return {
        "recall_at_fpr": MetricFamily(_recall_at_fpr, "fpr"),
        "precision_a_day": MetricFamily(precision_a_day, "reviews"),
    }


COVERAGE_SLACK = 0.05
"""How far the coverage of the interval of a new version may be below its level."""

_SLICED = ("coverage", "width", "bias", "late_share", "auc", "calibration", "cost", "saved", "quote_late_share")
"""Metrics that are reported by slice, in addition to the first one."""

_GROUPED = ("accuracy", "coverage", "mae", "bias", "auc", "brier", *GROUP_METRICS, "cost", "quote_late_share")
"""Metrics that groups are compared by, in addition to the first one, where the kind of target has them."""

_DETAILS = ("true_positive", "false_positive", "false_negative", "true_negative", "declined", "reviewed", "flagged_fpr")
"""Metrics that are reported but not shown in tables."""


def evaluation_plan(task: Predict) -> EvaluationPlan:
    """The plan of a task; the first metric of its kind decides unless the application chooses another one."""
    target = task.target_kind
    if target.kind == "multilabel":
        families, names = label_families(target.classes)
        return EvaluationPlan(
            families=families,
            default=names[0],
            reported=names,
            shown=tuple(name for name in names if ":" not in name),
            baselines={"constant": OneVsRest(Constant())},
            sliced=names[:1],
            slices=_slices(task),
            groups=task.groups,
            grouped=names[:1],
        )
    by_kind: Mapping[str, Callable[[], dict[str, TargetMetric]]] = {
        "number": _numbers,
        "quantiles": lambda: _quantiles(target.quantiles),
        "binary": _binary,
        "multiclass": _classes,
    }
    measures = by_kind[target.kind]()
    if isinstance(task.decide, Quote):
        quote_column = len(target.quantiles)
        measures["quote_cost"] = TargetMetric("quote_cost", quote_cost(task.decide, quote_column))
        measures["quote_late_share"] = TargetMetric("quote_late_share", _of_column(metrics.late_share, quote_column))
    families = {name: family_of(metric) for name, metric in measures.items()}
    if isinstance(task.decide, Decide):
        families |= decision_families()
    names = tuple(families)
    if target.kind == "binary":
        families |= _at_a_bound(task.unit not in ("", DAY))
        names += ("recall_at_fpr@0.01",)
        families |= group_families() if task.groups else {}
    return EvaluationPlan(
        families=families,
        default=names[0],
        reported=names,
        shown=tuple(name for name in names if name not in _DETAILS),
        baselines={"constant": Constant()},
        further=_thresholds if isinstance(task.decide, Decide) else None,
        tables=lambda answers, evaluation, estimates: report_tables(task, answers, evaluation, estimates),
        gates=(_covers(task),) if task.interval is not None else (),
        sliced=tuple(name for name in names if name == names[0] or name in _SLICED),
        slices=_slices(task),
        groups=task.groups,
        grouped=tuple(name for name in dict.fromkeys((names[0], *_GROUPED)) if name in families),
    )


def _slices(task: Predict) -> dict[str, tuple[str, ...]]:
    """What reports slice by: the time, and the declared fields, whose values the data say."""
    times = {name: tuple(map(str, range(count))) for name, count in zip(TIMES, (24, 7), strict=True)}
    return {**times, **dict.fromkeys((*task.slices, *task.groups), ())}


def _thresholds(pipeline: Any, evaluation: EvaluationSet) -> Mapping[str, NDArray[np.float64]]:
    thresholds = pipeline.thresholds
    common = np.array([thresholds.odds, thresholds.review_margin])
    policy = pipeline.policy
    if not thresholds.groups or policy.equal is None:
        return {CHOSEN: common}
    groups = [group_of(fields.get(policy.equal.by)) or MISSING_GROUP for fields in evaluation.fields]
    return {CHOSEN: common, FACTOR: factors_of(thresholds.groups, groups)}


def _covers(task: Predict) -> MetricGate:
    """A requirement: the interval may miss its level only by as much as outcomes soon correct.

    It is compared with the level and not with another version.
    """
    level = task.interval.level if task.interval else 0.0
    return MetricGate("covers", "coverage", at_least=round(level - COVERAGE_SLACK, 9), refuted=True)
