"""A few steps of conjugate gradient for each row's ridge regression: the fast half-step of implicit ALS.

Source: Takács, Pilászy, Tikk, "Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative
Filtering", RecSys 2011.
"""

import numpy as np
from numba import njit, void

from flyball.models.kernels.lanes import dot
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f4x2, r_i4, r_i8, w_f4x2


@njit(cache=True, nogil=True)
def _apply(base, ridge, factors, index, weights, scale, x, out):
    """out = (base + ridge I + sum of scale * w * y y') x."""
    side = len(x)
    for a in range(side):
        out[a] = dot(base[a], x) + ridge * x[a]
    for h in range(len(index)):
        y = factors[index[h]]
        c = scale * weights[h] * dot(y, x)
        for a in range(side):
            out[a] += c * y[a]


@njit(
    void(r_i8, r_i4, r_f4, r_f4x2, r_f4x2, f8, f8, f8, f8, i8, i8, i8, w_f4x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def conjugate_rows(indptr, index, weights, factors, base, alpha, reg, frequency, exponent, steps, first, last, solved):
    """`steps` steps towards the x of `ridge_rows` (pull = 1 + alpha * w), from what `solved` holds."""
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
        _apply(base, ridge, factors, near, w, scale, x, image)
        for a in range(side):
            residual[a] = -image[a]
        for h in range(stop - start):
            y, pull = factors[near[h]], np.float32(1.0) + scale * w[h]
            for a in range(side):
                residual[a] += pull * y[a]
        direction[:] = residual
        error = dot(residual, residual)
        for _ in range(steps):
            if error < 1e-20:
                break
            _apply(base, ridge, factors, near, w, scale, direction, image)
            length = error / dot(direction, image)
            for a in range(side):
                x[a] += length * direction[a]
                residual[a] -= length * image[a]
            before, error = error, dot(residual, residual)
            turn = error / before
            for a in range(side):
                direction[a] = residual[a] + turn * direction[a]
