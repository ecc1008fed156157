"""Inverse of a symmetric positive definite matrix, with the same bits at any thread count (unlike LAPACK's).

Source: the sweep operator, Goodnight, "A Tutorial on the SWEEP Operator", The American Statistician 1979, by blocks.
"""

import numpy as np
from numba import njit, void

from flyball.models.kernels.signatures import f8, i8, r_f4, r_f8x2, r_i4, r_i8, w_f4x2, w_f8x2

SWEEP_BLOCK = 64  # a multiple of 4: pivots swept together
_STRIP = 512  # columns of 8 bytes: with it, four rows of the matrix and four of the panel fit in the first-level cache


@njit(void(r_i8, r_i4, r_f4, r_i8, r_i4, r_f4, f8, i8, i8, w_f8x2), cache=True, nogil=True)
def item_gramian(item_ptr, item_users, item_weights, user_ptr, user_items, user_weights, ridge, first, last, out):
    """Rows `[first, last)` of X' X + ridge I, from the columns and the rows of the sparse X (users, items)."""
    for i in range(first, last):
        row = out[i]
        row[:] = 0.0
        for a in range(item_ptr[i], item_ptr[i + 1]):
            user, weight = item_users[a], np.float64(item_weights[a])
            for b in range(user_ptr[user], user_ptr[user + 1]):
                row[user_items[b]] += weight * user_weights[b]
        row[i] += ridge


@njit(void(w_f8x2, i8, i8, w_f8x2, w_f8x2), cache=True, nogil=True, error_model="numpy")
def sweep_pivots(matrix, start, stop, panel, product):
    """Invert the pivot block; `panel` = its full rows of the matrix, `product` = inverse times panel."""
    n, size = len(matrix), stop - start
    for k in range(size):
        for j in range(n):
            panel[k, j] = matrix[start + k, j] if j >= start + k else matrix[j, start + k]
    pivots = np.empty((size, size), dtype=np.float64)
    for k in range(size):
        for j in range(size):
            pivots[k, j] = panel[k, start + j]
    for k in range(size):
        inverse = 1.0 / pivots[k, k]
        for i in range(size):
            if i != k:
                factor = pivots[i, k] * inverse
                for j in range(size):
                    if j != k:
                        pivots[i, j] -= factor * pivots[k, j]
                pivots[i, k] = factor
        for j in range(size):
            if j != k:
                pivots[k, j] *= inverse
        pivots[k, k] = -inverse
    for k in range(size):  # swept pivots hold minus the inverse
        row = product[k]
        row[:] = 0.0
        for m in range(size):
            factor, other = -pivots[k, m], panel[m]
            for j in range(n):
                row[j] += factor * other[j]
    for k in range(size):
        for j in range(n):
            if j >= stop:
                matrix[start + k, j] = product[k, j]
            elif j < start:
                matrix[j, start + k] = product[k, j]
            elif j >= start + k:
                matrix[start + k, j] = pivots[k, j - start]


@njit(cache=True, nogil=True)
def _subtract(matrix, i, panel, product, first, last):
    """Rows `[i, i + 4)`, columns `[first, last)` of the matrix -= product' panel."""
    width = last - first
    r, s, t, u = matrix[i, first:], matrix[i + 1, first:], matrix[i + 2, first:], matrix[i + 3, first:]
    for k in range(0, len(panel), 4):
        p0, p1, p2, p3 = panel[k, first:], panel[k + 1, first:], panel[k + 2, first:], panel[k + 3, first:]
        w0, w1, w2, w3 = product[k, i:], product[k + 1, i:], product[k + 2, i:], product[k + 3, i:]
        a0, a1, a2, a3 = w0[0], w1[0], w2[0], w3[0]
        b0, b1, b2, b3 = w0[1], w1[1], w2[1], w3[1]
        c0, c1, c2, c3 = w0[2], w1[2], w2[2], w3[2]
        d0, d1, d2, d3 = w0[3], w1[3], w2[3], w3[3]
        for j in range(width):
            x0, x1, x2, x3 = p0[j], p1[j], p2[j], p3[j]
            r[j] = r[j] - a0 * x0 - a1 * x1 - a2 * x2 - a3 * x3
            s[j] = s[j] - b0 * x0 - b1 * x1 - b2 * x2 - b3 * x3
            t[j] = t[j] - c0 * x0 - c1 * x1 - c2 * x2 - c3 * x3
            u[j] = u[j] - d0 * x0 - d1 * x1 - d2 * x2 - d3 * x3


@njit(void(w_f8x2, r_f8x2, r_f8x2, i8, i8, i8, i8), cache=True, nogil=True)
def sweep_others(matrix, panel, product, start, stop, first, last):
    """Update the row groups `[first, last)` of four rows each outside the swept block, upper triangle only."""
    n = len(matrix)
    for group in range(first, last):
        i = 4 * group
        if start <= i < stop:
            continue
        for left in range(i, n, _STRIP):
            right = min(left + _STRIP, n)
            if right <= start or left >= stop:
                _subtract(matrix, i, panel, product, left, right)
                continue
            if left < start:
                _subtract(matrix, i, panel, product, left, start)
            if right > stop:
                _subtract(matrix, i, panel, product, stop, right)


@njit(void(r_f8x2, i8, i8, w_f4x2), cache=True, nogil=True)
def ease_rows(swept, first, last, out):
    """Rows `[first, last)` of B = I - P diag(1 / diag P), P the inverse (minus the swept upper triangle)."""
    n = out.shape[1]
    for i in range(first, last):
        row = out[i]
        for j in range(n):
            row[j] = -(swept[i, j] if j >= i else swept[j, i]) / swept[j, j]
        row[i] = 0.0
