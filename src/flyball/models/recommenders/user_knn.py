"""User-based nearest neighbors.

Sources: Resnick et al., "GroupLens", CSCW 1994; Herlocker, Konstan, Riedl, "An Empirical Analysis of Design Choices in
Neighborhood-Based Collaborative Filtering Algorithms", Information Retrieval 2002; the cosine is shrunk as in Koren,
"Factorization Meets the Neighborhood", KDD 2008.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Histories, Interactions, order_by, positives, row_pointers


class UserKNN(Recommender, frozen=True):
    """score(i) = sum of similarity(v) * v's weight of item i, over the `k` training users v most similar to the
    history.

    similarity(v) = x . x_v / (|x| |x_v| + `shrink`), where x is a user's positive weights over the items. The artifact
    holds the training users' interactions without user ids, 16 bytes each. The neighbors are searched for each
    response, so a new user, or a new event of a known user, needs no retraining. An item that no neighbor liked gets
    -inf.
    """

    kind: ClassVar[str] = "user_knn"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {"k": (20, 50, 100, 200, 400), "shrink": (0.0, 5.0, 20.0, 100.0)}

    k: int = 100
    shrink: float = 0.0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadDeclaration("UserKNN's k", "at least 1", self.k)
        if not self.shrink >= 0:
            raise BadDeclaration("UserKNN's shrink", "at least 0", self.shrink)

    def artifact_bytes(self, data: Interactions) -> int:
        """16 bytes for each like and each user."""
        return 16 * len(positives(data).user_index) + 16 * len(data.users) + 8 * len(data.items)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Rows by user (`user_ptr`, `user_items`, `user_weights`), by item (`item_...`); `norms` float64 (users,)."""
        liked = positives(data)
        by_item = order_by(liked.item_index, len(data.items))
        squares = np.bincount(
            liked.user_index, weights=liked.weights.astype(np.float64) ** 2, minlength=len(data.users)
        )
        return {
            "user_ptr": row_pointers(liked.user_index, len(data.users)),
            "user_items": liked.item_index,
            "user_weights": liked.weights,
            "item_ptr": row_pointers(liked.item_index, len(data.items)),
            "item_users": liked.user_index[by_item],
            "item_weights": liked.weights[by_item],
            "norms": np.sqrt(squares),
        }

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """The same as `fit`, which only sorts the likes and so takes little more than reading them."""
        return self.fit(data, seed)

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Sums in the order of the users; -inf for items that no neighbor liked, so for all with an empty history."""
        from flyball.models.kernels.user_neighbors import sum_users

        near, cosines = self._nearest(learned, histories)
        scores = np.empty((histories.rows, len(learned["item_ptr"]) - 1), dtype=np.float32)
        sum_users(learned["user_ptr"], learned["user_items"], learned["user_weights"], near, cosines, scores)
        return scores

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """What each liked item adds: its part of the neighbors' similarities times their weights of `item`."""
        near, _ = self._nearest(learned, histories)
        weights = histories.weights.astype(np.float64)
        norm = float(np.sqrt(np.square(weights[weights > 0]).sum()))
        parts = np.zeros(len(weights))
        for user in near[0][near[0] >= 0].tolist():
            own = slice(learned["user_ptr"][user], learned["user_ptr"][user + 1])
            row = np.zeros(len(learned["item_ptr"]) - 1)
            row[learned["user_items"][own]] = learned["user_weights"][own]
            if row[item] > 0:
                parts += weights * row[histories.items] / (norm * learned["norms"][user] + self.shrink) * row[item]
        return [(position, float(parts[position])) for position in np.flatnonzero(parts > 0).tolist()]

    def _nearest(self, learned: Learned, histories: Histories) -> tuple[NDArray[np.int32], Floats]:
        """The neighbors of each row, in the order of the users."""
        from flyball.models.kernels.user_neighbors import nearest_users

        users = len(learned["norms"])
        near = np.full((histories.rows, max(1, min(self.k, users))), -1, dtype=np.int32)
        cosines = np.zeros(near.shape, dtype=np.float32)
        nearest_users(
            learned["item_ptr"],
            learned["item_users"],
            learned["item_weights"],
            learned["norms"],
            float(self.shrink),
            histories.indptr,
            histories.items,
            histories.weights,
            near,
            cosines,
        )
        order = np.argsort(near, axis=1, kind="stable")
        return np.take_along_axis(near, order, axis=1), np.take_along_axis(cosines, order, axis=1)
