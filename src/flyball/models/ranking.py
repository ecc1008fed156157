"""The k best items of each row of scores."""

from collections.abc import Sequence

import numpy as np

from flyball.core import BadInput
from flyball.models.base import Learned, Recommender
from flyball.models.data import Floats, Histories, Indexes, take

_ROWS = 32  # for 27,000 items their scores are 3.5 MB, which stay in the cache; 1,000 rows at once took 25 % longer


def top_k(scores: Floats, excluded: Sequence[Indexes], k: int) -> tuple[Indexes, Floats]:
    """Items, int32 (rows, k), and their scores, float32 (rows, k), best first; of equal scores the lower index first.

    `scores`: float32 (rows, items); -inf and nan are never listed. `excluded`: the items to leave out of each row.
    Rows with fewer than k items end in -1 with score -inf. Raises `BadInput` for k < 1 and for an excluded index
    outside the items.

    >>> items, scores = top_k(np.array([[1.0, 3.0, 3.0, 2.0]], dtype=np.float32), [np.array([3], dtype=np.int32)], 3)
    >>> items.tolist(), scores.tolist()
    ([[1, 2, 0]], [[3.0, 3.0, 1.0]])
    """
    from flyball.models.kernels.ranking import top_k_rows

    rows, n = scores.shape
    if k < 1:
        raise BadInput("k", "at least 1", k)
    if len(excluded) != rows:
        raise BadInput("excluded", f"one array for each of {rows} rows", len(excluded))
    indptr = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum([len(items) for items in excluded], out=indptr[1:])
    flat = np.concatenate([*excluded, np.empty(0, dtype=np.int32)]).astype(np.int32, copy=False)
    if len(flat) and (flat.min() < 0 or flat.max() >= n):
        raise BadInput("excluded item", f"in [0, {n})", (int(flat.min()), int(flat.max())))
    best_items = np.empty((rows, k), dtype=np.int32)
    best_scores = np.empty((rows, k), dtype=np.float32)
    marks = np.zeros(n, dtype=np.uint8)
    top_k_rows(np.ascontiguousarray(scores, dtype=np.float32), flat, indptr, k, marks, best_items, best_scores)
    return best_items, best_scores


def best_items(
    model: Recommender, learned: Learned, histories: Histories, excluded: Sequence[Indexes], k: int
) -> tuple[Indexes, Floats]:
    """`top_k` of the model's scores, a few rows at a time, so that the scores of a large batch never fill the memory.

    Shapes, ties, errors and bits are those of `top_k` over all rows of `histories` at once.
    """
    if len(excluded) != histories.rows:
        raise BadInput("excluded", f"one array for each of {histories.rows} rows", len(excluded))
    best = np.empty((histories.rows, max(k, 0)), dtype=np.int32), np.empty((histories.rows, max(k, 0)), np.float32)
    for first in range(0, histories.rows, _ROWS):
        rows = range(first, min(first + _ROWS, histories.rows))
        part = histories if len(rows) == histories.rows else take(histories, rows)
        batch_best = top_k(model.score(learned, part), excluded[first : rows.stop], k)
        for values, batch_values in zip(best, batch_best, strict=True):
            values[first : rows.stop] = batch_values
    return best
