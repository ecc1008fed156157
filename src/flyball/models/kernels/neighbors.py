"""Item neighborhoods: cosines with shrinkage, and the sum of a history's neighbor lists."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.ranking import _sift_down, _sift_up
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f8, r_i4, r_i8, w_f4x2, w_i4x2


@njit(
    void(r_i8, r_i4, r_f4, r_i8, r_i4, r_f4, r_f8, f8, i8, i8, w_i4x2, w_f4x2),
    cache=True,
    nogil=True,
)
def cosine_neighbors(
    item_ptr, item_users, item_weights, user_ptr, user_items, user_weights, norms, shrink, first, last, near, cosines
):
    """For items `[first, last)` the k most similar others into `near`, `cosines` (items, k); -1 where there are fewer.

    Similarity = (x_i . x_j) / (|x_i| |x_j| + shrink), above 0; ties by lower item. Sums run over users in their order.
    """
    n, k = near.shape
    dots = np.zeros(n, dtype=np.float64)
    touched = np.empty(n, dtype=np.int32)
    for i in range(first, last):
        count = 0
        for a in range(item_ptr[i], item_ptr[i + 1]):
            user, weight = item_users[a], np.float64(item_weights[a])
            for b in range(user_ptr[user], user_ptr[user + 1]):
                j = user_items[b]
                if dots[j] == 0.0:
                    touched[count] = j
                    count += 1
                dots[j] += weight * user_weights[b]
        size = 0
        items, values = near[i], cosines[i]
        for t in range(count):
            j = touched[t]
            cosine = np.float32(dots[j] / (norms[i] * norms[j] + shrink))
            dots[j] = 0.0
            if j == i or not cosine > 0:
                continue
            if size < k:
                values[size], items[size] = cosine, j
                _sift_up(values, items, size)
                size += 1
            elif cosine > values[0] or (cosine == values[0] and j < items[0]):
                values[0], items[0] = cosine, j
                _sift_down(values, items, size)
        for at in range(size, k):
            items[at], values[at] = -1, 0.0


@njit(void(r_i8, r_i4, r_f4, r_i8, r_i4, r_f4, w_f4x2), cache=True, nogil=True)
def sum_neighbors(near_ptr, near, similarities, indptr, history, weights, scores):
    """scores[b, i] = sum over history positions of weight * similarity(history item, i); -inf where nothing adds."""
    rows = scores.shape[0]
    unknown = np.float32(-np.inf)
    for b in range(rows):
        row = scores[b]
        row[:] = unknown
        for h in range(indptr[b], indptr[b + 1]):
            weight = weights[h]
            if not weight > 0:
                continue
            item = history[h]
            for a in range(near_ptr[item], near_ptr[item + 1]):
                i = near[a]
                before = row[i]
                row[i] = weight * similarities[a] + (before if before > unknown else np.float32(0.0))
