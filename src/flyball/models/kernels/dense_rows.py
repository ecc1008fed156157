"""The sum of a history's rows of a dense item matrix."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.signatures import r_f4, r_f4x2, r_i4, r_i8, w_f4x2


@njit(void(r_f4x2, r_i4, r_i4, r_i8, r_i4, r_f4, w_f4x2), cache=True, nogil=True)
def sum_rows(matrix, kept, row_of, indptr, history, weights, scores):
    """scores[b, kept[m]] = sum over the history of weight * matrix[place[item], m], in the history's order.

    `kept` (side,): the items the matrix knows; `row_of` (items,): their row, -1 for others. -inf for every other item,
    and throughout a row whose history holds no known item of positive weight.
    """
    side = len(kept)
    total = np.empty(side, dtype=np.float32)
    rows = np.empty(len(history), dtype=np.int64)
    factors = np.empty(len(history), dtype=np.float32)
    for b in range(scores.shape[0]):
        out = scores[b]
        out[:] = np.float32(-np.inf)
        n = 0
        for h in range(indptr[b], indptr[b + 1]):
            if weights[h] > 0 and row_of[history[h]] >= 0:
                rows[n], factors[n] = row_of[history[h]], weights[h]
                n += 1
        if n == 0:
            continue
        total[:] = 0.0
        fours = n - n % 4
        for h in range(0, fours, 4):
            w0, w1, w2, w3 = factors[h], factors[h + 1], factors[h + 2], factors[h + 3]
            r0, r1, r2, r3 = matrix[rows[h]], matrix[rows[h + 1]], matrix[rows[h + 2]], matrix[rows[h + 3]]
            for m in range(side):
                total[m] = total[m] + w0 * r0[m] + w1 * r1[m] + w2 * r2[m] + w3 * r3[m]
        for h in range(fours, n):
            weight, row = factors[h], matrix[rows[h]]
            for m in range(side):
                total[m] += weight * row[m]
        for m in range(side):
            out[kept[m]] = total[m]
