"""Logged predictions of one label with what became of them, as columns."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles, NotFound, SignedInts
from flyball.experiments import NOTHING, LabelValues, PredictionRows
from flyball.outcomes import Prediction, outcomes_frame, prediction_of, records_between
from flyball.policy import DECLINE, REVIEW, metric
from flyball.runtime import Runtime
from flyball.tasks import About, Label

PredictionKind = Literal["probability", "classes", "number", "list"]
OF_ANSWERS = ("version", "level", "decision")
"""What predictions are sliced by besides the fields of their request."""
_FLAGS = (DECLINE, REVIEW)

RowFlags = NDArray[np.bool_]


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions in order of time; arrays of shape (rows,), all of the same length.

    `unit`: the number of the unit that the task declares, else of the request's key, below `units`: predictions of a
    unit are alike. `scores`: the probability,
    the predicted number, or (rows, classes); of lists how many items they have. `spans`: (rows, 2), the outer two
    quantiles, nan without. `flagged`: whether the outcome was predicted: by the decision if there is one, else from a
    probability of 0.5 on. `actual`: what happened, nan where it is unknown: 0 or 1, the class, the number, or for a
    list the position from 1 of the first item with the label, 0 for none. `mature`: whether the label is final.
    `weight`: how many predictions each stands for, as labels that a decision prevents are known of a control group
    only. `answer`: what was answered, in short, to see whether it is always the same. `slices`: {by: values}.
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


def slice_names(about: About) -> tuple[str, ...]:
    """What predictions of the task may be sliced by."""
    return (*OF_ANSWERS, *(name for name in about.request.__struct_fields__ if name not in ("at", "known_at")))


def logged(
    runtime: Runtime, label: Label, since_us: int, until_us: int, as_of_us: int, by: Sequence[str] = ()
) -> Logged:
    """The predictions made in `[since_us, until_us)`; labels are final if their window closed by `as_of_us`.

    Answers of fallbacks, without values or items, are left out. Raises `NotFound` for an unknown name in `by`.
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
    predictions = sorted(_answers(runtime, kind, since_us, until_us), key=lambda answer: (answer.at_us, answer.id))
    if kind == "list":
        taken = _first_taken(runtime, label.name, since_us)
        actual = [float(taken.get(answer.id, 0)) for answer in predictions]
    else:
        followed = rows.followed(since_us)
        actual = [_actual(label, followed.get(answer.id, NOTHING), answer) for answer in predictions]
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
        scores=_scores(about, kind, spot, predictions),
        spans=_spans(about, kind, predictions),
        flagged=np.array([_flagged(answer, kind, spot) for answer in predictions], bool),
        actual=np.array(actual, np.float64),
        mature=np.array([answer.at_us + label.within_us <= as_of_us for answer in predictions], bool),
        weight=np.array([1.0 if kind == "list" else rows.weight_of(answer) for answer in predictions]),
        answer=_objects([_short(answer, kind) for answer in predictions]),
        slices={name: _objects([_slice(answer, name) for answer in predictions]) for name in by},
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


def _actual(label: Label, outcome: LabelValues, answer: Prediction) -> float:
    values = outcome.values
    if outcome.censored or answer.decision in label.impossible_after:
        return float("nan")
    if not values:
        return float("nan") if label.otherwise is None else label.otherwise
    return float(sum(values) / len(values) if label.numeric else max(values))


def _first_taken(runtime: Runtime, label: str, since_us: int) -> dict[str, int]:
    """{id of a list: the position, from 1, of the first of its items with the label}."""
    frame = outcomes_frame(runtime.outcomes_path, since_us)
    column = f"labels.{label}"
    if column not in frame.columns:
        return {}
    followed = frame.filter(frame[column].is_not_null() & (frame[column] > 0) & (frame["item"] != ""))
    first: dict[str, int] = {}
    for id, position in followed.select("id", "position").iter_rows():
        first[id] = min(first.get(id, position + 1), position + 1)
    return first


def _position(about: About, label: str) -> int:
    names = list(dict.fromkeys(known.name for known in about.labels))
    return names.index(label) if about.declaration.get("kind") == "multilabel" else 0


def _scores(about: About, kind: PredictionKind, spot: int, answers: Sequence[Prediction]) -> Doubles:
    if kind == "list":
        return np.array([len(answer.items) for answer in answers], np.float64)
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
    if answer.decision:
        return answer.decision in _FLAGS
    return kind == "probability" and answer.values[spot] >= 0.5


def _short(answer: Prediction, kind: PredictionKind) -> object:
    return "\n".join(answer.items) if kind == "list" else tuple(round(value, 9) for value in answer.values)


def _slice(answer: Prediction, name: str) -> str:
    value = getattr(answer, name) if name in OF_ANSWERS else answer.request.get(name)
    return "none" if value is None or value == "" else str(value)


def _objects(values: Iterable[object]) -> NDArray[np.object_]:
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array
