"""Item neighbors of ratings around baselines.

Sources: Koren, "Factor in the Neighbors", ACM TKDD 2010, section 2.2 (Pearson correlation around baselines, shrunk);
Sarwar, Karypis, Konstan, Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW 2001 (adjusted
cosine).
"""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, PredictsByPairs, Recommender, SearchSpace, unscored
from flyball.models.data import Floats, Histories, Indexes, Interactions, order_by, rated, row_pointers, rows_with
from flyball.models.recommenders.baselines import BiasModel, mean_of
from flyball.models.threads import in_blocks


class RatingKNN(PredictsByPairs, Recommender, frozen=True):
    """r_ui = b_ui + sum of s_ij (r_uj - b_uj) / sum of s_ij over the `k` items j of the history most similar to i.

    b_ui = mean + b_u + b_i (`BiasModel`). s_ij is the correlation, over the n users who rated both items, of the
    ratings' deviations from b_ui ("pearson_baseline") or from the user's mean ("adjusted_cosine"), multiplied by
    (n - 1) / (n - 1 + `shrink`). Each item keeps its `keep` largest positive s. Memory: 8 bytes * items *
    min(keep, items). Lists are sorted with `caution`, as in `BiasedMF`.
    """

    kind: ClassVar[str] = "rating_knn"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "ratings"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {"k": (20, 40, 60, 100), "shrink": (20.0, 50.0, 100.0, 200.0)}

    k: int = 40
    shrink: float = 100.0
    similarity: Literal["pearson_baseline", "adjusted_cosine"] = "pearson_baseline"
    keep: int = 1_000
    reg_users: float = 15.0
    reg_items: float = 10.0
    caution: float = 8.0

    def __post_init__(self) -> None:
        for name in ("k", "keep"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"RatingKNN's {name}", "at least 1", getattr(self, name))
        if not self.shrink >= 0:
            raise BadDeclaration("RatingKNN's shrink", "at least 0", self.shrink)
        if self.similarity not in ("pearson_baseline", "adjusted_cosine"):
            raise BadDeclaration("RatingKNN's similarity", "pearson_baseline or adjusted_cosine", self.similarity)

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for each neighbor."""
        items = len(data.items)
        return 8 * items * min(self.keep, items) + 40 * items

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Neighbors as sparse rows, best first (`near_ptr`, `near`, `similarities`); `mean`, `item_bias`, `limits`.

        `handicap` float32 (items,): what `caution` subtracts, inf for items without ratings.
        """
        from flyball.models.kernels.rating_neighbors import correlated_neighbors

        ratings, n = rated(data), len(data.items)
        biases = self._biases().fit(data, seed)
        deviations = self._deviations(ratings, biases)
        user_ptr = row_pointers(ratings.user_index, len(data.users))
        by_item = order_by(ratings.item_index, len(data.items))
        item_ptr = row_pointers(ratings.item_index[by_item], n)
        near = np.full((n, max(1, min(self.keep, n - 1))), -1, dtype=np.int32)
        values = np.zeros(near.shape, dtype=np.float32)
        users, rests = ratings.user_index[by_item], deviations[by_item]
        in_blocks(
            n,
            lambda first, last: correlated_neighbors(
                item_ptr,
                users,
                rests,
                user_ptr,
                ratings.item_index,
                deviations,
                float(self.shrink),
                first,
                last,
                near,
                values,
            ),
        )
        near_ptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum((near >= 0).sum(axis=1), out=near_ptr[1:])
        counts = np.diff(item_ptr)
        spread = float(np.std(ratings.ratings, dtype=np.float64)) if len(deviations) else 0.0
        seen = ratings.ratings if len(deviations) else np.array([biases["mean"][0]], dtype=np.float32)
        return {
            **biases,
            "near_ptr": near_ptr,
            "near": near[near >= 0],
            "similarities": values[near >= 0],
            "handicap": np.where(counts > 0, self.caution * spread / np.sqrt(counts + 1.0), np.inf).astype(np.float32),
            "limits": np.array([seen.min(), seen.max()]),
        }

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Predicted rating less the caution; -inf for items without ratings and for rows without a rating."""
        from flyball.models.kernels.rating_neighbors import neighbor_rests

        base, rests, is_rated = self._around(learned, histories)
        means = np.empty(base.shape, dtype=np.float32)
        neighbor_rests(*_lists(learned), self.k, histories.indptr, histories.items, is_rated, rests, means)
        scores = np.clip(base + means, *learned["limits"]) - learned["handicap"]
        scores[~rows_with(histories, is_rated > 0)] = -np.inf
        return np.asarray(scores, dtype=np.float32)

    def similar(self, learned: Learned, item: int) -> Floats:
        """The item's neighbor list."""
        row = unscored(1, len(learned["near_ptr"]) - 1).ravel()
        part = slice(learned["near_ptr"][item], learned["near_ptr"][item + 1])
        row[learned["near"][part]] = learned["similarities"][part]
        return row

    def predict_pairs(self, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes) -> Floats:
        """r_ui, limited to the range of the training ratings; b_ui if no item of the history is near the item.

        Shapes as of `models.predict_pairs`.
        """
        from flyball.models.kernels.rating_neighbors import neighbor_rests_of

        user_bias, rests, is_rated = self._user_side(learned, histories)
        order = np.argsort(rows, kind="stable")
        means = np.empty(len(rows), dtype=np.float32)
        neighbor_rests_of(
            *_lists(learned),
            self.k,
            histories.indptr,
            histories.items,
            is_rated,
            rests,
            rows[order],
            items[order],
            means,
        )
        predicted = learned["mean"][0] + user_bias[rows] + learned["item_bias"][items]
        predicted[order] += means
        return np.asarray(np.clip(predicted, *learned["limits"]), dtype=np.float32)

    def _biases(self) -> BiasModel:
        return BiasModel(self.reg_users, self.reg_items)

    def _deviations(self, ratings: Interactions, biases: Learned) -> Floats:
        if self.similarity == "adjusted_cosine":
            counts = np.bincount(ratings.user_index, minlength=len(ratings.users))
            totals = np.bincount(
                ratings.user_index, weights=ratings.ratings.astype(np.float64), minlength=len(ratings.users)
            )
            return (ratings.ratings - (totals / np.maximum(counts, 1))[ratings.user_index]).astype(np.float32)
        residuals = ratings.ratings - mean_of(ratings.ratings) - biases["item_bias"][ratings.item_index]
        totals = np.bincount(ratings.user_index, weights=residuals, minlength=len(ratings.users))
        damped = np.bincount(ratings.user_index, minlength=len(ratings.users)) + self.reg_users
        return (residuals - (totals / damped)[ratings.user_index]).astype(np.float32)

    def _user_side(self, learned: Learned, histories: Histories) -> tuple[NDArray[Any], NDArray[Any], Floats]:
        """(b_u of each row, r_uj - b_uj of each position or 0 without a rating, 1 or 0 whether it has a rating)."""
        is_rated = ~np.isnan(histories.ratings)
        user_bias = self._biases().user_bias(learned, histories)
        owner = np.repeat(np.arange(histories.rows), np.diff(histories.indptr))
        rests = histories.ratings - learned["mean"][0] - learned["item_bias"][histories.items] - user_bias[owner]
        return user_bias, np.where(is_rated, rests, 0.0), is_rated.astype(np.float32)

    def _around(self, learned: Learned, histories: Histories) -> tuple[NDArray[Any], NDArray[Any], Floats]:
        user_bias, rests, is_rated = self._user_side(learned, histories)
        return learned["mean"][0] + user_bias[:, None] + learned["item_bias"][None, :], rests, is_rated


def _lists(learned: Learned) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return learned["near_ptr"], learned["near"], learned["similarities"]
