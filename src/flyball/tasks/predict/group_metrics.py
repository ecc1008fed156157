"""Metrics by which groups of requests are compared: rates of what is flagged, and how far probabilities are off.

Sources: Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning", NeurIPS 2016 (true- and
false-positive rates); Chouldechova, "Fair Prediction with Disparate Impact", Big Data 2017 (calibration by group: where
groups differ in how often the outcome happens, not all of these can be equal).
"""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.policy import DECLINE, REVIEW
from flyball.tasks import metrics
from flyball.tasks.answers import Answers
from flyball.tasks.defaults import family_of
from flyball.tasks.evaluation import EvaluationSet, MetricFamily
from flyball.tasks.metrics import Resampled, Undefined
from flyball.tasks.predict.label_metrics import THRESHOLD

RateName = Literal["selection_rate", "true_positive_rate", "false_positive_rate"]


class FlaggedRate(msgspec.Struct, frozen=True):
    """The share of requests that are flagged: of all, of those where it happened, or of those where it did not.

    Flagged is what is declined or sent to review; without decisions, a probability of 0.5 or more.
    """

    name: RateName
    better: Literal["high", "low"] | float = "high"
    centered: bool = False

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        truth, units = evaluation.truth, len(evaluation.units)
        return flagged_rate(
            self.name, flagged_of(answers), truth.target, evaluation.unit_of, units, weight=truth.weight
        )


class CalibrationDifference(msgspec.Struct, frozen=True):
    """The share of requests where it happened, less the mean probability."""

    better: Literal["high", "low"] | float = 0.0
    centered: bool = False

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        truth = evaluation.truth
        differences = truth.target - answers.values[:, 0]
        return metrics.request_mean(differences, evaluation.unit_of, len(evaluation.units), truth.weight)


def flagged_of(answers: Answers) -> NDArray[np.bool_]:
    """Which requests are flagged, bool (n,)."""
    if answers.decisions:
        return np.isin(np.array(answers.decisions, object), (DECLINE, REVIEW))
    return np.asarray(answers.values[:, 0] >= THRESHOLD)


def flagged_rate(
    name: RateName,
    flagged: NDArray[Any],
    actual: NDArray[Any],
    unit_of: NDArray[np.int64],
    units: int,
    weight: NDArray[Any] | None = None,
) -> Resampled:
    """The rate called `name` as a function of unit weights; nan where nothing is counted.

    >>> flagged, actual = np.array([1, 0, 1, 0], bool), np.array([1, 1, 0, 0])
    >>> [float(flagged_rate(name, flagged, actual, np.arange(4), 4)(np.ones((1, 4)))[0]) for name in RATES]
    [0.5, 0.5, 0.5]
    """
    if name == "selection_rate":
        return metrics.request_mean(flagged, unit_of, units, weight)
    if name == "true_positive_rate":
        return metrics.recall_of_flagged(flagged, actual, unit_of, units, weight)
    return metrics.false_positive_rate(flagged, actual, unit_of, units, weight)


RATES: tuple[RateName, ...] = ("selection_rate", "true_positive_rate", "false_positive_rate")

GROUP_METRICS = (*RATES, "calibration_gap")
"""The metrics of a probability that only groups are reported by."""


def group_families() -> dict[str, MetricFamily]:
    """{name: family} of `GROUP_METRICS`."""
    rates: dict[str, MetricFamily] = {name: family_of(FlaggedRate(name, _better(name))) for name in RATES}
    return {**rates, "calibration_gap": family_of(CalibrationDifference())}


def _better(name: RateName) -> Literal["high", "low"]:
    return "low" if name == "false_positive_rate" else "high"
