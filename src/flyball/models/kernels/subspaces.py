"""A half-step of ALS that solves some of a row's factors at a time."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.ridge import add_outer, factorize, substitute
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f4x2, r_f8x2, r_i4, r_i8, w_f4x2


@njit(void(r_i8, r_i4, r_f4, r_f4x2, r_f8x2, f8, f8, f8, f8, i8, i8, i8, w_f4x2), cache=True, nogil=True)
def subspace_rows(indptr, index, weights, factors, base, scale, reg, frequency, exponent, width, first, last, solved):
    """For rows `[first, last)` one Newton step on each `width` factors in turn, from what `solved` holds.

    The objective is that of `ridge_rows` with pulls 1 + scale * w; the predictions are kept up to date between steps.
    A row whose weights are all 0 becomes zero. `width` and the number of factors are multiples of 4.
    """
    side = factors.shape[1]
    x = np.empty(side, dtype=np.float64)
    longest = 0
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    predicted = np.empty(longest, dtype=np.float64)
    rows, every = np.empty((longest, width), dtype=np.float32), np.arange(longest).astype(np.int32)
    columns = np.empty((width, longest), dtype=np.float32)
    full_matrix, line = np.empty((width, width), dtype=np.float64), np.empty(width, dtype=np.float64)
    for row in range(first, last):
        start, stop = indptr[row], indptr[row + 1]
        out, total, n = solved[row], 0.0, stop - start
        for h in range(start, stop):
            total += weights[h]
        if not total > 0.0:
            out[:] = 0.0
            continue
        ridge = reg * (scale * total + frequency) ** exponent
        predicted[:n] = 0.0
        for a in range(side):
            x[a] = out[a]
        for h in range(n):
            y, dot = factors[index[start + h]], 0.0
            for a in range(side):
                dot += x[a] * y[a]
            predicted[h] = dot
        for left in range(0, side, width):
            size = min(width, side - left)
            matrix, step = full_matrix if size == width else np.empty((size, size), dtype=np.float64), line[:size]
            for a in range(size):
                matrix[a] = base[left + a, left : left + size]
                matrix[a, a] += ridge
                step[a] = ridge * x[left + a]
            for b in range(side):
                pull, own = x[b], base[b, left : left + size]  # base is symmetric
                for a in range(size):
                    step[a] += pull * own[a]
            near = rows if size == width else np.empty((longest, size), dtype=np.float32)
            for h in range(n):
                y, own = factors[index[start + h], left : left + size], near[h]
                weight = np.float64(weights[start + h])
                pull = scale * weight * predicted[h] - (1.0 + scale * weight if weight > 0.0 else 0.0)
                for a in range(size):
                    own[a] = y[a]
                    columns[a, h] = y[a]
                    step[a] += pull * y[a]
            add_outer(matrix, near, every[:n], weights[start:stop], scale)
            factorize(matrix)
            substitute(matrix, step)
            for a in range(size):
                back, own = step[a], columns[a]
                x[left + a] -= back
                for h in range(n):
                    predicted[h] -= back * own[h]
        for a in range(side):
            out[a] = x[a]
