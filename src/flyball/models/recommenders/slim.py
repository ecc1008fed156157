"""SLIM: a sparse linear model of items.

Sources: Ning, Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011 (with its fsSLIM: only
the nearest items are candidates); solved by coordinate descent, Friedman, Hastie, Tibshirani, "Regularization Paths for
Generalized Linear Models via Coordinate Descent", J. Statistical Software 2010.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Recommender, SearchSpace
from flyball.models.data import Interactions, order_by, positives, row_pointers
from flyball.models.sparse_rows import ScoresBySparseRows, sparse_rows
from flyball.models.threads import in_blocks


class SLIM(ScoresBySparseRows, Recommender, frozen=True):
    """Each item's column w >= 0, w_ii = 0, minimizes |x_i - X w|^2 / 2 + `l2` |w|^2 / 2 + `l1` |w|; score = x W.

    Only the `candidates` items of the highest cosine may get a weight, so fitting takes 12 bytes * items *
    min(candidates, items) of memory. W stores the weights above 0 only.
    """

    kind: ClassVar[str] = "slim"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "l1": (0.1, 0.3, 1.0, 3.0),
        "l2": (10.0, 30.0, 100.0, 300.0, 1_000.0),
    }

    l1: float = 1.0
    l2: float = 200.0
    candidates: int = 300
    sweeps: int = 50

    def __post_init__(self) -> None:
        if not self.l1 >= 0:
            raise BadDeclaration("SLIM's l1", "at least 0", self.l1)
        if not self.l2 > 0:
            raise BadDeclaration("SLIM's l2", "above 0", self.l2)
        for name in ("candidates", "sweeps"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"SLIM's {name}", "at least 1", getattr(self, name))

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for each weight."""
        items = len(data.items)
        return 8 * items * min(self.candidates, items) + 8 * items

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """W by rows: `near_ptr` int64 (items + 1,), `near` int32 the item recommended, `similarities` float32."""
        from flyball.models.kernels.coordinate import elastic_columns

        liked, n = positives(data), len(data.items)
        user_ptr = row_pointers(liked.user_index, len(data.users))
        by_item = order_by(liked.item_index, len(data.items))
        item_ptr = row_pointers(liked.item_index, n)
        squares = np.bincount(liked.item_index, liked.weights.astype(np.float64) ** 2, n).astype(np.float64)
        chosen = np.full((n, max(1, min(self.candidates, n - 1))), -1, dtype=np.int32)
        weights = np.zeros(chosen.shape, dtype=np.float32)
        users, values = liked.user_index[by_item], liked.weights[by_item]
        in_blocks(
            n,
            lambda first, last: elastic_columns(
                item_ptr,
                users,
                values,
                user_ptr,
                liked.item_index,
                liked.weights,
                squares,
                float(self.l1),
                float(self.l2),
                self.sweeps,
                1e-4,
                first,
                last,
                chosen,
                weights,
            ),
        )
        target = np.repeat(np.arange(n, dtype=np.int32), (weights > 0).sum(axis=1))
        return sparse_rows(chosen[weights > 0], target, weights[weights > 0], n)
