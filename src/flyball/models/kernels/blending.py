"""Adding up scores of several models on one scale."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.signatures import f8, r_f4x2, w_f4x2


@njit(void(r_f4x2, f8, w_f4x2, w_f4x2), cache=True, nogil=True, error_model="numpy")
def add_standardized(scores, weight, total, known):
    """total += weight * z, z = (score - mean) / sd over the row's finite scores; for -inf the row's lowest z.

    `known` becomes 0 where the score is finite (and stays as it is elsewhere). A row without a finite score, or with
    all of them equal, adds nothing.
    """
    minus_infinity = np.float32(-np.inf)
    for b in range(len(scores)):
        row, out = scores[b], total[b]
        count, mean, lowest = 0, 0.0, np.inf
        for i in range(len(row)):
            if row[i] > minus_infinity:
                count += 1
                mean += row[i]
                lowest = min(lowest, np.float64(row[i]))
                known[b, i] = np.float32(0.0)
        if count == 0:
            continue
        mean /= count
        square = 0.0
        for i in range(len(row)):
            if row[i] > minus_infinity:
                square += (row[i] - mean) ** 2
        scale = 1.0 / np.sqrt(square / count) if square > 0.0 else 0.0
        for i in range(len(row)):
            score = np.float64(row[i]) if row[i] > minus_infinity else lowest
            out[i] += np.float32(weight * (score - mean) * scale)
