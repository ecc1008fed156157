"""Coordinate descent of sparse linear item models, one item's weights at a time."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.ranking import _sift_down, _sift_up
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f8, r_i4, r_i8, w_f4x2, w_i4x2


@njit(
    void(r_i8, r_i4, r_f4, r_i8, r_i4, r_f4, r_f8, f8, f8, i8, f8, i8, i8, w_i4x2, w_f4x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def elastic_columns(
    item_ptr,
    item_users,
    item_weights,
    user_ptr,
    user_items,
    user_weights,
    squares,
    l1,
    l2,
    sweeps,
    tolerance,
    first,
    last,
    chosen,
    out,
):
    """For items `[first, last)`: w >= 0 minimizing |x_i - X w|^2 / 2 + l2 |w|^2 / 2 + l1 |w|, over the candidates.

    Candidates: the items of the highest cosine to i, as many as `chosen` is wide. `chosen` (items, width) comes out in
    the order of items (-1 for none), `out` their weights. Stops when no weight moves by more than `tolerance`.
    """
    items, width = chosen.shape
    dots = np.zeros(items)
    touched = np.empty(items, dtype=np.int32)
    cosines = np.empty(width, dtype=np.float32)
    user_residuals = np.zeros(len(user_ptr) - 1)
    weights = np.zeros(width)
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
        size, near = 0, chosen[i]
        for t in range(count):
            j = touched[t]
            dot = dots[j]
            dots[j] = 0.0
            if j == i or not dot > l1:  # other weights can only lower this gradient, so this weight stays 0
                continue
            cosine = np.float32(dot / np.sqrt(squares[i] * squares[j]))
            if size < width:
                cosines[size], near[size] = cosine, j
                _sift_up(cosines, near, size)
                size += 1
            elif cosine > cosines[0] or (cosine == cosines[0] and j < near[0]):
                cosines[0], near[0] = cosine, j
                _sift_down(cosines, near, size)
        near[:size] = np.sort(near[:size])
        near[size:] = -1
        weights[:] = 0.0
        for a in range(item_ptr[i], item_ptr[i + 1]):
            user_residuals[item_users[a]] = item_weights[a]
        everything = True
        for _ in range(sweeps):
            moved = 0.0
            for c in range(size):
                if not everything and weights[c] == 0.0:
                    continue
                j = near[c]
                pull = weights[c] * squares[j]
                for a in range(item_ptr[j], item_ptr[j + 1]):
                    pull += item_weights[a] * user_residuals[item_users[a]]
                updated = max(0.0, pull - l1) / (squares[j] + l2)
                change = updated - weights[c]
                if change != 0.0:
                    for a in range(item_ptr[j], item_ptr[j + 1]):
                        user_residuals[item_users[a]] -= change * item_weights[a]
                    weights[c] = updated
                    moved = max(moved, abs(change))
            if moved <= tolerance:
                if everything:
                    break
                everything = True  # the active weights have converged: check all weights once more
            else:
                everything = False
        for a in range(item_ptr[i], item_ptr[i + 1]):
            user_residuals[item_users[a]] = 0.0
        for c in range(size):
            out[i, c] = weights[c]
            j = near[c]
            for a in range(item_ptr[j], item_ptr[j + 1]):
                user_residuals[item_users[a]] = 0.0  # also for weights that returned to 0: a rounding error may remain
        for c in range(size, width):
            out[i, c] = 0.0
