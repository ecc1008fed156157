"""Transitions between items within a window, and their sum over a history with decaying weights."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.ranking import _sift_down, _sift_up
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f8, r_i4, r_i8, w_f4, w_f4x2, w_i4x2


@njit(void(r_i8, r_i8, r_i8, r_i8, r_i4, r_f4, i8, f8, f8, r_f8, i8, i8, w_i4x2, w_f4x2), cache=True, nogil=True)
def transitions(item_ptr, order, starts, stops, items, weights, window, back, shrink, norms, first, last, near, values):
    """For items `[first, last)` the k items that follow them most, into `near`, `values` (items, k); -1 for none.

    value(i, j) = S / (norms[i] norms[j] + shrink). S is the sum of w_t w_s / |t - s| over the positions t of i and the
    positions s of j at most `window` after t, plus `back` times the same for s before t. `order[item_ptr[i]:...]`: the
    positions of item i. `starts`, `stops`: the user's sequence that each position is in. Ties by lower item.
    """
    n, k = near.shape
    sums = np.zeros(n)
    touched = np.empty(n, dtype=np.int32)
    for i in range(first, last):
        count = 0
        for a in range(item_ptr[i], item_ptr[i + 1]):
            t = order[a]
            for s in range(max(starts[t], t - window), min(stops[t], t + window + 1)):
                j = items[s]
                value = np.float64(weights[t]) * weights[s]
                if s > t:
                    value /= s - t
                elif s < t:
                    value *= back / (t - s)
                if s == t or j == i or value == 0.0:
                    continue
                if sums[j] == 0.0:
                    touched[count] = j
                    count += 1
                sums[j] += value
        size = 0
        row, best = near[i], values[i]
        for c in range(count):
            j = touched[c]
            value = np.float32(sums[j] / (norms[i] * norms[j] + shrink))
            sums[j] = 0.0
            if not value > 0:
                continue
            if size < k:
                best[size], row[size] = value, j
                _sift_up(best, row, size)
                size += 1
            elif value > best[0] or (value == best[0] and j < row[0]):
                best[0], row[0] = value, j
                _sift_down(best, row, size)
        for at in range(size, k):
            row[at], best[at] = -1, 0.0


@njit(void(r_i8, r_f4, f8, w_f4), cache=True, nogil=True)
def fading(indptr, weights, decay, faded):
    """faded[h] = weight * decay ** (how many positive positions come later in the row)."""
    for b in range(len(indptr) - 1):
        share = 1.0
        for h in range(indptr[b + 1] - 1, indptr[b] - 1, -1):
            faded[h] = weights[h] * share
            if weights[h] > 0:
                share *= decay
