"""The contract of a recommender: parameters are a value, what was learned is a mapping of arrays."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Refused
from flyball.models.data import Attributes, Floats, Histories, Indexes, Interactions, take
from flyball.models.parameters import CheckedParameters

Learned = Mapping[str, NDArray[Any]]


class Recommender(msgspec.Struct, metaclass=CheckedParameters, frozen=True):
    """A recommender's parameters. Subclass with `frozen=True`, give the fields defaults, write `fit` and `score`.

    All personal models are *inductive*: `learned` holds item-side arrays only, a user's vector is computed from the
    history in the question, so a new user, or a new event of a known one, needs no retraining.
    `personal`: False for a model whose scores do not depend on what the user did.
    `tried`: parameters that a search varies, each with the values to try.
    """

    personal: ClassVar[bool] = True
    tried: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Learn from `data`: named arrays. Same data (rows in any order) and seed: same bits, at any thread count."""
        raise NotImplementedError(f"{type(self).__name__} must define fit(data, seed)")

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Scores, float32 (rows, items), higher is better, finite or -inf for "cannot recommend"; never nan.

        Pure; a row has the same bits in any batch. A personal model gives a row without the evidence it needs
        (no positive weight; for rating models no rating) -inf throughout: the pipeline then falls back to the list of
        the user's group or the popular list.
        """
        raise NotImplementedError(f"{type(self).__name__} must define score(learned, histories)")

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """(history position, contribution) for one row; contributions add up to `score` of `item`.

        Raises `Refused` for a model whose score is no sum over the history.
        """
        raise Refused(f"{type(self).__name__} does not explain: its score is no sum over the history")

    def similar(self, learned: Learned, item: int) -> Floats:
        """How alike each item is to `item`, float32 (items,), -inf for unknown and for `item` itself.

        Raises `Refused` for a model without an item side.
        """
        raise Refused(f"{type(self).__name__} knows no similar items")

    def predict_rating(self, learned: Learned, histories: Histories, items: Indexes) -> Floats:
        """The rating each row would give `items[row]`, float32 (rows,). Raises `Refused` but for models of ratings."""
        raise Refused(f"{type(self).__name__} does not predict ratings")

    def predict_pairs(self, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes) -> Floats:
        """`predict_rating` for many items of the same users: row `rows[n]` of `histories` and `items[n]`, float32 (n,).

        Models that fold a user in do it once a row here.
        """
        return self.predict_rating(learned, take(histories, rows), items)

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """What was `learned` over `items`, brought up to date with `data`: everything known now, not only what is new.

        Cheaper than `fit` and near it, each model says how near. Raises `Refused` for models without it: their `fit` is
        cheap or has no state to go on from.
        """
        raise Refused(f"{type(self).__name__} has no update: fit it anew")

    def place_new(self, learned: Learned, new: Attributes) -> dict[str, NDArray[Any]]:
        """What was `learned`, with the items of `new` behind those it knew: nobody liked them yet.

        Pure; scores of the others keep their bits, and a new item's do not depend on what else is new. Raises `Refused`
        for models that know items by their likes alone.
        """
        raise Refused(f"{type(self).__name__} knows no item that came after it was fitted")


def predicts_ratings(model: Recommender) -> bool:
    """Whether the model is a model of ratings."""
    return type(model).predict_rating is not Recommender.predict_rating


def explains(model: Recommender) -> bool:
    """Whether the model's scores can be split over the history."""
    return type(model).explain is not Recommender.explain


def knows_similar(model: Recommender) -> bool:
    """Whether the model can list items similar to one."""
    return type(model).similar is not Recommender.similar


def updates(model: Recommender) -> bool:
    """Whether the model can go on from what it learned before."""
    return type(model).update is not Recommender.update


def places_new(model: Recommender) -> bool:
    """Whether the model can score items that came after it was fitted."""
    return type(model).place_new is not Recommender.place_new


def unscored(rows: int, items: int) -> Floats:
    """Scores that recommend nothing, float32 (rows, items)."""
    return np.full((rows, items), -np.inf, dtype=np.float32)
