"""The contract of a task: one folder below `tasks/` implements it, and no room above names anything of one task.

A task has an inert description (`about`) and two doors: `offline` (examples as known then, and how to evaluate) and
`online` (context of a request, a pipeline per version, the fallback). Every protocol has five members at most.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays
from flyball.events import Event, Offsets, WrittenType
from flyball.models import Artifact
from flyball.stores import StateStore
from flyball.tasks.about import About
from flyball.tasks.evaluation import EvaluationPlan, EvaluationSet
from flyball.tasks.featurize import ReadFeatures
from flyball.tasks.past import Past
from flyball.tasks.request import Request
from flyball.tasks.response import IntervalShift, Response

TakeReview = Callable[[Request, float], int | None]
"""How many reviews the day of a request has had; below the number given, the request counts as one from then on. In a
replay what it was then, None where nothing was counted."""


class Stores(msgspec.Struct, frozen=True):
    """What responses are made from: live in serving, rebuilt from the log for a replay. The code above is the same.

    `catalogs`: {entity: what there is of it}. `events`: in a replay the frames of these event types, with all that lay
    before the offsets of the fallback: what needs everyone's events is computed from them, as `state` was rebuilt for
    a few keys alone. `interval`: by how much outcomes have moved the interval that covers a level, None where nothing
    keeps it there; None itself where no outcome is known, as in an evaluation. `reviews`: see `TakeReview`; None where
    none are counted, as in an evaluation or for a file.
    """

    state: StateStore
    features: ReadFeatures | None
    catalogs: Mapping[str, Any]
    events: Callable[[Iterable[str]], Mapping[str, Any]] | None = None
    interval: Callable[[float], IntervalShift | None] | None = None
    reviews: TakeReview | None = None


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


@runtime_checkable
class DescribesDecisions(Protocol):
    """A pipeline that says by what rule it decides on a request, for `flyball why`."""

    def decision_words(self, request: Request) -> str:
        """The rule in half a sentence, where it is not the one for all requests; "" otherwise."""
        ...


class ListLimit(msgspec.Struct, frozen=True):
    """At most `at_most` items of a list have the same value of `attribute`.

    `values`: of each item of one list, () for an item that is exempt.
    """

    attribute: str
    at_most: int
    values: tuple[tuple[str, ...], ...]


@runtime_checkable
class LimitsLists(Protocol):
    """A pipeline whose lists obey a rule on all of their items, which then holds in lists drafted from several."""

    def limit_of(self, request: Request, response: Response) -> ListLimit | None:
        """The rule, with the values of the items of `response`; None where none holds for this request."""
        ...


PRECOMPUTED_LEVEL, POPULAR_LEVEL, DEFAULT_LEVEL, EMPTY_LEVEL = "precomputed", "popular", "default", "empty"
"""The fallback levels, best first: what the best version computed beforehand, what is usual now, what the application
declared for such a case, nothing better known."""


FALLBACK_LEVELS = (PRECOMPUTED_LEVEL, POPULAR_LEVEL, DEFAULT_LEVEL, EMPTY_LEVEL)


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


@runtime_checkable
class DescribesContexts(Protocol):
    """An online door that says in a few words what a context holds, for `flyball why`."""

    def describe(self, context: Any) -> str: ...


@runtime_checkable
class AnswersAtOnce(Protocol):
    """A task that can answer something before any store or version is opened."""

    def first_fallback(self, arrangement: Mapping[str, Any]) -> Fallback:
        """By `arrangement`, or as declared where that names nothing. Raises `Refused` for one that does not fit."""
        ...


@runtime_checkable
class WritesOnnx(Protocol):
    """A task whose versions can be written as ONNX, for programs without Flyball."""

    def onnx_file(self, model: Any, artifact: Artifact, about: Mapping[str, str]) -> bytes:
        """A version's model and artifact as one ONNX file; `about` is kept in it. Raises `Refused` for a model without
        an ONNX form."""
        ...


class Lookup(msgspec.Struct, frozen=True):
    """A question besides requests that a version can answer, at `/v1/<name>`; it is not recorded.

    `query`: its fields; one that is also in `path` ("/{item}") comes there. `reply`: what comes back. `capability`: in
    words, such as "lists similar items"; `able`: whether a version can. `answer(version, pipeline, online, query)`
    raises `BadInput` or `NotFound`.
    """

    name: str
    path: str
    summary: str
    query: type[Any]
    reply: type[Any]
    capability: str
    able: Callable[[Pipeline], bool]
    answer: Callable[[str, Pipeline, Online, Any], Any]


@runtime_checkable
class OffersLookups(Protocol):
    """A task that brings lookups of its own."""

    @property
    def lookups(self) -> Sequence[Lookup]: ...


class TrainingData(msgspec.Struct, frozen=True):
    """What candidates are fitted on, known at `as_of_us`: arrays and texts, mapped into the processes that fit.

    Tasks view it as they like (`Interactions.of(data)`, rows of a table).
    """

    arrays: dict[str, NDArray[Any]]
    texts: dict[str, list[str]]
    as_of_us: int


class Holdout(msgspec.Struct, frozen=True):
    """The test window `[start_us, end_us)`: it holds `positives`, which are `share` of all. `rule` in words."""

    start_us: int
    end_us: int
    share: float = 0.0
    positives: int = 0
    rule: str = ""


class Examples(msgspec.Struct, frozen=True):
    """`train`: known before the test window. `full`: known now; of a requested window, which nobody learns for,
    `train`. `holdout`: the window of the evaluated requests, which ends so early that every label is mature.
    `summary`: one sentence for the person who waits."""

    train: TrainingData
    full: TrainingData
    evaluation: EvaluationSet
    holdout: Holdout
    summary: str


Candidate = msgspec.Struct
"""What an application lists: a model, or stages of models, as its parameters.

