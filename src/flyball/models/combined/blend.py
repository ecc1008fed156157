"""A blend of recommenders: stacking with cross-fitted weights.

Sources: Wolpert, "Stacked Generalization", Neural Networks 1992; the weights are found by coordinate ascent on the
metric itself, Metzler, Croft, "Linear Feature-Based Models for Information Retrieval", Information Retrieval 2007.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, unscored
from flyball.models.components import COMPONENTS
from flyball.models.data import Floats, Histories, Interactions, histories_of, positives, select_rows
from flyball.models.ranking import top_k

_ASKED, _DEPTH = 1_000, 60  # users asked in each fold; how far down each model's list candidates are taken
_STEPS = (0.0, 0.5, 0.7, 0.85, 1.18, 1.4, 2.0)


def _usual() -> dict[str, dict[str, Any]]:
    return {"ease": {}, "implicit_als": {}, "slim": {}, "next_item": {}}


class Blend(Recommender, frozen=True):
    """score = sum of weight * z over the component models, z = a model's scores standardised within the row.

    `models`: name in the table of models → its parameters. The weights maximise ndcg@`k` on positives withheld from the
    components: a share 1 / `folds` of each user's positives in each of the folds ("random"), or each user's latest
    quarter, once ("last", for what comes next in time). Then the components are fitted on everything: one artifact
    holds them all (array `c0_...` for the first). Costs folds + 1 fits, and at answer time all components together.
    """

    models: dict[str, dict[str, Any]] = msgspec.field(default_factory=_usual)
    withheld: Literal["random", "last"] = "random"
    folds: int = 3
    k: int = 10

    def __post_init__(self) -> None:
        if not self.models:
            raise BadDeclaration("Blend's models", "at least one", self.models)
        for name in self.models:
            if name not in COMPONENTS:
                raise BadDeclaration("Blend's models", f"of {', '.join(COMPONENTS)}", name)
        if self.withheld not in ("random", "last"):
            raise BadDeclaration("Blend's withheld", "random or last", self.withheld)
        if self.folds < 2:
            raise BadDeclaration("Blend's folds", "at least 2", self.folds)
        if self.k < 1:
            raise BadDeclaration("Blend's k", "at least 1", self.k)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`weights` float64 (components,), adding up to 1, and the components' own arrays."""
        candidates = [
            self._candidates(data, fold, seed) for fold in range(1 if self.withheld == "last" else self.folds)
        ]
        learned: dict[str, NDArray[Any]] = {"weights": _ascend([each for each in candidates if each], self)}
        for place, model in enumerate(self.components()):
            learned |= {f"c{place}_{name}": array for name, array in model.fit(data, seed).items()}
        return learned

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """-inf for items that no component knows."""
        parts = [model.score(_own(learned, place), histories) for place, model in enumerate(self.components())]
        return _blended(parts, learned["weights"])

    def similar(self, learned: Learned, item: int) -> Floats:
        """As the first component that knows similar items has them."""
        for place, model in enumerate(self.components()):
            if type(model).similar is not Recommender.similar:
                return model.similar(_own(learned, place), item)
        return super().similar(learned, item)

    def components(self) -> list[Recommender]:
        """The component models, in the order of their names in `models`."""
        return [COMPONENTS[name](**params) for name, params in self.models.items()]

    def _candidates(self, data: Interactions, fold: int, seed: int) -> tuple[Any, ...] | None:
        """Standardised scores (users, candidates, components) and which candidates were withheld; None for too few."""
        liked = positives(data)
        held = self._held(liked, fold, seed)
        if not held.any():
            return None
        train = select_rows(liked, ~held)
        truth = select_rows(liked, held)
        asked = np.intersect1d(np.unique(truth.user_index), np.unique(train.user_index))
        asked = np.sort(np.random.default_rng([seed, fold]).permutation(asked)[:_ASKED])
        if not len(asked):
            return None
        histories = histories_of(train, asked)
        parts = [model.score(model.fit(train, seed), histories) for model in self.components()]
        seen = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(histories.rows)]
        lists = np.concatenate([top_k(part, seen, _DEPTH)[0] for part in parts], axis=1)
        lists.sort(axis=1)
        lists[:, 1:][lists[:, 1:] == lists[:, :-1]] = -1  # each candidate once
        scaled = [np.take_along_axis(_blended([part], np.ones(1)), np.maximum(lists, 0), axis=1) for part in parts]
        lowest = [np.where(np.isfinite(part), part, np.inf).min(axis=1, initial=0.0) for part in scaled]
        values = [np.where(np.isfinite(s), s, low[:, None]) for s, low in zip(scaled, lowest, strict=True)]
        wanted = np.zeros((len(asked), len(data.items)), dtype=bool)
        row = np.searchsorted(asked, truth.user_index)
        mine = np.isin(truth.user_index, asked)
        wanted[row[mine], truth.item_index[mine]] = True
        relevant = np.take_along_axis(wanted, np.maximum(lists, 0), axis=1) & (lists >= 0)
        return np.stack(values, axis=2).astype(np.float64), lists >= 0, relevant, wanted.sum(axis=1)

    def _held(self, liked: Interactions, fold: int, seed: int) -> NDArray[np.bool_]:
        counts = np.bincount(liked.user_index, minlength=len(liked.users))
        key = liked.at_us if self.withheld == "last" else np.random.default_rng(seed).random(len(liked.user_index))
        order = np.lexsort((liked.item_index, key, liked.user_index))
        starts = np.cumsum(counts) - counts
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order)) - starts[liked.user_index[order]]
        if self.withheld == "last":
            return np.asarray(place >= counts[liked.user_index] - counts[liked.user_index] // 4)
        return np.asarray((place % self.folds == fold) & (counts[liked.user_index] > 1))


def _own(learned: Learned, place: int) -> Mapping[str, NDArray[Any]]:
    prefix = f"c{place}_"
    return {name.removeprefix(prefix): array for name, array in learned.items() if name.startswith(prefix)}


def _blended(parts: list[Floats], weights: NDArray[np.float64]) -> Floats:
    from flyball.models.kernels.blending import add_standardised

    total, unknown = np.zeros(parts[0].shape, dtype=np.float32), unscored(*parts[0].shape)
    for part, weight in zip(parts, weights.tolist(), strict=True):
        add_standardised(np.ascontiguousarray(part), float(weight), total, unknown)
    return total + unknown


def _ascend(folds: list[tuple[Any, ...]], blend: Blend) -> NDArray[np.float64]:
    """Coordinate ascent from equal weights: each weight in turn is scaled by what raises the mean ndcg most."""
    size = len(blend.models)
    weights = np.full(size, 1.0 / size)
    if not folds:
        return weights
    best = _mean_ndcg(folds, weights, blend.k)
    for _ in range(4):
        before = best
        for place in range(size):
            for step in _STEPS:
                tried = weights.copy()
                tried[place] *= step
                if tried.sum() > 0 and (found := _mean_ndcg(folds, tried / tried.sum(), blend.k)) > best:
                    best, weights = found, tried / tried.sum()
        if best - before < 1e-4:
            break
    return weights


def _mean_ndcg(folds: list[tuple[Any, ...]], weights: NDArray[np.float64], k: int) -> float:
    discounts = 1 / np.log2(np.arange(2, k + 2))
    total, users = 0.0, 0
    for values, real, relevant, wanted in folds:
        scores = np.zeros(real.shape)
        for place, weight in enumerate(weights.tolist()):
            scores += weight * values[:, :, place]
        scores[~real] = -np.inf
        top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        gains = (np.take_along_axis(relevant, top, axis=1) * discounts[: top.shape[1]]).sum(axis=1)
        total += float((gains / np.cumsum(discounts)[np.minimum(k, wanted) - 1]).sum())
        users += len(wanted)
    return total / users
