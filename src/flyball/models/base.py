"""The contract of a recommender: the model is a value of its parameters; what it learned is a mapping of arrays."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Refused
from flyball.models.data import Attributes, Floats, Histories, Indexes, Interactions, take
from flyball.models.parameters import CheckedParameters
from flyball.models.past import RankingPast
from flyball.models.tabular.table import TabularModel

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Learned = Mapping[str, NDArray[Any]]
SearchSpace = Mapping[str, tuple[Any, ...]]
Model = TypeVar("Model", bound=msgspec.Struct)


class Recommender(msgspec.Struct, metaclass=CheckedParameters, frozen=True):
    """A recommender's parameters. Subclass with `frozen=True`, give the fields defaults, write `fit` and `score`.

    All personal models are *inductive*: `learned` holds arrays of items only, and a user's vector is computed from the
    history in the request. So a new user, or a new event of a known user, needs no retraining. Further abilities are
    optional methods: see `Explains`, `ListsSimilar`, `PredictsRatings`, `Updates`, `PlacesNew`.

    `kind`: the name of one of Flyball's own models in artifacts, tables and on the command line. `family`: whether the
    model is compared by its ranked lists or by its predicted ratings. `personal`: False if the scores do not depend on
    what the user did. `reads_attributes`: whether `fit` may read the items' attributes. `search_space`: {parameter:
    the values that a search tries}. `needs_past`: whether the model learns from several past times, each with only
    what was known then (`fit_past`); this needs an event log.
    """

    kind: ClassVar[str] = ""
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "lists"
    personal: ClassVar[bool] = True
    reads_attributes: ClassVar[bool] = True
    needs_past: ClassVar[bool] = False
    search_space: ClassVar[SearchSpace] = {}

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """What was learned from `data`, as named arrays.

        The same data (rows in any order) and seed give the same bits at any thread count.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fit(data, seed)")

    def fit_past(self, past: RankingPast, seed: int) -> dict[str, NDArray[Any]]:
        """Learn from several past times, each with only what was known then; by default `fit` on what is known now."""
        return self.fit(past.now, seed)

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Scores, float32 (rows, items), higher is better; -inf for "cannot recommend"; never nan.

        A pure function; a row gets the same bits in any batch. A personal model needs evidence in the history: a
        positive weight or, for models of ratings, a rating. A row without it gets -inf for every item, and the pipeline
        falls back to the list of the user's group or the popular list.
        """
        raise NotImplementedError(f"{type(self).__name__} must define score(learned, histories)")

    @property
    def parts(self) -> "tuple[Recommender, ...]":
        """The models that this one combines."""
        return ()

    @property
    def feature_hashes(self) -> dict[str, str]:
        """{feature: hash of its definition} of the declared features it reads."""
        return {}

    def artifact_bytes(self, data: Interactions) -> int | None:
        """An upper bound of the bytes of arrays after a fit on `data`, give or take a few thousand; None if unknown."""
        return None

    def note(self, data: Interactions) -> str:
        """A note for the report: what a fit on `data` leaves out or does differently; "" if there is nothing to say."""
        return ""


@runtime_checkable
class Explains(Protocol):
    """A model whose scores are sums over the history."""

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """(history position, contribution) for one row; contributions add up to `score` of `item`."""
        ...


@runtime_checkable
class ListsSimilar(Protocol):
    """A model that can compare items with each other."""

    def similar(self, learned: Learned, item: int) -> Floats:
        """The similarity of each item to `item`, float32 (items,); -inf for unknown items and for `item` itself."""
        ...


@runtime_checkable
class PredictsRatings(Protocol):
    """A model of ratings. A model that folds users in may also define `predict_pairs`, to fold each user in once."""

    def predict_rating(self, learned: Learned, histories: Histories, items: Indexes) -> Floats:
        """The rating that the user of each row would give to `items[row]`, float32 (rows,)."""
        ...


class PredictsByPairs:
    """A base of models that predict ratings by `predict_pairs`."""

    __slots__ = ()

    def predict_rating(self, learned: Learned, histories: Histories, items: Indexes) -> Floats:
        """See `PredictsRatings`: the prediction of `predict_pairs` for each row and its item."""
        return self.predict_pairs(learned, histories, np.arange(histories.rows), items)

    def predict_pairs(self, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes) -> Floats:
        """See `models.predict_pairs`."""
        raise NotImplementedError(f"{type(self).__name__} must define predict_pairs(learned, histories, rows, items)")


@runtime_checkable
class Updates(Protocol):
    """A model that continues from what it learned before."""

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """The `learned` arrays, brought up to date. `items`: the item ids that they were learned for.

        `data`: everything known now, not only what is new. Cheaper than `fit`, with a similar result; each model's
        docstring says how similar.
        """
        ...


@runtime_checkable
class PlacesNew(Protocol):
    """A model that can score items added after it was fitted."""

    def place_new(self, learned: Learned, new: Attributes) -> dict[str, NDArray[Any]]:
        """The `learned` arrays with the items of `new`, which nobody has liked yet, appended to the known ones.

        A pure function. Scores of known items keep their bits; a new item's score does not depend on the other new
        items.
        """
        ...


def explain_score(model: object, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
    """See `Explains.explain`; raises `Refused` for a model whose score is not a sum over the history."""
    if not isinstance(model, Explains):
        raise Refused(f"{type(model).__name__} cannot explain a score: it is not a sum over the history")
    return model.explain(learned, histories, item)


def similar_items(model: object, learned: Learned, item: int) -> Floats:
    """See `ListsSimilar.similar`; raises `Refused` for a model that cannot compare items."""
    if not isinstance(model, ListsSimilar):
        raise Refused(
            f"{type(model).__name__} must be a model that lists similar items, such as fb.ItemKNN, got "
            "one that cannot: release another"
        )
    return model.similar(learned, item)


def predict_pairs(
    model: object, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes
) -> Floats:
    """The rating that the user of row `rows[n]` of `histories` would give to `items[n]`, float32 (n,).

    Raises `Refused` for a model that does not predict ratings.
    """
    if not isinstance(model, PredictsRatings):
        raise Refused(
            f"{type(model).__name__} must be a model that predicts ratings, such as fb.BiasedMF, got one that does "
            "not: release another"
        )
    at_once = getattr(model, "predict_pairs", None)
    if at_once is not None:
        return np.asarray(at_once(learned, histories, rows, items), np.float32)
    return model.predict_rating(learned, take(histories, rows), items)


def predicts_ratings(model: object) -> "TypeIs[PredictsRatings]":
    """Whether the model is a model of ratings."""
    return isinstance(model, PredictsRatings)


def explains(model: object) -> "TypeIs[Explains]":
    """Whether the model can split a score into contributions of the history."""
    return isinstance(model, Explains)


def knows_similar(model: object) -> "TypeIs[ListsSimilar]":
    """Whether the model can list the items similar to a given item."""
    return isinstance(model, ListsSimilar)


def updates(model: object) -> "TypeIs[Updates]":
    """Whether the model can continue from what it learned before."""
    return isinstance(model, Updates)


def places_new(model: object) -> "TypeIs[PlacesNew]":
    """Whether the model can score items that came after it was fitted."""
    return isinstance(model, PlacesNew)


def reads_attributes(model: Recommender) -> bool:
    """Whether `fit` may read the items' attributes, in the model itself or in a model that it combines."""
    return any(map(reads_attributes, model.parts)) if model.parts else type(model).reads_attributes


