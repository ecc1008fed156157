"""The users most like a history, and what they liked."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.ranking import _sift_down, _sift_up
from flyball.models.kernels.signatures import f8, r_f4, r_f8, r_i4, r_i8, w_f4x2, w_i4x2


@njit(void(r_i8, r_i4, r_f4, r_f8, f8, r_i8, r_i4, r_f4, w_i4x2, w_f4x2), cache=True, nogil=True)
def nearest_users(item_ptr, item_users, item_weights, norms, shrink, indptr, history, weights, near, cosines):
    """For each row, write the k users with the highest shrunk cosine into `near`, sorted by user, -1 after the last.

    cosine = x . x_v / (|x| |x_v| + shrink), above 0, where x are the history's positive weights. Ties by lower user.
    """
    rows, k = near.shape
    dots = np.zeros(len(norms))
    touched = np.empty(len(norms), dtype=np.int32)
    for b in range(rows):
        count, square = 0, 0.0
        for h in range(indptr[b], indptr[b + 1]):
            weight, item = np.float64(weights[h]), history[h]
            if not weight > 0:
                continue
            square += weight * weight
            for a in range(item_ptr[item], item_ptr[item + 1]):
                user = item_users[a]
                if dots[user] == 0.0:
                    touched[count] = user
                    count += 1
                dots[user] += weight * item_weights[a]
        norm, size = np.sqrt(square), 0
        users, values = near[b], cosines[b]
        for t in range(count):
            user = touched[t]
            cosine = np.float32(dots[user] / (norm * norms[user] + shrink))
            dots[user] = 0.0
            if size < k:
                values[size], users[size] = cosine, user
                _sift_up(values, users, size)
                size += 1
            elif cosine > values[0] or (cosine == values[0] and user < users[0]):
                values[0], users[0] = cosine, user
                _sift_down(values, users, size)
        for at in range(size, k):
            users[at], values[at] = -1, 0.0


@njit(void(r_i8, r_i4, r_f4, w_i4x2, w_f4x2, w_f4x2), cache=True, nogil=True)
def sum_users(user_ptr, user_items, user_weights, near, cosines, scores):
    """scores[b, i] = sum over the row's nearest users of cosine * weight of i; -inf where nothing adds."""
    unknown = np.float32(-np.inf)
    for b in range(scores.shape[0]):
        row = scores[b]
        row[:] = unknown
        for n in range(near.shape[1]):
            user = near[b, n]
            if user < 0:
                continue
            for a in range(user_ptr[user], user_ptr[user + 1]):
                before = row[user_items[a]]
                added = cosines[b, n] * user_weights[a]
                row[user_items[a]] = added + (before if before > unknown else np.float32(0.0))
