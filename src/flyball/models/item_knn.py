"""Item-based nearest neighbours.

Source: Deshpande, Karypis, "Item-Based Top-N Recommendation Algorithms", ACM TOIS 2004; the cosine is shrunk as in
Koren, "Factorization Meets the Neighborhood", KDD 2008.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender
from flyball.models.data import Floats, Histories, Interactions, order_by, positives, row_pointers
from flyball.models.sparse_rows import explained, neighbour_row, sparse_rows, summed
from flyball.models.threads import in_blocks


class ItemKNN(Recommender, frozen=True):
    """score(i) = sum of weight * similarity(j, i) over the items j of the history, each with its `k` nearest items.

    similarity(j, i) = x_j . x_i / (|x_j| |x_i| + `shrink`), x = an item's weights over the users: items that few users
    share come out less similar. An item near none of the history gets -inf.
    """

    tried: ClassVar[Mapping[str, tuple[Any, ...]]] = {"k": (20, 50, 100, 200, 500), "shrink": (0.0, 5.0, 20.0, 100.0)}

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
        by_item = order_by(liked.item_index, len(data.items))
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
        source = np.repeat(np.arange(n, dtype=np.int32), (near >= 0).sum(axis=1))
        return sparse_rows(source, near[near >= 0], cosines[near >= 0], n)

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Sums in the history's order; -inf for what is near nothing liked, so throughout for an empty history."""
        return summed(learned, histories)

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """What each liked item of the history adds: weight * similarity."""
        return explained(learned, histories, item)

    def similar(self, learned: Learned, item: int) -> Floats:
        """The item's own neighbour list."""
        return neighbour_row(learned, item)
