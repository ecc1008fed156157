"""Stochastic gradient descent of biased matrix factorization."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.lanes import dot
from flyball.models.kernels.signatures import f8, i8, r_f4, r_f4x2, r_i4, r_i8, w_f4, w_f4x2


@njit(
    void(r_i4, r_i4, r_f4, i8, i8, f8, f8, f8, w_f4, w_f4, w_f4x2, w_f4x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def descend(users, items, ratings, first, last, mean, rate, reg, user_bias, item_bias, user_factors, item_factors):
    """Visit the ratings `[first, last)` in their order. In place."""
    side = user_factors.shape[1]
    center, lr, decay = np.float32(mean), np.float32(rate), np.float32(1.0 - rate * reg)
    for a in range(first, last):
        user, item = users[a], items[a]
        p, q = user_factors[user], item_factors[item]
        error = ratings[a] - (center + user_bias[user] + item_bias[item] + dot(p, q))
        step = lr * error
        user_bias[user] = decay * user_bias[user] + step
        item_bias[item] = decay * item_bias[item] + step
        for f in range(side):
            before = p[f]
            p[f] = decay * before + step * q[f]
            q[f] = decay * q[f] + step * before


@njit(
    void(r_i8, r_i4, r_f4, r_i4, f8, f8, f8, w_f4, w_f4, w_f4x2, w_f4x2, w_f4x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def descend_implicit(
    user_ptr, items, ratings, order, mean, rate, reg, user_bias, item_bias, user_factors, item_factors, implicit
):
    """One pass of SVD++: the users in `order`; each one's sum of `implicit` is fixed while its ratings are visited."""
    side = user_factors.shape[1]
    center, lr, decay = np.float32(mean), np.float32(rate), np.float32(1.0 - rate * reg)
    total = np.empty(side, dtype=np.float32)
    gradient = np.empty(side, dtype=np.float32)
    both = np.empty(side, dtype=np.float32)
    for at in range(len(order)):
        user = order[at]
        start, stop = user_ptr[user], user_ptr[user + 1]
        if start == stop:
            continue
        norm = np.float32(1.0 / np.sqrt(stop - start))
        total[:], gradient[:] = np.float32(0.0), np.float32(0.0)
        for a in range(start, stop):
            y = implicit[items[a]]
            for f in range(side):
                total[f] += norm * y[f]
        p = user_factors[user]
        for a in range(start, stop):
            item = items[a]
            q = item_factors[item]
            for f in range(side):
                both[f] = p[f] + total[f]
            error = ratings[a] - (center + user_bias[user] + item_bias[item] + dot(both, q))
            step = lr * error
            user_bias[user] = decay * user_bias[user] + step
            item_bias[item] = decay * item_bias[item] + step
            for f in range(side):
                before = q[f]
                gradient[f] += step * before
                q[f] = decay * before + step * both[f]
                p[f] = decay * p[f] + step * before
        kept = np.float32(np.float64(decay) ** (stop - start))
        for a in range(start, stop):
            y = implicit[items[a]]
            for f in range(side):
                y[f] = kept * y[f] + norm * gradient[f]


@njit(void(r_i8, r_i4, r_f4, r_f4x2, r_f4x2, w_f4x2, w_f4), cache=True, nogil=True, error_model="numpy")
def implicit_sums(indptr, items, is_rated, implicit, item_factors, sums, explained):
    """sums[b] = |N|^-1/2 sum of `implicit` over the given positions N of row b; explained = q . sums, a position."""
    rows, side = sums.shape
    for b in range(rows):
        out, count = sums[b], np.float32(0.0)
        out[:] = np.float32(0.0)
        for h in range(indptr[b], indptr[b + 1]):
            count += is_rated[h]
            if is_rated[h] > 0:
                y = implicit[items[h]]
                for f in range(side):
                    out[f] += y[f]
        if count > 0:
            norm = np.float32(1.0) / np.sqrt(count)
            for f in range(side):
                out[f] *= norm
        for h in range(indptr[b], indptr[b + 1]):
            q, fit = item_factors[items[h]], np.float32(0.0)
            for f in range(side):
                fit += q[f] * out[f]
            explained[h] = fit
