"""EASE: a linear autoencoder in closed form.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace, unscored
from flyball.models.data import Floats, Histories, Indexes, Interactions, order_by, positives, row_pointers
from flyball.models.recommenders.sparse_ease import SparseEASE
from flyball.models.sparse_rows import explained, neighbor_row, summed
from flyball.models.threads import in_blocks

DENSE_ITEMS = 10_000
"""The most liked items for which `EASE` inverts one matrix: 400 MB of weights, 1.2 GB while fitting."""


class EASE(Recommender, frozen=True):
    """B minimizes |X - X B|^2 + `l2` |B|^2 with a zero diagonal: P = (X'X + l2 I)^-1, B = I - P diag(1 / diag P).

    score(i) = sum of weight * B[j, i] over the items j of the history. Memory and artifact: 4 * items^2 bytes (8 *
    items^2 more while fitting); the time grows with items^3. `items`: a number keeps that many of the most popular
    items, and never recommends others. None keeps every item that somebody likes; if these are more than
    `DENSE_ITEMS`, the column of B of each item comes from a block of similar items, as in `SparseEASE`.
    """

    kind: ClassVar[str] = "ease"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {"l2": (50.0, 100.0, 200.0, 350.0, 500.0, 1_000.0, 2_000.0)}

    l2: float = 500.0
    items: int | None = None

    def __post_init__(self) -> None:
        if not self.l2 > 0:
            raise BadDeclaration("EASE's l2", "above 0", self.l2)
        if self.items is not None and self.items < 1:
            raise BadDeclaration("EASE's items", "at least 1", self.items)

    def artifact_bytes(self, data: Interactions) -> int:
        """4 bytes for each pair of items; 8 for each weight if B is fitted in blocks."""
        liked = _liked_items(data)
        if self.items is None and liked > DENSE_ITEMS:
            return SparseEASE(self.l2).artifact_bytes(data)
        return 4 * min(liked, self.items or liked) ** 2 + 8 * len(data.items)

    def note(self, data: Interactions) -> str:
        """Whether the fit left items out or used blocks."""
        liked = _liked_items(data)
        if self.items is None:
            return "" if liked <= DENSE_ITEMS else f"{liked:,} items, so weights come from blocks of 100 similar items"
        return "" if liked <= self.items else f"recommends the {self.items:,} most popular of {liked:,} items only"

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`weights` B float32 (kept, kept), `kept` int32 the item of each row, `column_of` int32 (items,) row or -1.

        Fitted in blocks, the arrays are those of `SparseEASE`.
        """
        if self.items is None and _liked_items(data) > DENSE_ITEMS:
            return SparseEASE(self.l2).fit(data, seed)
        liked = positives(data)
        kept = self._most_popular(liked)
        column_of = np.full(len(data.items), -1, dtype=np.int32)
        column_of[kept] = np.arange(len(kept), dtype=np.int32)
        swept = _inverse(liked, column_of, len(kept), self.l2)
        weights = np.empty((len(kept), len(kept)), dtype=np.float32)
        if len(kept):
            from flyball.models.kernels.inverse import ease_rows

            in_blocks(len(kept), lambda first, last: ease_rows(swept, first, last, weights))
        return {"weights": weights, "kept": kept, "place": column_of}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Sums in the history's order; -inf for items not kept, and for all items in rows without a kept positive."""
        if "near_ptr" in learned:
            return summed(learned, histories)
        from flyball.models.kernels.dense_rows import sum_rows

        scores = np.empty((histories.rows, len(learned["place"])), dtype=np.float32)
        sum_rows(
            learned["weights"],
            learned["kept"],
            learned["place"],
            histories.indptr,
            histories.items,
            histories.weights,
            scores,
        )
        return scores

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """weight * B[j, item] for each kept positive j of the history."""
        if "near_ptr" in learned:
            return explained(learned, histories, item)
        column_of, column = learned["place"], int(learned["place"][item])
        if column < 0:
            return []
        rows = column_of[histories.items]
        return [
            (position, float(histories.weights[position] * learned["weights"][rows[position], column]))
            for position in np.flatnonzero((histories.weights > 0) & (rows >= 0)).tolist()
        ]

    def similar(self, learned: Learned, item: int) -> Floats:
        """The item's row of B: the scores of a history that holds only this item."""
        if "near_ptr" in learned:
            return neighbor_row(learned, item)
        row = unscored(1, len(learned["place"])).ravel()
        at = int(learned["place"][item])
        if at >= 0:
            row[learned["kept"]] = learned["weights"][at]
            row[item] = -np.inf
        return row

    def _most_popular(self, liked: Interactions) -> Indexes:
        totals = np.bincount(liked.item_index, weights=liked.weights.astype(np.float64), minlength=len(liked.items))
        order = np.argsort(-totals, kind="stable")[: self.items]
        return np.sort(order[totals[order] > 0]).astype(np.int32)


def _liked_items(data: Interactions) -> int:
    return int(np.count_nonzero(np.bincount(positives(data).item_index, minlength=len(data.items))))


def _inverse(liked: Interactions, column_of: Indexes, side: int, l2: float) -> NDArray[np.float64]:
    """-(X'X + l2 I)^-1 over the kept items, upper triangle, in a square matrix padded to a multiple of 4."""
    from flyball.models.kernels.inverse import SWEEP_BLOCK, item_gramian, sweep_others, sweep_pivots

    columns = column_of[liked.item_index]
    has_column = columns >= 0
    users, columns, weights = liked.user_index[has_column], columns[has_column], liked.weights[has_column]
    user_ptr = row_pointers(users, len(liked.users))
    by_item = order_by(columns, side)
    item_ptr = row_pointers(columns[by_item], side)
    item_users, item_weights = users[by_item], weights[by_item]
    wide = -(-side // 4) * 4
    matrix = np.eye(wide, dtype=np.float64)
    in_blocks(
        side,
        lambda first, last: item_gramian(
            item_ptr, item_users, item_weights, user_ptr, columns, weights, float(l2), first, last, matrix
        ),
    )
    panel, product = np.empty((SWEEP_BLOCK, wide)), np.empty((SWEEP_BLOCK, wide))
    for start in range(0, wide, SWEEP_BLOCK):
        stop = min(start + SWEEP_BLOCK, wide)
        here, solved = panel[: stop - start], product[: stop - start]
        sweep_pivots(matrix, start, stop, here, solved)

        def others(first: int, last: int, at: tuple[int, int] = (start, stop), rows: Any = (here, solved)) -> None:
            sweep_others(matrix, rows[0], rows[1], at[0], at[1], first, last)

        in_blocks(wide // 4, others)
    return matrix