One of a task that does not fit it (`TrainsCandidates`) has `fit(data: TrainingData, past: Past, seed: int) -> Arrays`.
Its class may have `search_space`: {parameter: the values that a search tries}.
"""


class Trained(msgspec.Struct, frozen=True):
    """What an artifact keeps of a fitted candidate.

    `texts`: lists by name, such as the items of a catalog. `note`: what the fit left out or did otherwise.
    """

    arrays: Arrays
    texts: Mapping[str, list[str]] = {}
    note: str = ""


class Offline(Protocol):
    """The offline door; may load polars."""

    def examples(
        self,
        past: Past,
        min_examples: int,
        seed: int,
        metrics: Sequence[str],
        window_us: tuple[int, int] | None = None,
    ) -> Examples | str:
        """The examples, or why there are too few. `metrics`: full names of those that will be asked for.

        `window_us`: the test window `[start, end)`; None for the task's own rule. Offline doors that are asked for
        several windows of one past may keep what they have in common.
        """
        ...

    def plan(self) -> EvaluationPlan: ...


@runtime_checkable
class GroupsRequests(Protocol):
    """An offline door that says which groups requests belong to, by the attributes of `About.groups`."""

    def groups_of_requests(
        self, past: Past, requests: Sequence[Mapping[str, Any]], at_us: NDArray[np.int64]
    ) -> Mapping[str, Sequence[str | None]]:
        """{attribute: the group of each of `requests`, None where it is missing}, as known at `at_us`."""
        ...


@runtime_checkable
class TrainsCandidates(Protocol):
    """An offline door whose candidates do not fit themselves on `TrainingData`."""

    def train(self, candidate: Any, data: TrainingData, past: Past, seed: int) -> Trained:
        """Fit one; raises whatever it raises, and `BadInput` for what no artifact can hold."""
        ...


@runtime_checkable
class TakesShares(Protocol):
    """An offline door that can take a share of the training data, for learning curves and successive halving."""

    def share(self, data: TrainingData, share: float, seed: int) -> TrainingData:
        """A random share of the units it is made of; a smaller share is within a larger one."""
        ...


@runtime_checkable
class ContinuesCandidates(Protocol):
    """An offline door whose candidates may continue from what they learned before, at a fraction of the cost."""

    def unable_to_continue(self, candidate: Any) -> str:
        """Why a candidate has to learn from everything each time; "" for one that can continue."""
        ...

    def unseen(self, data: TrainingData, learned_us: int, examples: int) -> int | str:
        """How many examples of `data` became known after `learned_us`, when there were `examples`; or why the others
        are not those any more."""
        ...

    def continued(self, candidate: Any, learned: Artifact, learned_us: int, data: TrainingData, seed: int) -> Trained:
        """What the candidate had `learned` by `learned_us`, brought up to date by `data`, everything known now."""
        ...


@runtime_checkable
class TakesPeriods(Protocol):
    """An offline door that can leave out old training data, to measure what newer data are worth."""

    def example_times(self, data: TrainingData) -> NDArray[np.int64]:
        """The time of each example."""
        ...

    def since(self, data: TrainingData, from_us: int) -> TrainingData:
        """The examples from `from_us` on."""
        ...


@runtime_checkable
class CountsLabels(Protocol):
    """An offline door that can count what there is to learn from, for triggers by volume."""

    def count_labels(self, past: Past, as_of_us: int) -> int:
        """The labels that were final at `as_of_us`, by what was known then."""
        ...


class Task(Protocol):
    """One kind of application."""

    @property
    def about(self) -> About: ...

    def bind(self, candidates: Mapping[str, Any]) -> "tuple[Task, Mapping[str, Any]]":
        """The task with the features that the candidates bring, and the candidates, which know how these are declared.

        Raises `BadDeclaration` for what cannot be a candidate of this task.
        """
        ...

    def restore(
        self,
        declaration: Mapping[str, Any],
        event_types: Sequence[type[Event]] = (),
        written: Sequence[WrittenType] = (),
    ) -> "Task":
        """The task as a version was made with it: `about.declaration` of then, with `about.arrangement` of then too.

        `event_types`: further ones the application declares; `written`: what the log's records were written with, which
        says what types and fields of then are called now. Raises `Refused` for what is not declared any more.
        """
        ...

    def offline(self) -> Offline: ...

    def online(self, stores: Stores) -> Online: ...
