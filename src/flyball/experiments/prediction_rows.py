"""Rows of predictions with labels, from which metrics of models are computed by unit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log

import msgspec
import polars as pl

from flyball.core import BadDeclaration
from flyball.events import EventLog
from flyball.outcomes import Location, Prediction, label_values, prediction_of, records_between
from flyball.policy import RANKED, EventTotal, ExperimentMetric
from flyball.releases import unit_of
from flyball.tasks import About, Label

_BATCH = 50_000
_EDGE = 1e-15
_OF_EVENTS = ("binary", "multilabel")
LARGEST_WEIGHT = 50.0
"""No labeled answer stands for more answers than so many: as in training and in evaluations."""


class LabelValues(msgspec.Struct, frozen=True):
    """The label of one response: its values over items, and whether it was censored."""

    values: tuple[float, ...] = ()
    censored: bool = False


NOTHING = LabelValues()


class PredictionRows:
    """Rows of the responses that have a number: a loss against the label, or the value of the label.

    `unit`: the fields of the request that name the unit, () for its key. `about_of`: the description of the task with
    which a response was made, None if it is not known; by default `about` for all. Labels are as joined now; a response
    counts once its label is final, for which `unit_values` waits.

    A decision may prevent the label: nobody disputes a declined payment. Such a response has the number 0 in a metric
    of the label, since what the label means did not happen. It has no loss; of the requests that would be declined,
    the control group has, and `weight_of` makes it stand for all. Otherwise each version would be evaluated on the
    requests that it lets pass, and two versions on different ones. Source: Horvitz and Thompson, "A Generalization of
    Sampling Without Replacement From a Finite Universe", JASA 1952.
    """

    def __init__(
        self,
        log: EventLog,
        outcomes: Location,
        about: About,
        metric: ExperimentMetric,
        unit: tuple[str, ...] = (),
        about_of: Callable[[Prediction], About | None] | None = None,
    ) -> None:
        self._log, self._outcomes, self._unit = log, outcomes, unit
        self._about_of = about_of or (lambda prediction: about)
        self.label = label_of_metric(about, metric)
        self._metric = metric

    def pieces(self, total: EventTotal, since_us: int, until_us: int, as_of_us: int) -> Iterator[pl.DataFrame]:
        rows: list[tuple[str, int, float, float]] = []
        for unit, prediction, outcome in self._answers(since_us, until_us, as_of_us):
            number = self.number_of(prediction, outcome)
            if number is not None:
                row = unit, prediction.at_us, 1.0 if total.counted else number, self.weight_of(prediction)
                rows.append(row)
            if len(rows) == _BATCH:
                yield _frame(rows)
                rows = []
        yield _frame(rows)

    def scores(self, since_us: int, until_us: int, as_of_us: int) -> pl.DataFrame:
        """The predictions of the label with a label, columns `unit`, `at`, `score`, `positive`, `weight`."""
        rows = [
            (unit, prediction.at_us, *scored, self.weight_of(prediction))
            for unit, prediction, outcome in self._answers(since_us, until_us, as_of_us)
            if (scored := self._score_of(prediction, outcome)) is not None
        ]
        columns = {"unit": pl.String, "at": pl.Int64, "score": pl.Float64, "positive": pl.Boolean, "weight": pl.Float64}
        return pl.DataFrame(rows, schema=columns, orient="row")

    def _answers(self, since_us: int, until_us: int, as_of_us: int) -> Iterator[tuple[str, Prediction, LabelValues]]:
        followed = self.followed(since_us)
        for record in records_between(self._log, since_us, until_us):
            if record.known_at > as_of_us:
                continue
            prediction = prediction_of(record)
            unit = unit_of(self._unit, prediction.key, prediction.request)
            if unit is not None:
                yield unit, prediction, followed.get(prediction.id, NOTHING)

    def followed(self, since_us: int) -> Mapping[str, LabelValues]:
        """{id of the prediction: its label} of responses since `since_us` whose label holds or is censored."""
        values, ended = dict[str, list[float]](), set[str]()
        for id, value, censored in label_values(self._outcomes, self.label.name, since_us):
            if value is not None:
                values.setdefault(id, []).append(value)
            elif censored:
                ended.add(id)
        with_values = {id: LabelValues(tuple(numbers)) for id, numbers in values.items()}
        return {**dict.fromkeys(ended, LabelValues(censored=True)), **with_values}

    def number_of(self, prediction: Prediction, outcome: LabelValues) -> float | None:
        """The number of one response, None if it has none."""
        label = self.label
        prevented = prediction.decision in label.impossible_after
        if prevented and self._metric.kind == "label" and not label.numeric:
            return label.otherwise
        if outcome.censored or prevented:
            return None
        if self._metric.kind == "label" and not label.numeric:
            return float(sum(outcome.values)) if outcome.values else label.otherwise
        actual = sum(outcome.values) / len(outcome.values) if outcome.values else label.otherwise
        if actual is None or self._metric.kind == "label":
            return actual
        about = self._about_of(prediction)
        return None if about is None else loss_of(self._metric.loss, about, label.name, prediction.values, actual)

    def _score_of(self, prediction: Prediction, outcome: LabelValues) -> tuple[float, bool] | None:
        """(score, whether the label holds) of one response, None without either."""
        label = self.label
        if outcome.censored or prediction.decision in label.impossible_after:
            return None
        actual = max(outcome.values) if outcome.values else label.otherwise
        about = self._about_of(prediction)
        if actual is None or about is None or not prediction.values:
            return None
        if about.declaration.get("kind") not in _OF_EVENTS:
            raise BadDeclaration("loss auc", "of a task that predicts whether something happens", about.kind)
        return prediction.values[_position(about, label.name, prediction.values)], actual > 0.5

    def weight_of(self, prediction: Prediction) -> float:
        """How many responses the loss of this one stands for: 1, or more if its label was left to chance."""
        if self._metric.kind != "model" or not self.label.impossible_after:
            return 1.0
        return min(1.0 / prediction.decision_propensity, LARGEST_WEIGHT)


def _frame(rows: Sequence[tuple[str, int, float, float]]) -> pl.DataFrame:
    columns = {"unit": pl.String, "at": pl.Int64, "number": pl.Float64, "weight": pl.Float64}
    return pl.DataFrame(rows, schema=columns, orient="row")


def label_of_metric(about: About, metric: ExperimentMetric) -> Label:
    """The label that a metric names, by default the task's first. Raises `BadDeclaration` if there is none."""
    named = [label for label in about.labels if label.name == (metric.label or label.name)]
    if not named:
        raise BadDeclaration("label of a metric", "one of the task", metric.label or "none")
    longest = max(label.within_us for label in about.labels if label.name == named[0].name)
    return msgspec.structs.replace(named[0], within_us=longest)


