"""Stochastic gradient descent of biased matrix factorisation."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.lanes import dot
from flyball.models.kernels.signatures import f8, r_f4, r_i4, r_i8, w_f4, w_f4x2


@njit(
    void(r_i8, r_i4, r_f4, r_i4, f8, f8, f8, w_f4, w_f4, w_f4x2, w_f4x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def descend(user_ptr, items, ratings, order, mean, rate, reg, user_bias, item_bias, user_factors, item_factors):
    """One pass over all ratings: the users in `order`, each one's ratings in theirs. In place."""
    side = user_factors.shape[1]
    centre, lr, decay = np.float32(mean), np.float32(rate), np.float32(1.0 - rate * reg)
    for at in range(len(order)):
        user = order[at]
        p = user_factors[user]
        for a in range(user_ptr[user], user_ptr[user + 1]):
            item = items[a]
            q = item_factors[item]
            error = ratings[a] - (centre + user_bias[user] + item_bias[item] + dot(p, q))
            step = lr * error
            user_bias[user] = decay * user_bias[user] + step
            item_bias[item] = decay * item_bias[item] + step
            for f in range(side):
                before = p[f]
                p[f] = decay * before + step * q[f]
                q[f] = decay * q[f] + step * before
