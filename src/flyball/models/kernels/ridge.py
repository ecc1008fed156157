"""Weighted ridge regressions, one small system for each row: half-steps of ALS, and the fold-in of users."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.signatures import f8, i8, r_f4, r_f4x2, r_f8x2, r_i4, r_i8, w_f4x2, w_f8, w_f8x2


@njit(void(w_f8x2, r_f4x2, r_i4, r_f4, f8), cache=True, nogil=True)
def add_outer(matrix, factors, index, weights, scale):
    """Upper triangle of `matrix` += sum of scale * weight * y y' over the rows `index` of `factors`, in their order.

    Works on blocks of four rows from the diagonal on, so the side of the matrix must be a multiple of 4.
    """
    side, n = len(matrix), len(index)
    unrolled = n - n % 4
    for h in range(0, unrolled, 4):
        y0, y1, y2, y3 = factors[index[h]], factors[index[h + 1]], factors[index[h + 2]], factors[index[h + 3]]
        w0, w1, w2, w3 = scale * weights[h], scale * weights[h + 1], scale * weights[h + 2], scale * weights[h + 3]
        for a in range(0, side, 4):
            p0, p1, p2, p3 = y0[a:], y1[a:], y2[a:], y3[a:]
            r, s, t, u = matrix[a, a:], matrix[a + 1, a:], matrix[a + 2, a:], matrix[a + 3, a:]
            a0, a1, a2, a3 = w0 * p0[0], w1 * p1[0], w2 * p2[0], w3 * p3[0]
            b0, b1, b2, b3 = w0 * p0[1], w1 * p1[1], w2 * p2[1], w3 * p3[1]
            c0, c1, c2, c3 = w0 * p0[2], w1 * p1[2], w2 * p2[2], w3 * p3[2]
            d0, d1, d2, d3 = w0 * p0[3], w1 * p1[3], w2 * p2[3], w3 * p3[3]
            for b in range(side - a):
                x0, x1, x2, x3 = np.float64(p0[b]), np.float64(p1[b]), np.float64(p2[b]), np.float64(p3[b])
                r[b] = r[b] + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                s[b] = s[b] + b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
                t[b] = t[b] + c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
                u[b] = u[b] + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3
    for h in range(unrolled, n):
        y, weight = factors[index[h]], scale * weights[h]
        for a in range(0, side):
            p, r = y[a:], matrix[a, a:]
            c = weight * p[0]
            for b in range(side - a):
                r[b] = r[b] + c * np.float64(p[b])


@njit(void(w_f8x2), cache=True, nogil=True, error_model="numpy")
def factorize(matrix):
    """Cholesky in place: the upper triangle of a positive definite matrix becomes U with U' U = matrix."""
    side = len(matrix)
    for first in range(0, side, 4):
        length = side - first
        for k in range(first, first + 4):
            row = matrix[k, first:]
            scale = 1.0 / np.sqrt(row[k - first])
            for j in range(length):
                row[j] *= scale
            for i in range(k + 1, first + 4):
                t, under = row[i - first], matrix[i, first:]
                for j in range(length):
                    under[j] -= t * row[j]
        for i in range(first + 4, side, 4):
            r0, r1, r2, r3 = matrix[first, i:], matrix[first + 1, i:], matrix[first + 2, i:], matrix[first + 3, i:]
            a, b, c, d = matrix[i, i:], matrix[i + 1, i:], matrix[i + 2, i:], matrix[i + 3, i:]
            a0, a1, a2, a3 = r0[0], r1[0], r2[0], r3[0]
            b0, b1, b2, b3 = r0[1], r1[1], r2[1], r3[1]
            c0, c1, c2, c3 = r0[2], r1[2], r2[2], r3[2]
            d0, d1, d2, d3 = r0[3], r1[3], r2[3], r3[3]
            for j in range(side - i):
                x0, x1, x2, x3 = r0[j], r1[j], r2[j], r3[j]
                a[j] = a[j] - a0 * x0 - a1 * x1 - a2 * x2 - a3 * x3
                b[j] = b[j] - b0 * x0 - b1 * x1 - b2 * x2 - b3 * x3
                c[j] = c[j] - c0 * x0 - c1 * x1 - c2 * x2 - c3 * x3
                d[j] = d[j] - d0 * x0 - d1 * x1 - d2 * x2 - d3 * x3


@njit(void(w_f8x2, w_f8), cache=True, nogil=True, error_model="numpy")
def substitute(upper, right):
    """Solve U' U x = right in place, U from `factorize`."""
    side = len(upper)
    for k in range(side):
        right[k] /= upper[k, k]
        t, row, later = right[k], upper[k, k + 1 :], right[k + 1 :]
        for j in range(side - k - 1):
            later[j] -= t * row[j]
    for i in range(side - 1, -1, -1):
        total, row, later = right[i], upper[i, i + 1 :], right[i + 1 :]
        for j in range(side - i - 1):
            total -= row[j] * later[j]
        right[i] = total / upper[i, i]


@njit(void(r_i8, r_i4, r_f4, r_f4, r_f4x2, r_f8x2, f8, f8, f8, f8, i8, i8, w_f4x2), cache=True, nogil=True)
def ridge_rows(indptr, index, weights, pulls, factors, base, scale, reg, frequency, exponent, first, last, solved):
    """For rows `[first, last)` solve (base + sum of scale * w * y y' + r I) x = sum of pull * y, over the positions.

    r = reg * (scale * sum of w + frequency) ** exponent. A row whose weights are all 0 becomes zero.
    `base` (factors, factors) is symmetric, the number of factors a multiple of 4.
    """
    side = factors.shape[1]
    matrix = np.empty((side, side), dtype=np.float64)
    right = np.empty(side, dtype=np.float64)
    for row in range(first, last):
        start, stop = indptr[row], indptr[row + 1]
        total = 0.0
        for h in range(start, stop):
            total += weights[h]
        out = solved[row]
        if not total > 0.0:
            out[:] = 0.0
            continue
        matrix[:] = base
        right[:] = 0.0
        add_outer(matrix, factors, index[start:stop], weights[start:stop], scale)
        for h in range(start, stop):
            pull, y = np.float64(pulls[h]), factors[index[h]]
            for a in range(side):
                right[a] += pull * np.float64(y[a])
        ridge = reg * (scale * total + frequency) ** exponent
        for a in range(side):
            matrix[a, a] += ridge
        factorize(matrix)
        substitute(matrix, right)
        for a in range(side):
            out[a] = right[a]
