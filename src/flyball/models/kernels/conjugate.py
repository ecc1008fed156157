"""A few steps of conjugate gradient for each row's ridge regression: the fast half-step of implicit ALS.

Source: Takács, Pilászy, Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative
Filtering", RecSys 2011.
"""

import numpy as np
from numba import njit, void

from flyball.models.kernels.lanes import dot
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f4x2, r_i4, r_i8, w_f4x2

ONE, ZERO = np.float32(1.0), np.float32(0.0)


@njit(cache=True, nogil=True)
def _apply(base, ridge, factors, index, weights, scale, x, pull, out):
    """out = (base + ridge I) x + the sum of (scale * w * y'x - pull * (1 + scale * w)) y, four rows at a time.

    With `pull` 1 that is minus the residual, with 0 the image of a direction.
    """
    side, n = len(x), len(index)
    for a in range(side):
        out[a] = dot(base[a], x) + ridge * x[a]
    unrolled = n - n % 4
    for h in range(0, unrolled, 4):
        y0, y1, y2, y3 = factors[index[h]], factors[index[h + 1]], factors[index[h + 2]], factors[index[h + 3]]
        w0, w1, w2, w3 = scale * weights[h], scale * weights[h + 1], scale * weights[h + 2], scale * weights[h + 3]
        c0, c1 = w0 * dot(y0, x) - pull * (ONE + w0), w1 * dot(y1, x) - pull * (ONE + w1)
        c2, c3 = w2 * dot(y2, x) - pull * (ONE + w2), w3 * dot(y3, x) - pull * (ONE + w3)
        for a in range(side):
            out[a] = out[a] + c0 * y0[a] + c1 * y1[a] + c2 * y2[a] + c3 * y3[a]
    for h in range(unrolled, n):
        y, w = factors[index[h]], scale * weights[h]
        c = w * dot(y, x) - pull * (ONE + w)
        for a in range(side):
            out[a] += c * y[a]


@njit(
    void(r_i8, r_i4, r_f4, r_f4x2, r_f4x2, f8, f8, f8, f8, i8, i8, i8, w_f4x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def conjugate_rows(indptr, index, weights, factors, base, alpha, reg, frequency, exponent, steps, first, last, solved):
    """`steps` steps toward the x of `ridge_rows` (pull = 1 + alpha * w), from what `solved` holds."""
    side = factors.shape[1]
    residual = np.empty(side, dtype=np.float32)
    direction = np.empty(side, dtype=np.float32)
    image = np.empty(side, dtype=np.float32)
    scale = np.float32(alpha)
    for row in range(first, last):
        start, stop = indptr[row], indptr[row + 1]
        x = solved[row]
        if start == stop:
            x[:] = 0.0
            continue
        near, w = index[start:stop], weights[start:stop]
        total = 0.0
        for h in range(stop - start):
            total += w[h]
        ridge = np.float32(reg * (alpha * total + frequency) ** exponent)
        _apply(base, ridge, factors, near, w, scale, x, ONE, image)
        for a in range(side):
            residual[a] = -image[a]
        direction[:] = residual
        error = dot(residual, residual)
        for _ in range(steps):
            if error < 1e-20:
                break
            _apply(base, ridge, factors, near, w, scale, direction, ZERO, image)
            length = error / dot(direction, image)
            for a in range(side):
                x[a] += length * direction[a]
                residual[a] -= length * image[a]
            before, error = error, dot(residual, residual)
            turn = error / before
            for a in range(side):
                direction[a] = residual[a] + turn * direction[a]
