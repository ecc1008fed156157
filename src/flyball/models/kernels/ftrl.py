"""Follow the regularized leader, coordinate by coordinate, over rows of hashed features."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.signatures import f8, i8, r_f8, r_f8x2, reads, w_f8, w_f8x2

_r_i8x2 = reads(i8, 2)


@njit(f8(f8, f8, f8, f8, f8, f8), cache=True, nogil=True)
def _weight(z, n, alpha, beta, l1, l2):
    """The coefficient for the sums `z` and `n` of algorithm 1."""
    if abs(z) <= l1:
        return 0.0
    return -(z - (l1 if z > 0 else -l1)) / ((beta + np.sqrt(n)) / alpha + l2)


@njit(void(r_f8x2, w_f8x2, f8, w_f8x2), cache=True, nogil=True)
def standardize_running(numbers, seen, widest, standard):
    """standard (rows, columns): each number minus the mean of the numbers up to this row, over their deviation.

    `seen` (columns, 3): count, mean and sum of squared deviations, updated in place. nan stays nan; other values are
    limited to +-`widest`.
    """
    for row in range(numbers.shape[0]):
        for column in range(numbers.shape[1]):
            x = numbers[row, column]
            if x != x:
                standard[row, column] = x
                continue
            seen[column, 0] += 1.0
            off = x - seen[column, 1]
            seen[column, 1] += off / seen[column, 0]
            seen[column, 2] += off * (x - seen[column, 1])
            deviation = np.sqrt(seen[column, 2] / seen[column, 0])
            value = (x - seen[column, 1]) / deviation if deviation > 0.0 else 0.0
            standard[row, column] = min(max(value, -widest), widest)


@njit(
    void(_r_i8x2, r_f8x2, r_f8, r_f8, w_f8, w_f8, f8, f8, f8, f8),
    cache=True,
    nogil=True,
)
def follow_leader(slots, values, happened, weight, z, n, alpha, beta, l1, l2):
    """One pass over the rows in their order; each is predicted, then learned from. `z`, `n` (slots,): updated in place.

    `slots`, `values` (rows, features): slot -1 for a feature that a row lacks; the last one is the base, without l1.
    """
    features = slots.shape[1]
    current = np.empty(features)
    for row in range(slots.shape[0]):
        margin = 0.0
        for index in range(features):
            slot = slots[row, index]
            current[index] = 0.0
            if slot >= 0:
                bound = l1 if index < features - 1 else 0.0
                current[index] = _weight(z[slot], n[slot], alpha, beta, bound, l2)
                margin += current[index] * values[row, index]
        small = np.exp(-abs(margin))
        probability = (1.0 if margin >= 0 else small) / (1.0 + small)
        slope = (probability - happened[row]) * weight[row]
        for index in range(features):
            slot = slots[row, index]
            if slot >= 0:
                gradient = slope * values[row, index]
                squared = n[slot] + gradient * gradient
                z[slot] += gradient - (np.sqrt(squared) - np.sqrt(n[slot])) / alpha * current[index]
                n[slot] = squared
