"""Item neighborhoods for ratings: shrunk correlations of deviations, and weighted means of a history's deviations."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.ranking import _sift_down, _sift_up
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f8, r_i4, r_i8, w_f4, w_f4x2, w_i4x2


@njit(void(r_i8, r_i4, r_f4, r_i8, r_i4, r_f4, f8, i8, i8, w_i4x2, w_f4x2), cache=True, nogil=True)
def correlated_neighbors(
    item_ptr, item_users, item_rest, user_ptr, user_items, user_rest, shrink, first, last, near, correlations
):
    """For items `[first, last)` the most correlated others, best first (ties by lower item), -1 where there are fewer.

    Over the n users of both: correlation = sum d_ui d_uj / sqrt(sum d_ui^2 sum d_uj^2) * (n - 1) / (n - 1 + shrink),
    kept when above 0. Sums run over users in their order.
    """
    items, k = near.shape
    dots, own, others = np.zeros(items), np.zeros(items), np.zeros(items)
    common = np.zeros(items, dtype=np.int32)
    touched = np.empty(items, dtype=np.int32)
    for i in range(first, last):
        count = 0
        for a in range(item_ptr[i], item_ptr[i + 1]):
            user, residual = item_users[a], np.float64(item_rest[a])
            for b in range(user_ptr[user], user_ptr[user + 1]):
                j, other = user_items[b], np.float64(user_rest[b])
                if common[j] == 0:
                    touched[count] = j
                    count += 1
                common[j] += 1
                dots[j] += residual * other
                own[j] += residual * residual
                others[j] += other * other
        size = 0
        list_items, values = near[i], correlations[i]
        for t in range(count):
            j = touched[t]
            value = np.float32(0.0)
            if j != i and dots[j] > 0.0 and common[j] > 1:
                n = common[j] - 1.0
                value = np.float32(dots[j] / np.sqrt(own[j] * others[j]) * (n / (n + shrink)))
            dots[j], own[j], others[j], common[j] = 0.0, 0.0, 0.0, 0
            if not value > 0:
                continue
            if size < k:
                values[size], list_items[size] = value, j
                _sift_up(values, list_items, size)
                size += 1
            elif value > values[0] or (value == values[0] and j < list_items[0]):
                values[0], list_items[0] = value, j
                _sift_down(values, list_items, size)
        for at in range(size - 1, 0, -1):
            values[0], values[at] = values[at], values[0]
            list_items[0], list_items[at] = list_items[at], list_items[0]
            _sift_down(values, list_items, at)
        for at in range(size, k):
            list_items[at], values[at] = -1, 0.0


@njit(cache=True, nogil=True)
def _mean_rest(near_ptr, near, correlations, residuals, is_rated, item, k):
    """The mean of the deviations of the `k` nearest items in the history, weighted by correlation; 0 for none."""
    total, weight, count = 0.0, 0.0, 0
    for a in range(near_ptr[item], near_ptr[item + 1]):
        if is_rated[near[a]]:
            total += np.float64(correlations[a]) * residuals[near[a]]
            weight += correlations[a]
            count += 1
            if count == k:
                break
    return total / weight if weight > 0 else 0.0


@njit(void(r_i8, r_i4, r_f4, i8, r_i8, r_i4, r_f4, r_f8, w_f4x2), cache=True, nogil=True)
def neighbor_rests(near_ptr, near, correlations, k, indptr, history, rated, rests, means):
    """means[b, i]: the k-neighbor mean deviation of item i for row b. `rated`: 1 for rated positions, 0 for others."""
    rows, items = means.shape
    residuals, is_rated = np.zeros(items), np.zeros(items, dtype=np.bool_)
    for b in range(rows):
        for h in range(indptr[b], indptr[b + 1]):
            residuals[history[h]], is_rated[history[h]] = rests[h], rated[h] > 0
        for i in range(items):
            means[b, i] = _mean_rest(near_ptr, near, correlations, residuals, is_rated, i, k)
        for h in range(indptr[b], indptr[b + 1]):
            is_rated[history[h]] = False


@njit(void(r_i8, r_i4, r_f4, i8, r_i8, r_i4, r_f4, r_f8, r_i8, r_i4, w_f4), cache=True, nogil=True)
def neighbor_rests_of(near_ptr, near, correlations, k, indptr, history, rated, rests, pair_rows, pair_items, means):
    """As `neighbor_rests`, for single pairs: row `pair_rows[n]` (ascending) and item `pair_items[n]`."""
    items = len(near_ptr) - 1
    residuals, is_rated = np.zeros(items), np.zeros(items, dtype=np.bool_)
    at = 0
    while at < len(pair_rows):
        b = pair_rows[at]
        for h in range(indptr[b], indptr[b + 1]):
            residuals[history[h]], is_rated[history[h]] = rests[h], rated[h] > 0
        while at < len(pair_rows) and pair_rows[at] == b:
            means[at] = _mean_rest(near_ptr, near, correlations, residuals, is_rated, pair_items[at], k)
            at += 1
        for h in range(indptr[b], indptr[b + 1]):
            is_rated[history[h]] = False
