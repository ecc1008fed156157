"""The k best of each row of scores."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.signatures import i8, r_f4x2, r_i4, r_i8, w_f4x2, w_i4x2, w_u1

_BLOCK = 64  # items compared with the k-th best score at once: most blocks contain nothing better


@njit(cache=True, nogil=True, inline="always")
def _worse(score, item, other_score, other_item):
    return score < other_score or (score == other_score and item > other_item)


@njit(cache=True, nogil=True)
def _sift_down(scores, items, size):
    """Restore the heap (worst on top) after its top was replaced."""
    score, item = scores[0], items[0]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _worse(scores[child + 1], items[child + 1], scores[child], items[child]):
            child += 1
        if not _worse(scores[child], items[child], score, item):
            break
        scores[at], items[at] = scores[child], items[child]
        at = child
    scores[at], items[at] = score, item


@njit(cache=True, nogil=True)
def _sift_up(scores, items, at):
    score, item = scores[at], items[at]
    while at > 0:
        parent = (at - 1) // 2
        if not _worse(score, item, scores[parent], items[parent]):
            break
        scores[at], items[at] = scores[parent], items[parent]
        at = parent
    scores[at], items[at] = score, item


@njit(void(r_f4x2, r_i4, r_i8, i8, w_u1, w_i4x2, w_f4x2), cache=True, nogil=True)
def top_k_rows(scores, excluded, indptr, k, marks, best_items, best_scores):
    """The k best items of each row, best first, ties by lower item; -1 and -inf where fewer can be recommended.

    `excluded[indptr[b]:indptr[b + 1]]` never appear in row b. `marks`: zeros, one per item, zeros again on return.
    """
    rows, n = scores.shape
    minus_infinity = np.float32(-np.inf)
    for b in range(rows):
        row, items, values = scores[b], best_items[b], best_scores[b]
        for e in range(indptr[b], indptr[b + 1]):
            marks[excluded[e]] = 1
        size = 0
        threshold = minus_infinity
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            if (
                stop - start == _BLOCK
            ):  # a loop of constant length is unrolled into vectors: 4 us for 27,000 items, not 13
                part, hits = row[start : start + _BLOCK], np.int32(0)
                for j in range(_BLOCK):
                    hits = np.int32(hits + np.int32(part[j] > threshold))
                if hits == 0:
                    continue
            for j in range(start, stop):
                if not (row[j] > threshold) or marks[j] == 1:
                    continue
                if size < k:
                    values[size], items[size] = row[j], j
                    _sift_up(values, items, size)
                    size += 1
                else:
                    values[0], items[0] = row[j], j
                    _sift_down(values, items, size)
                if size == k:
                    threshold = values[0]
        for last in range(size - 1, 0, -1):
            values[0], values[last] = values[last], values[0]
            items[0], items[last] = items[last], items[0]
            _sift_down(values, items, last)
        for at in range(size, k):
            items[at], values[at] = -1, minus_infinity
        for e in range(indptr[b], indptr[b + 1]):
            marks[excluded[e]] = 0
