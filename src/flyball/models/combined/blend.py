"""A blend of recommenders: stacking with cross-fitted weights.

Sources: Wolpert, "Stacked Generalization", Neural Networks 1992; the weights are found by coordinate ascent on the
metric itself, Metzler, Croft, "Linear Feature-Based Models for Information Retrieval", Information Retrieval 2007.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Refused
from flyball.models.base import (
    Learned,
    Recommender,
    check_parts,
    knows_similar,
    named_parts,
    part_of,
    sum_of,
    unscored,
)
from flyball.models.data import Floats, Histories, Interactions, histories_of, positives, select_rows
from flyball.models.ranking import top_k
from flyball.models.recommenders.ease import EASE
from flyball.models.recommenders.implicit_als import ImplicitALS
from flyball.models.recommenders.next_item import NextItem
from flyball.models.recommenders.slim import SLIM

_TEST_USERS, _DEPTH = 1_000, 60  # users tested in each fold; how many items of each model's list are candidates
_STEPS = (0.0, 0.5, 0.7, 0.85, 1.18, 1.4, 2.0)


class Blend(Recommender, frozen=True):
    """score = sum of weight * z over the component models, z = a model's scores standardized within the row.

    `models`: the components, such as `(fb.EASE(), fb.SLIM())`. The weights maximize ndcg@`k` on positives withheld from
    the components. `withheld="random"`: in each of `folds` folds, a share 1 / `folds` of each user's positives.
    "last": once, the latest quarter of each user's positives, which is closer to predicting what comes next. Then the
    components are fitted on all data and stored in one artifact (the arrays of the first are named `c0_...`). The cost
    is folds + 1 fits of each component, and for each response the scores of all components.
    """

    kind: ClassVar[str] = "blend"

    models: tuple[Recommender, ...] = (EASE(), ImplicitALS(), SLIM(), NextItem())
    withheld: Literal["random", "last"] = "random"
    folds: int = 3
    k: int = 10

    def __post_init__(self) -> None:
        check_parts("Blend", self.models)
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
        learned: dict[str, NDArray[Any]] = {
            "weights": _ascend([candidate for candidate in candidates if candidate], self)
        }
        return learned | named_parts("c", [model.fit(data, seed) for model in self.models])

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """The weighted sum of standardized scores; -inf for items that no component can score."""
        parts = [model.score(part_of("c", index, learned), histories) for index, model in enumerate(self.models)]
        return _blended(parts, learned["weights"])

    def similar(self, learned: Learned, item: int) -> Floats:
        """The similarities of the first component that can list similar items; raises `Refused` without one."""
        for index, model in enumerate(self.models):
            if knows_similar(model):
                return model.similar(part_of("c", index, learned), item)
        raise Refused("a Blend must have a component that can list similar items, got none")

    @property
    def parts(self) -> tuple[Recommender, ...]:
        """The components."""
        return self.models

    def artifact_bytes(self, data: Interactions) -> int | None:
        """The sum over all components."""
        return sum_of(model.artifact_bytes(data) for model in self.models)

    def _candidates(self, data: Interactions, fold: int, seed: int) -> tuple[Any, ...] | None:
        """Standardized scores (users, candidates, components) and which candidates were withheld; None if too few."""
        liked = positives(data)
        withheld = self._is_withheld(liked, fold, seed)
        if not withheld.any():
            return None
        train = select_rows(liked, ~withheld)
        truth = select_rows(liked, withheld)
        test_users = np.intersect1d(np.unique(truth.user_index), np.unique(train.user_index))
        test_users = np.sort(np.random.default_rng([seed, fold]).permutation(test_users)[:_TEST_USERS])
        if not len(test_users):
            return None
        histories = histories_of(train, test_users)
        parts = [model.score(model.fit(train, seed), histories) for model in self.models]
        seen = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(histories.rows)]
        lists = np.concatenate([top_k(part, seen, _DEPTH)[0] for part in parts], axis=1)
        lists.sort(axis=1)
        lists[:, 1:][lists[:, 1:] == lists[:, :-1]] = -1  # each candidate once
        scaled = [np.take_along_axis(_blended([part], np.ones(1)), np.maximum(lists, 0), axis=1) for part in parts]
        lowest = [np.where(np.isfinite(part), part, np.inf).min(axis=1, initial=0.0) for part in scaled]
        values = [np.where(np.isfinite(s), s, low[:, None]) for s, low in zip(scaled, lowest, strict=True)]
        is_relevant = np.zeros((len(test_users), len(data.items)), dtype=bool)
        row = np.searchsorted(test_users, truth.user_index)
        of_test_user = np.isin(truth.user_index, test_users)
        is_relevant[row[of_test_user], truth.item_index[of_test_user]] = True
        relevant = np.take_along_axis(is_relevant, np.maximum(lists, 0), axis=1) & (lists >= 0)
        return np.stack(values, axis=2).astype(np.float64), lists >= 0, relevant, is_relevant.sum(axis=1)

    def _is_withheld(self, liked: Interactions, fold: int, seed: int) -> NDArray[np.bool_]:
        counts = np.bincount(liked.user_index, minlength=len(liked.users))
        key = liked.at_us if self.withheld == "last" else np.random.default_rng(seed).random(len(liked.user_index))
        order = np.lexsort((liked.item_index, key, liked.user_index))
        starts = np.cumsum(counts) - counts
        position = np.empty(len(order), dtype=np.int64)
        position[order] = np.arange(len(order)) - starts[liked.user_index[order]]
        if self.withheld == "last":
            return np.asarray(position >= counts[liked.user_index] - counts[liked.user_index] // 4)
        return np.asarray((position % self.folds == fold) & (counts[liked.user_index] > 1))


def _blended(parts: list[Floats], weights: NDArray[np.float64]) -> Floats:
    from flyball.models.kernels.blending import add_standardized

    total, unknown = np.zeros(parts[0].shape, dtype=np.float32), unscored(*parts[0].shape)
    for part, weight in zip(parts, weights.tolist(), strict=True):
        add_standardized(np.ascontiguousarray(part), float(weight), total, unknown)
    return total + unknown


def _ascend(folds: list[tuple[Any, ...]], blend: Blend) -> NDArray[np.float64]:
    """Coordinate ascent from equal weights: each weight in turn is multiplied by the factor with the best mean ndcg."""
    size = len(blend.models)
    weights = np.full(size, 1.0 / size)
    if not folds:
        return weights
    best = _mean_ndcg(folds, weights, blend.k)
    for _ in range(4):
        before = best
        for index in range(size):
            for step in _STEPS:
                tried = weights.copy()
                tried[index] *= step
                if tried.sum() > 0 and (value := _mean_ndcg(folds, tried / tried.sum(), blend.k)) > best:
                    best, weights = value, tried / tried.sum()
        if best - before < 1e-4:
            break
    return weights


def _mean_ndcg(folds: list[tuple[Any, ...]], weights: NDArray[np.float64], k: int) -> float:
    discounts = 1 / np.log2(np.arange(2, k + 2))
    total, users = 0.0, 0
    for values, real, relevant, relevant_counts in folds:
        scores = np.zeros(real.shape)
        for index, weight in enumerate(weights.tolist()):
            scores += weight * values[:, :, index]
        scores[~real] = -np.inf
        top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        gains = (np.take_along_axis(relevant, top, axis=1) * discounts[: top.shape[1]]).sum(axis=1)
        total += float((gains / np.cumsum(discounts)[np.minimum(k, relevant_counts) - 1]).sum())
        users += len(relevant_counts)
    return total / users