def named_parts(prefix: str, learned: Sequence[Learned]) -> dict[str, NDArray[Any]]:
    """The arrays of all parts, in one mapping: part 0 under `prefix`0_..., part 1 under `prefix`1_..., and so on."""
    return {f"{prefix}{index}_{name}": array for index, arrays in enumerate(learned) for name, array in arrays.items()}


def part_of(prefix: str, index: int, learned: Learned) -> dict[str, NDArray[Any]]:
    """The arrays of part `index`, under the part's own names."""
    start = f"{prefix}{index}_"
    return {name.removeprefix(start): array for name, array in learned.items() if name.startswith(start)}


def models_here() -> dict[str, type[Recommender]]:
    """{kind: class} of Flyball's models that have been imported."""
    room = __name__.rpartition(".")[0] + "."
    own = [model for model in _subclasses(Recommender) if model.__module__.startswith(room) and "kind" in vars(model)]
    return {model.kind: model for model in sorted(own, key=lambda model: model.kind)}


def tabular_models_here() -> dict[str, type[TabularModel]]:
    """{kind: class} of Flyball's models of tables that have been imported."""
    room = __name__.rpartition(".")[0] + "."
    own = [model for model in _subclasses(TabularModel) if model.__module__.startswith(room) and "kind" in vars(model)]
    return {model.kind: model for model in sorted(own, key=lambda model: model.kind)}


def kind_of(model: Any) -> str:
    """The name of the model's class in a manifest: `kind` for Flyball's own models, file and class for others.

    A class Own that an application declares in shop.py is "shop.py:Own".

    >>> from flyball.models import EASE
    >>> kind_of(EASE())
    'ease'
    """
    return kind_of_class(type(model))


def kind_of_class(model: type[Any]) -> str:
    """What `kind_of` returns for a model of this class."""
    kind: str = getattr(model, "kind", "")  # candidates of a task need not declare one
    if model in (models_here().get(kind), tabular_models_here().get(kind)):
        return kind
    file = getattr(sys.modules.get(model.__module__), "__file__", None)
    return f"{Path(file).name if file else model.__module__}:{model.__qualname__}"


def _subclasses(model: type[Model]) -> list[type[Model]]:
    return [subclass for direct in model.__subclasses__() for subclass in (direct, *_subclasses(direct))]


def check_parts(owner: str, models: Any) -> None:
    """Raise `BadDeclaration` unless `models` is a tuple of models, one or more."""
    if not isinstance(models, tuple) or not models or not all(isinstance(model, Recommender) for model in models):
        raise BadDeclaration(f"{owner}'s models", "a tuple of models, such as (fb.EASE(), fb.SLIM())", models)


def sum_of(sizes: Iterable[int | None]) -> int | None:
    """The sum, or None if any summand is None."""
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def unscored(rows: int, items: int) -> Floats:
    """Scores of -inf for every item, float32 (rows, items)."""
    return np.full((rows, items), -np.inf, dtype=np.float32)
