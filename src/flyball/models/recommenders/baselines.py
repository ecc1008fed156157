"""Rating baselines that any model of ratings must beat: the global mean, and the mean with user and item biases.

Source: Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering", ACM TKDD 2010, section 2.1.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Histories, Indexes, Interactions, rated, rows_with

MIDDLE = 0.0  # predicted when there are no ratings, from which to learn the scale


class GlobalMean(Recommender, frozen=True):
    """Predicts the mean of all ratings for every user and item; as a list, all items tie."""

    kind: ClassVar[str] = "global_mean"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "ratings"
    reads_attributes: ClassVar[bool] = False

    def artifact_bytes(self, data: Interactions) -> int:
        """16 bytes."""
        return 16

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`mean` float64 (1,), `items` int64 (1,)."""
        return {"mean": np.array([mean_of(rated(data).ratings)]), "items": np.array([len(data.items)])}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """The mean, for every item."""
        return np.full((histories.rows, int(learned["items"][0])), learned["mean"][0], dtype=np.float32)

    def predict_rating(self, learned: Learned, histories: Histories, items: Indexes) -> Floats:
        """The mean."""
        return np.full(histories.rows, learned["mean"][0], dtype=np.float32)


class BiasModel(Recommender, frozen=True):
    """r_ui = mean + b_u + b_i, biases by alternating damped means: b_i = sum of (r - mean - b_u) / (`reg_items` + n_i).

    The user's bias comes from the history at answer time.
    """

    kind: ClassVar[str] = "bias"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "ratings"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "reg_users": (5.0, 10.0, 15.0, 25.0),
        "reg_items": (3.0, 5.0, 10.0, 25.0),
    }

    reg_users: float = 15.0
    reg_items: float = 10.0
    epochs: int = 10

    def __post_init__(self) -> None:
        if not (self.reg_users > 0 and self.reg_items > 0):
            raise BadDeclaration("BiasModel's reg_users and reg_items", "above 0", (self.reg_users, self.reg_items))

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for the bias of each item."""
        return 32 * len(data.items)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`mean` float64 (1,), `item_bias` float64 (items,), 0 for items without ratings."""
        ratings = rated(data)
        mean = mean_of(ratings.ratings)
        centered = ratings.ratings.astype(np.float64) - mean
        of_users = np.bincount(ratings.user_index, minlength=len(data.users)) + self.reg_users
        of_items = np.bincount(ratings.item_index, minlength=len(data.items)) + self.reg_items
        user_bias, item_bias = np.zeros(len(data.users)), np.zeros(len(data.items))
        for _ in range(self.epochs):
            left = centered - user_bias[ratings.user_index]
            item_bias = np.bincount(ratings.item_index, weights=left, minlength=len(data.items)) / of_items
            left = centered - item_bias[ratings.item_index]
            user_bias = np.bincount(ratings.user_index, weights=left, minlength=len(data.users)) / of_users
        return {"mean": np.array([mean]), "item_bias": item_bias}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """The predicted rating of every item; -inf throughout rows without a rating."""
        scores = learned["mean"][0] + self.user_bias(learned, histories)[:, None] + learned["item_bias"][None, :]
        scores[~rows_with(histories, ~np.isnan(histories.ratings))] = -np.inf
        return np.asarray(scores, dtype=np.float32)

    def predict_rating(self, learned: Learned, histories: Histories, items: Indexes) -> Floats:
        """mean + b_u + b_i; b_u is 0 for a history without ratings."""
        predicted = learned["mean"][0] + self.user_bias(learned, histories) + learned["item_bias"][items]
        return np.asarray(predicted, dtype=np.float32)

    def user_bias(self, learned: Learned, histories: Histories) -> NDArray[np.float64]:
        """b_u of each row, from the ratings in its history; 0 without any."""
        is_rated = ~np.isnan(histories.ratings)
        residuals = histories.ratings - learned["mean"][0] - learned["item_bias"][histories.items]
        totals = _row_sums(np.where(is_rated, residuals, 0.0), histories.indptr)
        counts = _row_sums(is_rated.astype(np.float64), histories.indptr)
        return totals / (self.reg_users + counts)


def mean_of(ratings: Floats) -> float:
    """The mean in float64, `MIDDLE` for none."""
    return float(np.mean(ratings, dtype=np.float64)) if len(ratings) else MIDDLE


def _row_sums(values: NDArray[np.float64], indptr: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of each row. A running total over the batch would not do: its rounding depends on the other rows."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return np.bincount(rows, weights=values, minlength=len(indptr) - 1).astype(np.float64)
