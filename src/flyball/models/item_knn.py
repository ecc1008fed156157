"""Item-based nearest neighbours.

Source: Deshpande, Karypis, "Item-Based Top-N Recommendation Algorithms", ACM TOIS 2004; the cosine is shrunk as in
Koren, "Factorization Meets the Neighborhood", KDD 2008.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, unscored
from flyball.models.data import Floats, Histories, Indexes, Interactions, positives, row_pointers
from flyball.models.threads import in_blocks


class ItemKNN(Recommender, frozen=True):
    """score(i) = sum of weight * similarity(j, i) over the items j of the history, each with its `k` nearest items.

    similarity(j, i) = x_j . x_i / (|x_j| |x_i| + `shrink`), x = an item's weights over the users: items that few users
    share come out less similar. An item near none of the history gets -inf.
    """

    k: int = 100
    shrink: float = 20.0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadDeclaration("ItemKNN's k", "at least 1", self.k)
        if not self.shrink >= 0:
            raise BadDeclaration("ItemKNN's shrink", "at least 0", self.shrink)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Neighbour lists as sparse rows: `near_ptr` int64 (items + 1,), `near` int32, `similarities` float32.

        Memory while fitting: 8 bytes * items * min(k, items).
        """
        from flyball.models.kernels.neighbours import cosine_neighbours

        liked, n = positives(data), len(data.items)
        user_ptr = row_pointers(liked.user_index, len(data.users))
        by_item = np.argsort(liked.item_index, kind="stable")
        item_ptr = row_pointers(liked.item_index[by_item], n)
        squares = np.bincount(liked.item_index, weights=liked.weights.astype(np.float64) ** 2, minlength=n)
        near = np.full((n, max(1, min(self.k, n - 1))), -1, dtype=np.int32)
        cosines = np.zeros(near.shape, dtype=np.float32)
        item_users, item_weights = liked.user_index[by_item], liked.weights[by_item]
        in_blocks(
            n,
            lambda first, last: cosine_neighbours(
                item_ptr,
                item_users,
                item_weights,
                user_ptr,
                liked.item_index,
                liked.weights,
                np.sqrt(squares),
                float(self.shrink),
                first,
                last,
                near,
                cosines,
            ),
        )
        order = np.argsort(np.where(near < 0, n, near), axis=1)  # by item: neighbours lie together in memory
        near, cosines = np.take_along_axis(near, order, axis=1), np.take_along_axis(cosines, order, axis=1)
        kept = near >= 0
        near_ptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(kept.sum(axis=1), out=near_ptr[1:])
        return {"near_ptr": near_ptr, "near": near[kept], "similarities": cosines[kept]}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Sums in the history's order; -inf for what is near nothing liked, so throughout for an empty history."""
        from flyball.models.kernels.neighbours import sum_neighbours

        scores = np.empty((histories.rows, len(learned["near_ptr"]) - 1), dtype=np.float32)
        sum_neighbours(
            learned["near_ptr"],
            learned["near"],
            learned["similarities"],
            histories.indptr,
            histories.items,
            histories.weights,
            scores,
        )
        return scores

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """What each liked item of the history adds: weight * similarity."""
        contributions = []
        for position, (other, weight) in enumerate(zip(histories.items, histories.weights, strict=True)):
            near, similarities = _neighbours(learned, int(other))
            found = np.flatnonzero(near == item)
            if len(found) and weight > 0:
                contributions.append((position, float(weight * similarities[found[0]])))
        return contributions

    def similar(self, learned: Learned, item: int) -> Floats:
        """The item's own neighbour list."""
        row = unscored(1, len(learned["near_ptr"]) - 1).ravel()
        near, similarities = _neighbours(learned, item)
        row[near] = similarities
        return row


def _neighbours(learned: Learned, item: int) -> tuple[Indexes, Floats]:
    first, last = learned["near_ptr"][item], learned["near_ptr"][item + 1]
    return learned["near"][first:last], learned["similarities"][first:last]
