"""Logged predictions of one label with what became of them, as columns."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, NotFound, SignedInts, counted_units
from flyball.experiments import PredictionRows
from flyball.monitoring.performance.answer_sample import MOST_ANSWERS, KeptAnswer, sample_answers
from flyball.monitoring.performance.slices import objects, slice_names, slices_of
from flyball.outcomes import Prediction, followed_labels, prediction_of, records_between
from flyball.policy import APPROVE, DECLINE, REVIEW, metric
from flyball.runtime import Runtime
from flyball.tasks import About, Label

PredictionKind = Literal["probability", "classes", "number", "list"]
_FLAGS = (DECLINE, REVIEW)

RowFlags = NDArray[np.bool_]


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions in order of time; arrays of shape (rows,), all of the same length.

    `unit`: the number of the unit that the task declares, else of the request's key, below `units`: predictions of a
    unit are alike. `scores`: the probability,
    the predicted number, or (rows, classes); of lists how many items they have. `spans`: (rows, 2), the outer two
    quantiles, nan without. `flagged`: whether the outcome was predicted: by the decision if there is one, else from a
    probability of 0.5 on; one of a control group is flagged, as those that it stands for. `actual`: what happened, nan
    where it is unknown: 0 or 1, the class, the number, or for a list the position from 1 of the first item with the
    label, 0 for none. `mature`: whether the label is final. `weight`: how many predictions each stands for, as labels
    that a decision prevents are known of a control group only. `answer`: what was answered, in short, to see whether it
    is always the same. `slices`: {by: values}. `known_after_us`: how long after a prediction the first event of its
    label came, -1 for none. `share`: the probability with which each prediction is among the rows: 1, or less where
    there are so many that a sample of them is looked at.
    """

    kind: PredictionKind
    label: str
    classes: tuple[str, ...]
    at_us: SignedInts
    unit: SignedInts
    units: int
    scores: Doubles
    spans: Doubles
    flagged: RowFlags
    actual: Doubles
    mature: RowFlags
    weight: Doubles
    answer: NDArray[np.object_]
    slices: dict[str, NDArray[np.object_]] = {}
    known_after_us: SignedInts | None = None
    share: float = 1.0

    @property
    def text(self) -> str:
        """How many predictions these are, and whether they are a sample."""
        sample = f" (a sample, 1 in {round(1 / self.share)})" if self.share < 1 else ""
        return counted_units(len(self), "prediction") + sample

    def __len__(self) -> int:
        return len(self.at_us)

    @property
    def labeled(self) -> RowFlags:
        """Which rows have a final label, bool (rows,)."""
        return self.mature & ~np.isnan(self.actual)

    def only(self, rows: RowFlags) -> "Logged":
        """The rows where `rows`, bool (rows,), holds."""
        return msgspec.structs.replace(
            self,
            at_us=self.at_us[rows],
            unit=self.unit[rows],
            scores=self.scores[rows],
            spans=self.spans[rows],
            flagged=self.flagged[rows],
            actual=self.actual[rows],
            mature=self.mature[rows],
            weight=self.weight[rows],
            answer=self.answer[rows],
            slices={by: values[rows] for by, values in self.slices.items()},
            known_after_us=None if self.known_after_us is None else self.known_after_us[rows],
        )

    def between(self, since_us: int, until_us: int) -> "Logged":
        """The predictions made in `[since_us, until_us)`."""
        return self.only((self.at_us >= since_us) & (self.at_us < until_us))


def labels_of(about: About) -> tuple[Label, ...]:
    """The labels that predictions of the task are measured by: of lists the first, with its longest window."""
    longest: dict[str, Label] = {}
    for label in about.labels:
        known = longest.setdefault(label.name, label)
        if label.within_us > known.within_us:
            longest[label.name] = msgspec.structs.replace(known, within_us=label.within_us)
    return tuple(longest.values())[: 1 if about.items else None]


def kind_of(about: About) -> PredictionKind:
    """What the task predicts."""
    if about.items:
        return "list"
    kind = about.declaration.get("kind")
    kinds: dict[str | None, PredictionKind] = {"binary": "probability", "multilabel": "probability"}
    return "classes" if kind == "multiclass" else kinds.get(kind, "number")


def logged(
    runtime: Runtime,
    label: Label,
    since_us: int,
    until_us: int,
    as_of_us: int,
    by: Sequence[str] = (),
    most: int = MOST_ANSWERS,
) -> Logged:
    """The predictions made in `[since_us, until_us)`; labels are final if their window closed by `as_of_us`.

    Of more than `most` predictions a sample is read, so that memory is bounded. Answers of fallbacks, without values or
    items, are left out. Raises `NotFound` for an unknown name in `by`.
    """
    about = runtime.app.task.about
    known = slice_names(about)
    for name in by:
        if name not in known:
            raise NotFound("slice", name, known)
    kind = kind_of(about)
    rows = PredictionRows(
        runtime.predictions, runtime.outcomes_path, about, metric.model("brier", label=label.name), (), None
    )
    sample = sample_answers(_answers(runtime, kind, since_us, until_us), most)
    predictions = [row.answer for row in sample.kept]
    followed = _followed(runtime, label.name, since_us, {answer.id for answer in predictions})
    if kind == "list":
        actual = [float(followed.get(answer.id, _NOTHING).position) for answer in predictions]
    else:
        actual = [_actual(label, followed.get(answer.id, _NOTHING), answer) for answer in predictions]
    units: dict[str, int] = {}
    field = _unit_field(runtime)
    spot = _position(about, label.name)
    return Logged(
        kind=kind,
        label=label.name,
        classes=tuple(about.declaration.get("classes", ())) if kind == "classes" else (),
        at_us=np.array([answer.at_us for answer in predictions], np.int64),
        unit=np.array([units.setdefault(_unit(answer, field), len(units)) for answer in predictions], np.int64),
        units=len(units),
        scores=_scores(about, kind, spot, sample.kept),
        spans=_spans(about, kind, predictions),
        flagged=np.array([_flagged(answer, kind, spot) for answer in predictions], bool),
        actual=np.array(actual, np.float64),
        mature=np.array([answer.at_us + label.within_us <= as_of_us for answer in predictions], bool),
        weight=np.array([1.0 if kind == "list" else rows.weight_of(answer) for answer in predictions]),
        answer=objects([row.short for row in sample.kept]),
        slices=slices_of(runtime, predictions, by),
        known_after_us=np.array([followed.get(answer.id, _NOTHING).after_us for answer in predictions], np.int64),
        share=sample.share,
    )


