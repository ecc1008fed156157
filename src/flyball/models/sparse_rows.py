"""Item-to-item weights as sparse rows (`near_ptr`, `near`, `similarities`): summing, explaining, listing them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.models.base import Learned, unscored
from flyball.models.data import Floats, Histories, row_pointers


class ScoresBySparseRows:
    """A base of models that learn item-to-item weights W as sparse rows.

    score(i) = sum of weight * W[j, i] over the items j of the history.
    """

    __slots__ = ()

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Sums in the history's order; -inf for items to which no item of the history has a weight."""
        return summed(learned, histories)

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """The contribution of each liked item j of the history: weight * W[j, item]."""
        return explained(learned, histories, item)

    def similar(self, learned: Learned, item: int) -> Floats:
        """The item's own row of W."""
        return neighbor_row(learned, item)


def sparse_rows(
    source: NDArray[np.int32], target: NDArray[np.int32], weights: Floats, items: int
) -> dict[str, NDArray[Any]]:
    """Sparse rows by source item. The entries of a row are sorted by target, which makes reading them faster."""
    order = np.lexsort((target, source))
    return {
        "near_ptr": row_pointers(source, items),
        "near": target[order].astype(np.int32),
        "similarities": weights[order].astype(np.float32),
    }


def summed(learned: Learned, histories: Histories) -> Floats:
    """score(i) = sum of weight * W[j, i] over the history in its order; -inf for items without any summand."""
    from flyball.models.kernels.neighbors import sum_neighbors

    scores = np.empty((histories.rows, len(learned["near_ptr"]) - 1), dtype=np.float32)
    sum_neighbors(
        learned["near_ptr"],
        learned["near"],
        learned["similarities"],
        histories.indptr,
        histories.items,
        histories.weights,
        scores,
    )
    return scores


def explained(learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
    """[(history position, contribution to the score of `item`)] of the liked items of the history."""
    contributions = []
    for position, (other, weight) in enumerate(zip(histories.items, histories.weights, strict=True)):
        part = slice(learned["near_ptr"][other], learned["near_ptr"][other + 1])
        positions = np.flatnonzero(learned["near"][part] == item)
        if len(positions) and weight > 0:
            contributions.append((position, float(weight * learned["similarities"][part][positions[0]])))
    return contributions


def neighbor_row(learned: Learned, item: int) -> Floats:
    """The row of `item`, float32 (items,); -inf for `item` itself and where the row has no entry."""
    row = unscored(1, len(learned["near_ptr"]) - 1).ravel()
    part = slice(learned["near_ptr"][item], learned["near_ptr"][item + 1])
    row[learned["near"][part]] = learned["similarities"][part]
    row[item] = -np.inf
    return row
