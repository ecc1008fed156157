"""Stochastic gradient descent of Bayesian personalized ranking."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.lanes import dot
from flyball.models.kernels.ridge import factorize, substitute
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f4x2, r_i4, r_i8, w_f4, w_f4x2, w_f8x2


@njit(
    void(r_i4, r_i4, r_f4, i8, i8, r_i4, i8, i8, i8, f8, f8, w_f4, w_f4x2, w_f4x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def rank_pairs(
    users,
    items,
    weights,
    first,
    last,
    part_items,
    part_first,
    part_last,
    seed,
    rate,
    reg,
    item_bias,
    user_factors,
    item_factors,
):
    """Visit the positives `[first, last)` in their order, each against one item drawn from its part. In place.

    `[first, last)` holds all of a user's positives in the part, one user after the other. If the drawn item is one of
    them, the positive is skipped. Steps are scaled by the positive's weight. Part: `part_items[part_first:part_last]`.
    `seed`: not 0.
    """
    side = user_factors.shape[1]
    lr, decay = np.float32(rate), np.float32(1.0 - rate * reg)
    owner = np.full(len(item_factors), -1, dtype=np.int32)
    choices = np.uint64(part_last - part_first)
    state = np.uint64(seed)
    current = np.int32(-1)
    for a in range(first, last):
        user, liked = users[a], items[a]
        if user != current:
            current = user
            b = a
            while b < last and users[b] == user:
                owner[items[b]] = user
                b += 1
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        other = part_items[part_first + np.int64(((state >> np.uint64(32)) * choices) >> np.uint64(32))]
        if owner[other] == user:
            continue
        p, q, r = user_factors[user], item_factors[liked], item_factors[other]
        margin = item_bias[liked] - item_bias[other] + dot(p, q) - dot(p, r)
        step = lr * weights[a] / (np.float32(1.0) + np.exp(margin))
        item_bias[liked] = decay * item_bias[liked] + step
        item_bias[other] = decay * item_bias[other] - step
        for f in range(side):
            x, y, z = p[f], q[f], r[f]
            p[f] = decay * x + step * (y - z)
            q[f] = decay * y + step * x
            r[f] = decay * z - step * x


@njit(void(r_i8, r_i4, r_f4, r_f4x2, w_f4x2), cache=True, nogil=True, error_model="numpy")
def profiles(indptr, items, weights, item_factors, out):
    """out[b] = sum of weight * factors over the row's positives / sqrt(sum of their weights); 0 for none."""
    for b in range(len(out)):
        row, total = out[b], np.float32(0.0)
        row[:] = np.float32(0.0)
        for h in range(indptr[b], indptr[b + 1]):
            weight = weights[h]
            if weight > 0:
                total += weight
                q = item_factors[items[h]]
                for f in range(len(row)):
                    row[f] += weight * q[f]
        if total > 0:
            scale = np.float32(1.0) / np.sqrt(total)
            for f in range(len(row)):
                row[f] *= scale


@njit(void(r_f4x2, r_f4x2, f8, w_f8x2), cache=True, nogil=True, error_model="numpy")
def linear_map(inputs, outputs, reg, mapped):
    """mapped = (F'F + reg * mean diagonal of F'F * I)^-1 F'P: the ridge regression of `outputs` P on `inputs` F."""
    side = inputs.shape[1]
    system = np.zeros((side, side))
    mapped[:] = 0.0
    for row in range(len(inputs)):
        x, y = inputs[row], outputs[row]
        for a in range(side):
            value, line, out = np.float64(x[a]), system[a], mapped[a]
            for b in range(side):
                line[b] += value * np.float64(x[b])
                out[b] += value * np.float64(y[b])
    ridge = 0.0
    for a in range(side):
        ridge += system[a, a] / side
    for a in range(side):
        system[a, a] += max(reg * ridge, 1e-12)
    factorize(system)
    column = np.empty(side)
    for b in range(side):
        for a in range(side):
            column[a] = mapped[a, b]
        substitute(system, column)
        for a in range(side):
            mapped[a, b] = column[a]


@njit(void(r_f4x2, r_f4x2, w_f4x2), cache=True, nogil=True)
def apply_map(inputs, mapped, out):
    """out = inputs times mapped, each row summed in the order of the factors."""
    for row in range(len(inputs)):
        x, y = inputs[row], out[row]
        y[:] = np.float32(0.0)
        for a in range(len(x)):
            value, line = x[a], mapped[a]
            for b in range(len(y)):
                y[b] += value * line[b]