def _answers(runtime: Runtime, kind: PredictionKind, since_us: int, until_us: int) -> Iterator[Prediction]:
    """The predictions that a version made of what the task predicts now."""
    about = runtime.app.task.about
    shapes: dict[str, bool] = {}
    least = max(len(about.declaration.get(name) or ()) for name in ("classes", "quantiles"))
    for record in records_between(runtime.predictions, since_us, until_us):
        answer = prediction_of(record)
        if not (answer.items if kind == "list" else answer.values) or not answer.version:
            continue
        if kind != "list" and answer.version not in shapes:
            then = runtime.about_of_answer(answer)
            shapes[answer.version] = then is None or _shape(then) == _shape(about)
        if kind == "list" or (shapes[answer.version] and len(answer.values) >= least):
            yield answer


def _unit_field(runtime: Runtime) -> str:
    """The field of the request that the task declares as the unit; "" for the key."""
    field = getattr(runtime.app.task, "unit", "")
    return field if field in runtime.app.task.about.request.__struct_fields__ else ""


def _unit(answer: Prediction, field: str) -> str:
    return str(answer.request.get(field)) if field else answer.key


def _shape(about: About) -> tuple[object, ...]:
    return tuple(str(about.declaration.get(name)) for name in ("kind", "classes", "quantiles"))


class _Outcome(msgspec.Struct):
    """What followed an answer: the values of its label over items, whether it was censored, the position from 1 of the
    first item with the label, and how long after the answer its first event came (-1: never)."""

    values: list[float] = []
    censored: bool = False
    position: int = 0
    after_us: int = -1


_NOTHING = _Outcome()


def _followed(runtime: Runtime, label: str, since_us: int, ids: set[str]) -> dict[str, _Outcome]:
    """{id: what followed it} of the answers with these ids, where anything did."""
    outcomes: dict[str, _Outcome] = {}
    for event in followed_labels(runtime.outcomes_path, label, since_us):
        if event.id not in ids:
            continue
        outcome = outcomes.setdefault(event.id, _Outcome())
        if event.value is None:
            outcome.censored = outcome.censored or event.censored
            continue
        outcome.values.append(event.value)
        if event.value > 0:
            position = event.position + 1 if event.item else 0
            outcome.position = min(filter(None, (outcome.position, position)), default=0)
            outcome.after_us = event.after_us if outcome.after_us < 0 else min(outcome.after_us, event.after_us)
    return outcomes


def _actual(label: Label, outcome: _Outcome, answer: Prediction) -> float:
    values = outcome.values
    if (outcome.censored and not values) or answer.decision in label.impossible_after:
        return float("nan")
    if not values:
        return float("nan") if label.otherwise is None else label.otherwise
    return float(sum(values) / len(values) if label.numeric else max(values))


def _position(about: About, label: str) -> int:
    names = list(dict.fromkeys(known.name for known in about.labels))
    return names.index(label) if about.declaration.get("kind") == "multilabel" else 0


def _scores(about: About, kind: PredictionKind, spot: int, kept: Sequence[KeptAnswer]) -> Doubles:
    if kind == "list":
        return np.array([row.items for row in kept], np.float64)
    answers = [row.answer for row in kept]
    if kind == "classes":
        count = len(about.declaration.get("classes", ()))
        return np.array([answer.values[:count] for answer in answers], np.float64).reshape(len(answers), count)
    levels = about.declaration.get("quantiles") or ()
    middle = len(levels) // 2 if kind == "number" else spot
    return np.array([answer.values[middle] for answer in answers], np.float64)


def _spans(about: About, kind: PredictionKind, answers: Sequence[Prediction]) -> Doubles:
    levels = about.declaration.get("quantiles") or ()
    if kind != "number" or len(levels) < 2:
        return np.full((len(answers), 2), np.nan)
    last = len(levels) - 1
    return np.array([(answer.values[0], answer.values[last]) for answer in answers], np.float64).reshape(-1, 2)


def _flagged(answer: Prediction, kind: PredictionKind, spot: int) -> bool:
    if answer.decision == APPROVE:  # one of a control group stands for those that are declined
        return answer.decision_propensity < 1
    if answer.decision:
        return answer.decision in _FLAGS
    return kind == "probability" and answer.values[spot] >= 0.5
