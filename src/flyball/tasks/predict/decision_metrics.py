"""Metrics of decisions and quotes: the costs of decisions, the recall of positives, and the costs of quotes."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles
from flyball.policy import ACTIONS, CostColumns, Quote, costs_of_decisions
from flyball.tasks import metrics
from flyball.tasks.answers import Answers
from flyball.tasks.evaluation import EvaluationSet, MetricFamily
from flyball.tasks.metrics import Resampled, Undefined
from flyball.tasks.predict.thresholds import as_columns, usable_costs


class Decided(msgspec.Struct, frozen=True):
    """Decisions with their outcomes.

    `actions`: int8 (n,), indexes into `policy.ACTIONS`. `actual`, `weight`: float64 (n,). `unit_of`: int64 (n,), the
    unit of each request, below `units`."""

    actions: NDArray[np.int8]
    actual: Doubles
    costs: CostColumns
    weight: Doubles
    unit_of: NDArray[np.int64]
    units: int

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which requests were declined or sent to review, bool (n,)."""
        flagged: NDArray[np.bool_] = np.isin(self.actions, (ACTIONS.index("decline"), ACTIONS.index("review")))
        return flagged

    @property
    def paid(self) -> Doubles:
        """The cost of each decision, float64 (n,)."""
        return costs_of_decisions(self.actions, self.actual, self.costs)

    @property
    def paid_by_accepting(self) -> Doubles:
        """The cost of approving each request, float64 (n,)."""
        return costs_of_decisions(np.zeros(len(self.actions), np.int8), self.actual, self.costs)


class DecisionMetric(msgspec.Struct, frozen=True):
    """A metric of the decisions of responses. `happened`: the metric needs requests where the event happened."""

    measure: Callable[[Decided], Resampled]
    better: Literal["high", "low"] | float = "low"
    centered: bool = False
    happened: str = ""

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        truth = evaluation.truth
        if not any(answers.decisions) or truth.costs is None:
            return None
        rows = np.flatnonzero(usable_costs(truth.costs))
        if self.happened and not (truth.target[rows] > 0).any():
            return Undefined(f"{self.happened} needs requests where it happened, got none of {len(rows)}")
        codes = np.array([ACTIONS.index(name) if name else 0 for name in answers.decisions], np.int8)
        return self.measure(
            Decided(
                codes[rows],
                truth.target[rows],
                as_columns(truth.costs[rows]),
                truth.weight[rows],
                evaluation.unit_of[rows],
                len(evaluation.units),
            )
        )


class DailyPrecision(msgspec.Struct, frozen=True):
    """Precision of the `k` highest probabilities of a day; with `by_unit`, of the `k` highest units of a day.

    Of a sample of the requests, as many fewer are examined.
    """

    k: int
    by_unit: bool = False
    better: Literal["high", "low"] | float = "high"
    centered: bool = False

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | Undefined | None:
        truth = evaluation.truth
        return metrics.precision_a_day(
            answers.values[:, 0],
            truth.target,
            self.k * min(1.0, len(evaluation.at_us) / max(evaluation.pool, 1)),
            truth.day_of(evaluation.at_us),
            evaluation.unit_of,
            len(evaluation.units),
            truth.weight,
            evaluation.unit_of if self.by_unit else None,
        )


def decision_families() -> dict[str, MetricFamily]:
    """Metrics of decisions by costs; a request is flagged if it was declined or sent to review."""

    def share(action: str) -> Callable[[Decided], Resampled]:
        code = ACTIONS.index(action)
        return lambda of: metrics.request_mean(of.actions == code, of.unit_of, of.units, of.weight)

    def cell(name: str) -> Callable[[Decided], Resampled]:
        return lambda of: metrics.confusion(of.flagged, of.actual, of.unit_of, of.units, of.weight)[name]

    def value_recall(of: Decided) -> Resampled:
        value = of.costs.false_approve
        return metrics.recall_of_flagged(of.flagged, of.actual, of.unit_of, of.units, of.weight, value)

    decision_metrics = {
        "cost": DecisionMetric(lambda of: metrics.request_mean(of.paid, of.unit_of, of.units, of.weight)),
        "saved": DecisionMetric(
            lambda of: metrics.money_saved(of.paid, of.paid_by_accepting, of.unit_of, of.units, of.weight), "high"
        ),
        "savings": DecisionMetric(
            lambda of: metrics.savings(of.paid, of.paid_by_accepting, of.unit_of, of.units, of.weight),
            "high",
            happened="savings",
        ),
        "flagged_precision": DecisionMetric(
            lambda of: metrics.precision_of_flagged(of.flagged, of.actual, of.unit_of, of.units, of.weight), "high"
        ),
        "flagged_recall": DecisionMetric(
            lambda of: metrics.recall_of_flagged(of.flagged, of.actual, of.unit_of, of.units, of.weight),
            "high",
            happened="flagged_recall",
        ),
        "value_recall": DecisionMetric(value_recall, "high", happened="value_recall"),
        "flagged_fpr": DecisionMetric(
            lambda of: metrics.false_positive_rate(of.flagged, of.actual, of.unit_of, of.units, of.weight)
        ),
        "declined": DecisionMetric(share("decline")),
        "reviewed": DecisionMetric(share("review")),
        **{name: DecisionMetric(cell(name), better) for name, better in _CELLS.items()},
    }
    return {name: MetricFamily(lambda _, metric=metric: metric) for name, metric in decision_metrics.items()}  # type: ignore[misc]


_CELLS: dict[str, Literal["high", "low"]] = {
    "true_positive": "high",
    "false_positive": "low",
    "false_negative": "low",
    "true_negative": "high",
}


def quote_cost(quote: Quote, column: int) -> Callable[..., Resampled]:
    """The mean cost of late and early quotes; `column`: the index of the quoted number among the values."""

    def measured(values: Any, actual: Any, unit_of: Any, units: int, weight: Any = None) -> Resampled:
        gap = actual - values[:, column]
        return metrics.request_mean(np.maximum(quote.late * gap, -quote.early * gap), unit_of, units, weight)

    return measured
