"""EASE for catalogs whose items^2 weights do not fit in memory: an item's weights come from a block of similar items.

Source: Steck, "Markov Random Fields for Collaborative Filtering", NeurIPS 2019, section 3.2: the sparsity pattern is
that of the strongest correlations, and one block's inverse serves several of its items.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Recommender, SearchSpace
from flyball.models.data import Floats, Indexes, Interactions, order_by, positives, row_pointers
from flyball.models.sparse_rows import ScoresBySparseRows, sparse_rows
from flyball.models.threads import in_blocks


class SparseEASE(ScoresBySparseRows, Recommender, frozen=True):
    """Each item's column of B is the ridge regression (`l2`) of the item on the items of its block; score = x B.

    A block consists of an item and the `candidates` items with the highest cosine to it. The inverse of a block gives
    the weights of its first item, and of those of the `shared` * candidates nearest items that have no weights yet.
    With `shared` 0 every item has a block, which is exact for this sparsity pattern; a higher value is faster and less
    exact. With all items in every block it equals `EASE`. Memory: 8 bytes * items * candidates in the artifact, three
    times that while fitting, and 8 * candidates^2 for each thread; nothing grows with items^2.
    """

    kind: ClassVar[str] = "sparse_ease"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "l2": (50.0, 100.0, 200.0, 350.0, 500.0, 1_000.0),
        "candidates": (50, 100, 200, 400),
    }

    l2: float = 500.0
    candidates: int = 100
    shared: float = 0.0

    def __post_init__(self) -> None:
        if not self.l2 > 0:
            raise BadDeclaration("SparseEASE's l2", "above 0", self.l2)
        if self.candidates < 1:
            raise BadDeclaration("SparseEASE's candidates", "at least 1", self.candidates)
        if not 0 <= self.shared <= 1:
            raise BadDeclaration("SparseEASE's shared", "from 0 to 1", self.shared)

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for each weight."""
        items = len(data.items)
        return 8 * items * min(self.candidates + 1, items) + 8 * items

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """B as sparse rows: `near_ptr` int64 (items + 1,), `near` int32, `similarities` float32, of either sign."""
        from flyball.models.kernels.item_blocks import block_weights
        from flyball.models.kernels.neighbors import cosine_neighbors

        liked, n = positives(data), len(data.items)
        user_ptr = row_pointers(liked.user_index, len(data.users))
        by_item = order_by(liked.item_index, n)
        item_ptr = row_pointers(liked.item_index, n)
        item_users, item_weights = liked.user_index[by_item], liked.weights[by_item]
        norms = np.sqrt(np.bincount(liked.item_index, weights=liked.weights.astype(np.float64) ** 2, minlength=n))
        width = max(1, min(self.candidates, n - 1))
        near = np.full((n, width), -1, dtype=np.int32)
        values = np.zeros(near.shape, dtype=np.float32)
        columns, rows = (item_ptr, item_users, item_weights), (user_ptr, liked.item_index, liked.weights)
        in_blocks(n, lambda first, last: cosine_neighbors(*columns, *rows, norms, 0.0, first, last, near, values))
        block_ptr, members, solved_ptr, solved = self._blocks(near, values, np.diff(item_ptr))
        near[:], values[:] = -1, 0.0
        in_blocks(
            len(block_ptr) - 1,
            lambda first, last: block_weights(
                block_ptr,
                members,
                solved_ptr,
                solved,
                *columns,
                len(data.users),
                float(self.l2),
                first,
                last,
                near,
                values,
            ),
        )
        is_weight = (near >= 0) & (values != 0)
        target = np.repeat(np.arange(n, dtype=np.int32), is_weight.sum(axis=1))
        return sparse_rows(near[is_weight], target, values[is_weight], n)

    def _blocks(
        self, near: Indexes, values: Floats, liked_by: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Indexes, NDArray[np.int64], NDArray[np.int64]]:
        """The members of each block, sorted, and which of them it solves, by position; popular items come first."""
        served = liked_by == 0
        share = int(self.shared * self.candidates)
        sizes, members, counts, solved = [], [], [], []
        for item in np.argsort(-liked_by, kind="stable").tolist():
            if served[item]:
                continue
            own = near[item][near[item] >= 0]
            closest = own[np.argsort(-values[item][: len(own)], kind="stable")[:share]]
            served_items = np.sort(np.append(closest[~served[closest]], item))
            served[served_items] = True
            block = np.sort(np.append(own, np.int32(item))).astype(np.int32)
            sizes.append(len(block))
            members.append(block)
            counts.append(len(served_items))
            solved.append(np.searchsorted(block, served_items))
        return (
            np.cumsum([0, *sizes], dtype=np.int64),
            np.concatenate([*members, np.zeros(0, np.int32)]).astype(np.int32),
            np.cumsum([0, *counts], dtype=np.int64),
            np.concatenate([*solved, np.zeros(0, np.int64)]).astype(np.int64),
        )