def loss_of(loss: str, about: About, label: str, values: Sequence[float], actual: float) -> float | None:
    """The loss of one prediction; None for a response without values.

    `values`: in the order of the task: one number, quantiles from low to high, or a probability for each label or
    class. With quantiles, the middle one is the predicted number.
    """
    quantiles: Sequence[float] = about.declaration.get("quantiles", ())
    classes: Sequence[str] = about.declaration.get("classes", ())
    if not values:
        return None
    if loss in ("pinball", "coverage"):
        if not quantiles:
            raise BadDeclaration(f"loss {loss}", "of a task that predicts quantiles", about.kind)
        if loss == "coverage":
            return float(values[0] <= actual <= values[len(quantiles) - 1])
        parts = [
            max(q * (actual - value), (q - 1) * (actual - value)) for q, value in zip(quantiles, values, strict=False)
        ]
        return sum(parts) / len(quantiles)
    if classes:
        return _class_loss(loss, values[: len(classes)], int(actual))
    if loss == RANKED:
        raise BadDeclaration("loss auc", "compared between the arms of a split: it is of no single answer", about.kind)
    value = values[len(quantiles) // 2] if quantiles else values[_position(about, label, values)]
    return _number_loss(loss, value, actual)


def _position(about: About, label: str, values: Sequence[float]) -> int:
    """The position of the label's probability among the values of a response."""
    labels = list(dict.fromkeys(known.name for known in about.labels))
    return labels.index(label) if len(labels) > 1 and len(values) >= len(labels) else 0


def _class_loss(loss: str, probabilities: Sequence[float], actual: int) -> float:
    if loss == "accuracy":
        return float(max(range(len(probabilities)), key=probabilities.__getitem__) == actual)
    if loss == "log_loss":
        return -log(max(probabilities[actual], _EDGE))
    if loss == "brier":
        return sum((p - (index == actual)) ** 2 for index, p in enumerate(probabilities))
    raise BadDeclaration(f"loss {loss}", "accuracy, log_loss or brier for a task that predicts a class", loss)


def _number_loss(loss: str, value: float, actual: float) -> float:
    if loss == "log_loss":
        chance = min(max(value, _EDGE), 1 - _EDGE)
        return -(actual * log(chance) + (1 - actual) * log(1 - chance))
    if loss == "accuracy":
        return float((value >= 0.5) == (actual >= 0.5))
    difference = value - actual
    return {"absolute_error": abs(difference), "bias": difference}.get(loss, difference * difference)
