"""Metrics of a target of several labels: averages over labels, and metrics of one label, such as "late:auc"."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import msgspec

from flyball.core import BadDeclaration
from flyball.tasks import metrics
from flyball.tasks.answers import Answers
from flyball.tasks.defaults import family_of
from flyball.tasks.evaluation import EvaluationSet, Metric, MetricFamily
from flyball.tasks.metrics import Resampled, Undefined

Measure = Callable[..., Resampled]

THRESHOLD = 0.5
"""The probability from which a label is predicted, in the metrics that every report has."""


class LabelsMetric(msgspec.Struct, frozen=True):
    """A metric of probabilities (requests, labels) against the outcomes; `weight` is 0 for an unknown label.

    `threshold`: the measure gets whether each probability reaches it.
    """

    measure: Measure
    better: Literal["high", "low"] | float = "low"
    centered: bool = False
    threshold: float | None = None

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        truth = evaluation.truth
        values: Any = answers.values if self.threshold is None else answers.values >= self.threshold
        return self.measure(values, truth.target, evaluation.unit_of, len(evaluation.units), truth.weight)


class OneLabelMetric(msgspec.Struct, frozen=True):
    """A metric of the probability of one label, over the requests whose label is known."""

    name: str
    label: int
    measure: Measure
    better: Literal["high", "low"] | float = "low"
    centered: bool = False
    both_classes: bool = False
    threshold: float | None = None

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        truth = evaluation.truth
        values, actual, unit_of, weight = metrics.label_cells(
            answers.values, truth.target, evaluation.unit_of, truth.weight, self.label
        )
        undefined = metrics.one_class(actual, self.name) if self.both_classes else None
        if undefined is not None:
            return undefined
        if not len(actual):
            return Undefined(f"{self.name} needs requests whose label is known, there are none")
        chosen = values if self.threshold is None else values >= self.threshold
        return self.measure(chosen, actual, unit_of, len(evaluation.units), weight)


def label_families(labels: Sequence[str]) -> tuple[dict[str, MetricFamily], tuple[str, ...]]:
    """{name: family}, and the full names of the metrics in every report; the first one decides."""
    plain = {
        f"{average}_{name}": LabelsMetric(partial(over, measure), better)
        for name, measure, better in _MEASURES
        for average, over in _AVERAGES.items()
    }
    families = {name: family_of(metric) for name, metric in plain.items()}
    families |= {
        f"{average}_f1": _at_threshold(f"{average}_f1", partial(LabelsMetric, partial(over, metrics.f1), "high"))
        for average, over in _AVERAGES.items()
    }
    families["hamming_loss"] = _at_threshold("hamming_loss", partial(LabelsMetric, metrics.hamming_loss))
    families["subset_accuracy"] = _at_threshold(
        "subset_accuracy", partial(LabelsMetric, metrics.subset_accuracy, "high")
    )
    for column, label in enumerate(labels):
        families |= _of_label(label, column)
    named = (f"{name}@{THRESHOLD:g}" if family.argument else name for name, family in families.items())
    return families, tuple(named)


_MEASURES: tuple[tuple[str, Measure, Literal["high", "low"]], ...] = (
    ("log_loss", metrics.log_loss, "low"),
    ("average_precision", metrics.average_precision, "high"),
)
_AVERAGES: dict[str, Measure] = {"macro": metrics.macro, "micro": metrics.micro}


def _of_label(label: str, column: int) -> dict[str, MetricFamily]:
    def measured(name: str, measure: Measure, **named: Any) -> MetricFamily:
        return family_of(OneLabelMetric(name, column, measure, **named))

    def f1(threshold: float) -> Metric:
        return OneLabelMetric(f"{label}:f1", column, metrics.f1, "high", threshold=_checked(f"{label}:f1", threshold))

    both: dict[str, Any] = {"better": "high", "both_classes": True}
    return {
        f"{label}:log_loss": measured(f"{label}:log_loss", metrics.log_loss),
        f"{label}:auc": measured(f"{label}:auc", metrics.auc, **both),
        f"{label}:average_precision": measured(f"{label}:average_precision", metrics.average_precision, **both),
        f"{label}:calibration": measured(f"{label}:calibration", metrics.calibration_ratio, better=1.0),
        f"{label}:f1": MetricFamily(f1, "threshold"),
    }


def _at_threshold(name: str, metric: Callable[..., Metric]) -> MetricFamily:
    return MetricFamily(lambda threshold: metric(threshold=_checked(name, threshold)), "threshold")


def _checked(name: str, threshold: float) -> float:
    if not 0 < threshold < 1:
        raise BadDeclaration(f"threshold of {name}", "between 0 and 1, such as 0.5", threshold)
    return threshold
