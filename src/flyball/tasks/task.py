"""The contract of a task: one folder below `tasks/` implements it, and no room above names anything of one task.

A task has an inert description (`about`) and two doors: `offline` (examples as known then, and how to evaluate) and
`online` (context of a request, a pipeline per version, the fallback). Every protocol has five members at most.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec
from numpy.typing import NDArray

from flyball.core import Arrays, Doubles
from flyball.events import Event, Offsets
from flyball.models import Artifact
from flyball.stores import StateStore
from flyball.tasks.about import About
from flyball.tasks.featurize import ReadFeatures
from flyball.tasks.request import Request
from flyball.tasks.response import Response


class Stores(msgspec.Struct, frozen=True):
    """What responses are made from: live in serving, rebuilt from the log for a replay. The code above is the same.

    `catalogs`: {entity: what there is of it}. `events`: in a replay the frames of these event types, with all that lay
    before the offsets of the fallback: what needs everyone's events is computed from them, as `state` was rebuilt for
    a few keys alone.
    """

    state: StateStore
    features: ReadFeatures | None
    catalogs: Mapping[str, Any]
    events: Callable[[Iterable[str]], Mapping[str, Any]] | None = None


class Pipeline(Protocol):
    """One version: retrieve, featurize, score, re-rank. A request gets the same bits in any batch."""

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]: ...

    def explain(self, request: Request, context: Any, response: Response) -> list[list[tuple[str, float]]]:
        """Contributions by name, for each item, or for each value where there are no items. Raises `Refused` where
        the version cannot tell."""
        ...

    def warm(self, at_us: int) -> None:
        """Answer made-up requests, so that every kernel is compiled before the first real one."""
        ...


PRECOMPUTED_LEVEL, POPULAR_LEVEL, EMPTY_LEVEL = "precomputed", "popular", "empty"
"""The fallback levels, best first: what the best version computed beforehand, what is usual now, nothing better known.
"""


FALLBACK_LEVELS = (PRECOMPUTED_LEVEL, POPULAR_LEVEL, EMPTY_LEVEL)


class Fallback(Protocol):
    """Responses without a version or a store. Never raises."""

    @property
    def offsets(self) -> Offsets:
        """The events behind it, () when they changed while it was made."""
        ...

    @property
    def ready(self) -> bool:
        """Whether it can answer with anything at all."""
        ...

    def answer(self, request: Request, context: Any | None) -> tuple[str, Response]:
        """(fallback level, response); `context` is None where the state cannot be read."""
        ...


class Online(Protocol):
    """The online door; loads no polars."""

    def contexts(self, requests: Sequence[Request]) -> tuple[Sequence[Any], Offsets]:
        """What the state holds about each request, from one consistent view, and the view's offsets."""
        ...

    def open(self, candidate: Any, artifact: Artifact, arrangement: Mapping[str, Any]) -> Pipeline:
        """The version with what `candidate` learned, over the catalogs of the stores."""
        ...

    def fallback(self, best: Pipeline | None) -> Fallback:
        """Remade by the refresher when something under it changes."""
        ...


class Past(Protocol):
    """History as it was known at `as_of_us`: the only way in which tasks and candidates see it."""

    @property
    def as_of_us(self) -> int: ...

    def events(self, name: str) -> Any:
        """A polars frame of one event type, joined types too."""
        ...

    def predictions(self) -> Any:
        """A polars frame: a row for each item shown (or each response without items), with the request's fields."""
        ...

    def features(self, names: Sequence[str], rows: Any) -> Doubles:
        """float64 (rows, names), as known and applied at each row's instant, or by the row's offsets; nan: missing."""
        ...

    def before(self, at_us: int) -> "Past": ...


class TrainingData(msgspec.Struct, frozen=True):
    """What candidates are fitted on, known at `as_of_us`: arrays and texts, mapped into the processes that fit.

    Tasks view it as they like (`Interactions.of(data)`, rows of a table).
    """

    arrays: dict[str, NDArray[Any]]
    texts: dict[str, list[str]]
    as_of_us: int


class EvaluationSet(msgspec.Struct, frozen=True):
    """The requests that candidates are evaluated on, each at its own instant with the context of that instant.

    `units`: what each request is resampled with (its user, day or document). `truth`: the task's own. `slices`:
    {name: the slice of each request, None for none}, such as "history_length".
    """

    requests: list[Request]
    contexts: list[Any]
    units: list[str]
    truth: Any
    slices: dict[str, list[str | None]] = {}


class Examples(msgspec.Struct, frozen=True):
    """`train`: known before the test window. `full`: known now. `window_us`: [start, end) of the evaluated requests,
    which ends so early that every label is mature. `summary`: one sentence for the person who waits."""

    train: TrainingData
    full: TrainingData
    evaluation: EvaluationSet
    window_us: tuple[int, int]
    summary: str


class Candidate(Protocol):
    """What an application lists: a model, or stages of models; a value. `features`: names of those it reads."""

    @property
    def features(self) -> tuple[str, ...]: ...

    def fit(self, data: TrainingData, past: Past, seed: int) -> Arrays: ...


class Metric(Protocol):
    """A function of unit weights: `prepare` returns weights (resamples, units) -> values (resamples,).

    The metric itself is its value at weights 1, so one bootstrap serves means, RMSE, log loss, AUC and coverage.
    `better`: "high", "low", or the value that it should have.
    """

    @property
    def better(self) -> Literal["high", "low"] | float: ...

    def prepare(self, responses: Sequence[Response], evaluation: EvaluationSet) -> Callable[[Doubles], Doubles]: ...


class EvaluationPlan(msgspec.Struct, frozen=True):
    """How a task is evaluated. `metrics`: by the name used in `choose=`, `gates=`, `--metric` and reports: a family
    takes "@argument"; full names are `[label:]metric[@argument][/slice]`. `shown`: columns of tables. `baselines`:
    always evaluated beside the candidates; `must_beat`: the one that a winner may not lose to."""

    metrics: Mapping[str, Callable[..., Metric]]
    default: str
    shown: tuple[str, ...]
    baselines: Mapping[str, Candidate]
    must_beat: str


class Offline(Protocol):
    """The offline door; may load polars."""

    def examples(self, past: Past, min_examples: int, seed: int) -> Examples | str:
        """The examples, or why there are too few."""
        ...

    def plan(self) -> EvaluationPlan: ...


class Task(Protocol):
    """One kind of application."""

    @property
    def about(self) -> About: ...

    def bind(self, candidates: Mapping[str, Any]) -> "tuple[Task, Mapping[str, Any]]":
        """The task with the features that the candidates bring, and the candidates, told how these are declared.

        Raises `BadDeclaration` for what cannot be a candidate of this task.
        """
        ...

    def restore(self, declaration: Mapping[str, Any], event_types: Sequence[type[Event]] = ()) -> "Task":
        """The task as a version was made with it: `about.declaration` of then, with `about.arrangement` of then too.

        `event_types`: further ones the application declares. Raises `Refused` for what is not declared any more.
        """
        ...

    def offline(self) -> Offline: ...

    def online(self, stores: Stores) -> Online: ...
