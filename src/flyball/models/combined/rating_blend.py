"""A blend of models of ratings: linear stacking with cross-fitted weights.

Sources: Wolpert, "Stacked Generalization", Neural Networks 1992; Breiman, "Stacked Regressions", Machine Learning 1996;
blending of rating models by ridge regression: Töscher, Jahrer, Bell, "The BigChaos Solution to the Netflix Grand
Prize", 2009.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Refused
from flyball.models.base import (
    Learned,
    PredictsByPairs,
    Recommender,
    check_parts,
    knows_similar,
    named_parts,
    part_of,
    predict_pairs,
    predicts_ratings,
    sum_of,
)
from flyball.models.data import Floats, Histories, Indexes, Interactions, histories_of, rated, select_rows
from flyball.models.recommenders.biased_mf import BiasedMF
from flyball.models.recommenders.rating_knn import RatingKNN
from flyball.models.recommenders.svdpp import SVDpp


class RatingBlend(PredictsByPairs, Recommender, frozen=True):
    """r_ui = sum of weight * the components' predictions; the weights come from a ridge regression.

    `models`: the components, such as `(fb.BiasedMF(), fb.SVDpp())`; all must predict ratings. The ratings are divided
    into `folds` parts; the regression is fitted on predictions of each part by components that were fitted without it.
    `reg`: strength of the penalty that draws the weights to 1 / components, in numbers of ratings. The cost is
    folds + 1 fits of each component.
    """

    kind: ClassVar[str] = "rating_blend"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "ratings"

    models: tuple[Recommender, ...] = (BiasedMF(), SVDpp(), RatingKNN())
    folds: int = 3
    reg: float = 100.0

    def __post_init__(self) -> None:
        check_parts("RatingBlend", self.models)
        for model in self.models:
            if not predicts_ratings(model):
                raise BadDeclaration("RatingBlend's models", "models that predict ratings, such as fb.SVDpp()", model)
        if self.folds < 2:
            raise BadDeclaration("RatingBlend's folds", "at least 2", self.folds)
        if not self.reg > 0:
            raise BadDeclaration("RatingBlend's reg", "above 0", self.reg)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`weights` float64 (components,), `limits` (2,) and the components' own arrays (`c0_...` for the first)."""
        ratings = rated(data)
        learned = {"weights": self._weights(ratings, seed), "limits": np.array([-np.inf, np.inf])}
        if len(ratings.ratings):
            learned["limits"] = np.array([ratings.ratings.min(), ratings.ratings.max()], dtype=np.float64)
        return learned | named_parts("c", [model.fit(data, seed) for model in self.models])

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """The weighted sum of the components' scores; -inf where any of them is -inf."""
        return self._added(learned, lambda model, own: model.score(own, histories))

    def similar(self, learned: Learned, item: int) -> Floats:
        """The similarities of the first component; raises `Refused` if it cannot list similar items."""
        first = self.models[0]
        if not knows_similar(first):
            raise Refused(
                f"the first model of a RatingBlend must be able to list similar items, got {type(first).__name__}"
            )
        return first.similar(part_of("c", 0, learned), item)

    def predict_pairs(self, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes) -> Floats:
        """The weighted sum of the components' predictions, limited to the range of the training ratings.

        Shapes as of `models.predict_pairs`.
        """
        added = self._added(learned, lambda model, own: _predicted(model, own, histories, rows, items))
        return np.clip(added, *learned["limits"]).astype(np.float32)

    @property
    def parts(self) -> tuple[Recommender, ...]:
        """The components."""
        return self.models

    def artifact_bytes(self, data: Interactions) -> int | None:
        """The sum over all components."""
        return sum_of(model.artifact_bytes(data) for model in self.models)

    def _added(
        self, learned: Learned, ask: Callable[[Recommender, Mapping[str, NDArray[Any]]], Floats]
    ) -> NDArray[np.float32]:
        total: NDArray[Any] = np.zeros(1)
        for index, (model, weight) in enumerate(zip(self.models, learned["weights"].tolist(), strict=True)):
            part = ask(model, part_of("c", index, learned)).astype(np.float64)
            total = total + np.where(np.isneginf(part), -np.inf, weight * part)
        return np.asarray(total, dtype=np.float32)

    def _weights(self, ratings: Interactions, seed: int) -> NDArray[np.float64]:
        size, rows = len(self.models), len(ratings.ratings)
        system, pull = self.reg * np.eye(size), np.full(size, self.reg / size)
        part = np.random.default_rng(seed).permutation(rows) % self.folds
        for fold in range(self.folds if rows >= 2 * self.folds else 0):
            train, test = select_rows(ratings, part != fold), select_rows(ratings, part == fold)
            test_users, owner = np.unique(test.user_index, return_inverse=True)
            histories = histories_of(train, test_users)
            predicted = [
                _predicted(model, model.fit(train, seed), histories, owner, test.item_index).astype(np.float64)
                for model in self.models
            ]
            for a in range(size):
                pull[a] += (predicted[a] * test.ratings).sum()
                for b in range(size):
                    system[a, b] += (predicted[a] * predicted[b]).sum()
        return np.asarray(np.linalg.solve(system, pull))


def _predicted(
    model: Recommender, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes
) -> Floats:
    assert predicts_ratings(model)  # checked when it was declared
    return predict_pairs(model, learned, histories, rows, items)
