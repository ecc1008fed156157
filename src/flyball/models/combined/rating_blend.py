"""A blend of models of ratings: linear stacking with cross-fitted weights.

Sources: Wolpert, "Stacked Generalization", Neural Networks 1992; Breiman, "Stacked Regressions", Machine Learning 1996;
blending of rating models by ridge regression: Töscher, Jahrer, Bell, "The BigChaos Solution to the Netflix Grand
Prize", 2009.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, predicts_ratings
from flyball.models.components import COMPONENTS
from flyball.models.data import Floats, Histories, Indexes, Interactions, histories_of, rated, select_rows


def _usual() -> dict[str, dict[str, Any]]:
    return {"biased_mf": {}, "svdpp": {}, "rating_knn": {}}


class RatingBlend(Recommender, frozen=True):
    """r_ui = sum of weight * the components' predictions, weights by ridge regression towards equal ones.

    `models`: name in the table of models → its parameters; all must predict ratings. The regression sees predictions of
    ratings withheld from the components in `folds` parts; `reg` counts imagined ratings that hold the weights at
    1 / components. Costs folds + 1 fits.
    """

    models: dict[str, dict[str, Any]] = msgspec.field(default_factory=_usual)
    folds: int = 3
    reg: float = 100.0

    def __post_init__(self) -> None:
        if not self.models:
            raise BadDeclaration("RatingBlend's models", "at least one", self.models)
        for name in self.models:
            if name not in COMPONENTS or COMPONENTS[name].predict_rating is Recommender.predict_rating:
                able = [known for known, model in COMPONENTS.items() if predicts_ratings(model())]
                raise BadDeclaration("RatingBlend's models", f"of {', '.join(able)}", name)
        if self.folds < 2:
            raise BadDeclaration("RatingBlend's folds", "at least 2", self.folds)
        if not self.reg > 0:
            raise BadDeclaration("RatingBlend's reg", "above 0", self.reg)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`weights` float64 (components,), `limits` (2,) and the components' own arrays (`c0_...` for the first)."""
        given = rated(data)
        learned = {"weights": self._weights(given, seed), "limits": np.array([-np.inf, np.inf])}
        if len(given.ratings):
            learned["limits"] = np.array([given.ratings.min(), given.ratings.max()], dtype=np.float64)
        for place, model in enumerate(self.components()):
            learned |= {f"c{place}_{name}": array for name, array in model.fit(data, seed).items()}
        return learned

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """The weighted sum of the components' scores; -inf where any of them has that."""
        return self._added(learned, lambda model, own: model.score(own, histories))

    def similar(self, learned: Learned, item: int) -> Floats:
        """As the first component has them."""
        return self.components()[0].similar(_own(learned, 0), item)

    def predict_rating(self, learned: Learned, histories: Histories, items: Indexes) -> Floats:
        """Within the ratings seen."""
        return self.predict_pairs(learned, histories, np.arange(histories.rows), items)

    def predict_pairs(self, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes) -> Floats:
        """`predict_rating` for many items of the same users."""
        added = self._added(learned, lambda model, own: model.predict_pairs(own, histories, rows, items))
        return np.clip(added, *learned["limits"]).astype(np.float32)

    def components(self) -> list[Recommender]:
        """The component models, in the order of `models`."""
        return [msgspec.convert(params, COMPONENTS[name]) for name, params in self.models.items()]

    def _added(
        self, learned: Learned, ask: Callable[[Recommender, Mapping[str, NDArray[Any]]], Floats]
    ) -> NDArray[np.float32]:
        total: NDArray[Any] = np.zeros(1)
        for place, (model, weight) in enumerate(zip(self.components(), learned["weights"].tolist(), strict=True)):
            part = ask(model, _own(learned, place)).astype(np.float64)
            total = total + np.where(np.isneginf(part), -np.inf, weight * part)
        return np.asarray(total, dtype=np.float32)

    def _weights(self, given: Interactions, seed: int) -> NDArray[np.float64]:
        size, rows = len(self.models), len(given.ratings)
        system, pull = self.reg * np.eye(size), np.full(size, self.reg / size)
        part = np.random.default_rng(seed).permutation(rows) % self.folds
        for fold in range(self.folds if rows >= 2 * self.folds else 0):
            train, test = select_rows(given, part != fold), select_rows(given, part == fold)
            asked, owner = np.unique(test.user_index, return_inverse=True)
            histories = histories_of(train, asked)
            predicted = [
                model.predict_pairs(model.fit(train, seed), histories, owner, test.item_index).astype(np.float64)
                for model in self.components()
            ]
            for a in range(size):
                pull[a] += (predicted[a] * test.ratings).sum()
                for b in range(size):
                    system[a, b] += (predicted[a] * predicted[b]).sum()
        return np.asarray(np.linalg.solve(system, pull))


def _own(learned: Learned, place: int) -> dict[str, NDArray[Any]]:
    prefix = f"c{place}_"
    return {name.removeprefix(prefix): array for name, array in learned.items() if name.startswith(prefix)}
