"""The contract of a recommender: parameters are a value, what was learned is a mapping of arrays."""

from collections.abc import Iterable, Mapping, Sequence
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

    All personal models are *inductive*: `learned` holds item-side arrays only, a user's vector is computed from the
    history in the request, so a new user, or a new event of a known one, needs no retraining. What more a model can do
    it says by having the method: see `Explains`, `ListsSimilar`, `PredictsRatings`, `Updates`, `PlacesNew`.

    `kind`: the name of one of Flyball's own models in artifacts, tables and on the command line. `family`: what it is
    compared by, ranked lists or predicted ratings. `personal`: False for a model whose scores do not depend on what
    the user did. `reads_attributes`: whether `fit` may look at the items' attributes. `search_space`: parameters that
    a search varies, each with the values to try. `needs_past`: whether it learns from the past as it was known at
    several times (`fit_past`), which only a log can tell.
    """

    kind: ClassVar[str] = ""
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "lists"
    personal: ClassVar[bool] = True
    reads_attributes: ClassVar[bool] = True
    needs_past: ClassVar[bool] = False
    search_space: ClassVar[SearchSpace] = {}

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Learn from `data`: named arrays. Same data (rows in any order) and seed: same bits, at any thread count."""
        raise NotImplementedError(f"{type(self).__name__} must define fit(data, seed)")

    def fit_past(self, past: RankingPast, seed: int) -> dict[str, NDArray[Any]]:
        """Learn from the past as known at several times; by default from what is known now."""
        return self.fit(past.now, seed)

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Scores, float32 (rows, items), higher is better, finite or -inf for "cannot recommend"; never nan.

        Pure; a row has the same bits in any batch. A personal model gives a row without the evidence it needs
        (no positive weight; for rating models no rating) -inf throughout: the pipeline then falls back to the list of
        the user's group or the popular list.
        """
        raise NotImplementedError(f"{type(self).__name__} must define score(learned, histories)")

    @property
    def parts(self) -> "tuple[Recommender, ...]":
        """The models that this one is made of."""
        return ()

    @property
    def feature_hashes(self) -> dict[str, str]:
        """{feature: hash of its definition} of the declared features it reads."""
        return {}

    def artifact_bytes(self, data: Interactions) -> int | None:
        """The most bytes of arrays after a fit on `data`, besides a few thousand; None where unknown."""
        return None

    def note(self, data: Interactions) -> str:
        """A note for the report on what a fit on `data` leaves out or does differently; "" for nothing."""
        return ""


@runtime_checkable
class Explains(Protocol):
    """A model whose scores are sums over the history."""

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """(history position, contribution) for one row; contributions add up to `score` of `item`."""
        ...


@runtime_checkable
class ListsSimilar(Protocol):
    """A model with an item side."""

    def similar(self, learned: Learned, item: int) -> Floats:
        """The similarity of each item to `item`, float32 (items,); -inf for unknown items and for `item` itself."""
        ...


@runtime_checkable
class PredictsRatings(Protocol):
    """A model of ratings. One that folds a user in may have `predict_pairs` too, to do so once a user."""

    def predict_rating(self, learned: Learned, histories: Histories, items: Indexes) -> Floats:
        """The rating each row would give `items[row]`, float32 (rows,)."""
        ...


@runtime_checkable
class Updates(Protocol):
    """A model that continues from what it learned before."""

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """What was `learned` over `items`, brought up to date with `data`: everything known now, not only what is new.

        Cheaper than `fit` and near it, each model says how near.
        """
        ...


@runtime_checkable
class PlacesNew(Protocol):
    """A model that scores items which came after it was fitted."""

    def place_new(self, learned: Learned, new: Attributes) -> dict[str, NDArray[Any]]:
        """What was `learned`, with the items of `new` behind those it knew: nobody liked them yet.

        Pure; scores of the others keep their bits, and a new item's do not depend on what else is new.
        """
        ...


def explain_score(model: object, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
    """See `Explains.explain`; raises `Refused` for a model whose score is no sum over the history."""
    if not isinstance(model, Explains):
        raise Refused(f"{type(model).__name__} does not explain: its score is no sum over the history")
    return model.explain(learned, histories, item)


def similar_items(model: object, learned: Learned, item: int) -> Floats:
    """See `ListsSimilar.similar`; raises `Refused` for a model without an item side."""
    if not isinstance(model, ListsSimilar):
        raise Refused(f"{type(model).__name__} knows no similar items")
    return model.similar(learned, item)


def predict_pairs(
    model: object, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes
) -> Floats:
    """The rating that the user of row `rows[n]` of `histories` would give `items[n]`, float32 (n,).

    Raises `Refused` but for models of ratings.
    """
    if not isinstance(model, PredictsRatings):
        raise Refused(f"{type(model).__name__} does not predict ratings")
    at_once = getattr(model, "predict_pairs", None)
    if at_once is not None:
        return np.asarray(at_once(learned, histories, rows, items), np.float32)
    return model.predict_rating(learned, take(histories, rows), items)


def predicts_ratings(model: object) -> "TypeIs[PredictsRatings]":
    """Whether the model is a model of ratings."""
    return isinstance(model, PredictsRatings)


def explains(model: object) -> "TypeIs[Explains]":
    """Whether the model's scores can be split over the history."""
    return isinstance(model, Explains)


def knows_similar(model: object) -> "TypeIs[ListsSimilar]":
    """Whether the model can list items similar to one."""
    return isinstance(model, ListsSimilar)


def updates(model: object) -> "TypeIs[Updates]":
    """Whether the model can continue from what it learned before."""
    return isinstance(model, Updates)


def places_new(model: object) -> "TypeIs[PlacesNew]":
    """Whether the model can score items that came after it was fitted."""
    return isinstance(model, PlacesNew)


def reads_attributes(model: Recommender) -> bool:
    """Whether `fit` may look at the items' attributes, the model's own or that of a part of it."""
    return any(map(reads_attributes, model.parts)) if model.parts else type(model).reads_attributes


def named_parts(prefix: str, learned: Sequence[Learned]) -> dict[str, NDArray[Any]]:
    """The arrays of all parts, those of the first named `prefix`0_... and so on."""
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
    """The same of models of tables."""
    room = __name__.rpartition(".")[0] + "."
    own = [model for model in _subclasses(TabularModel) if model.__module__.startswith(room) and "kind" in vars(model)]
    return {model.kind: model for model in sorted(own, key=lambda model: model.kind)}


def _subclasses(model: type[Model]) -> list[type[Model]]:
    return [subclass for direct in model.__subclasses__() for subclass in (direct, *_subclasses(direct))]


def check_parts(owner: str, models: Any) -> None:
    """Raise `BadDeclaration` unless `models` is a tuple of models, one or more."""
    if not isinstance(models, tuple) or not models or not all(isinstance(model, Recommender) for model in models):
        raise BadDeclaration(f"{owner}'s models", "a tuple of models, such as (fb.EASE(), fb.SLIM())", models)


def sum_of(sizes: Iterable[int | None]) -> int | None:
    """The sum; None where a summand is None."""
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def unscored(rows: int, items: int) -> Floats:
    """Scores of -inf for every item, float32 (rows, items)."""
    return np.full((rows, items), -np.inf, dtype=np.float32)
