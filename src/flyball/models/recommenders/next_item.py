"""Next item from the sequence: weighted transitions.

Sources: Ludewig, Jannach, "Evaluation of Session-Based Recommendation Algorithms", UMUAI 2018 (sequential rules, weight
1 / distance); the decay of older items follows their vector multiplication kNN.
"""

from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Histories, Interactions, order_by, positives, row_pointers
from flyball.models.sparse_rows import explained, neighbor_row, sparse_rows, summed
from flyball.models.threads import in_blocks


class NextItem(Recommender, frozen=True):
    """score(i) = sum over the history of weight * `decay` ** (positives after it) * strength(j, i).

    strength(j, i) counts how often i came at most `window` positions after j in a user's sequence of positives, each
    time with weight 1 / distance; an i before j counts `back` times as much. The count is divided by
    (n_j n_i) ** `norm` + `shrink`, where n is the number of users with the item. Each item keeps its `k` strongest
    successors. Memory as `ItemKNN`.
    """

    kind: ClassVar[str] = "next_item"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "window": (3, 5, 10, 20, 50),
        "decay": (0.3, 0.5, 0.7, 0.8, 0.9, 1.0),
        "back": (0.1, 0.3, 0.5, 0.8),
        "norm": (0.1, 0.25, 0.4, 0.5),
        "shrink": (1.0, 5.0, 20.0),
    }

    k: int = 200
    window: int = 10
    decay: float = 0.8
    back: float = 0.5
    norm: float = 0.35
    shrink: float = 5.0

    def __post_init__(self) -> None:
        for name in ("k", "window"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"NextItem's {name}", "at least 1", getattr(self, name))
        if not 0 < self.decay <= 1:
            raise BadDeclaration("NextItem's decay", "above 0, at most 1", self.decay)
        for name in ("back", "norm", "shrink"):
            if not getattr(self, name) >= 0:
                raise BadDeclaration(f"NextItem's {name}", "at least 0", getattr(self, name))

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for each successor."""
        items = len(data.items)
        return 8 * items * min(self.k, items) + 8 * items

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Strengths as sparse rows: `near_ptr` int64 (items + 1,), `near` int32, `similarities` float32."""
        from flyball.models.kernels.sequences import transitions

        liked, n = positives(data), len(data.items)
        order = np.lexsort((liked.item_index, liked.at_us, liked.user_index))
        items, weights = liked.item_index[order], liked.weights[order]
        user_ptr = row_pointers(liked.user_index, len(data.users))
        sizes = np.diff(user_ptr)
        starts, stops = np.repeat(user_ptr[:-1], sizes), np.repeat(user_ptr[1:], sizes)
        item_order = order_by(items, n)
        item_ptr = row_pointers(items, n)
        norms = np.diff(item_ptr).astype(np.float64) ** self.norm
        near = np.full((n, max(1, min(self.k, n - 1))), -1, dtype=np.int32)
        values = np.zeros(near.shape, dtype=np.float32)
        in_blocks(
            n,
            lambda first, last: transitions(
                item_ptr,
                item_order,
                starts,
                stops,
                items,
                weights,
                self.window,
                float(self.back),
                float(self.shrink),
                norms,
                first,
                last,
                near,
                values,
            ),
        )
        source = np.repeat(np.arange(n, dtype=np.int32), (near >= 0).sum(axis=1))
        return sparse_rows(source, near[near >= 0], values[near >= 0], n)

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Sums in order of time; -inf for items that never followed an item of the history."""
        return summed(learned, self._faded(histories))

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """The contribution of each liked item of the history."""
        return explained(learned, self._faded(histories), item)

    def similar(self, learned: Learned, item: int) -> Floats:
        """The strength with which each item follows `item`."""
        return neighbor_row(learned, item)

    def _faded(self, histories: Histories) -> Histories:
        from flyball.models.kernels.sequences import fading

        faded = np.empty(len(histories.weights), dtype=np.float32)
        fading(histories.indptr, histories.weights, float(self.decay), faded)
        return msgspec.structs.replace(histories, weights=faded)
