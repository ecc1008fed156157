"""Ridge regressions of items on the items of a block, from the sparse columns of the users' matrix."""

import numpy as np
from numba import njit, void

from flyball.models.kernels.ridge import factorize, substitute
from flyball.models.kernels.signatures import f8, i8, r_f4, r_i4, r_i8, w_f4x2, w_i4x2


@njit(void(r_i8, r_i4, r_i8, r_i8, r_i8, r_i4, r_f4, i8, f8, i8, i8, w_i4x2, w_f4x2), cache=True, nogil=True)
def block_weights(
    block_ptr, members, solved_ptr, solved, item_ptr, item_users, item_weights, users, l2, first, last, sources, weights
):
    """Blocks `[first, last)`: B[:, i] over the block's members for each of its solved items, as rows of item i.

    `solved`: positions in `members`. With P = (X'X + l2 I)^-1 over the members, B[j, i] = -P[j, i] / P[i, i]: the
    regression of i on the other members. Sums run over the users in their order. -1 after a row's last entry.
    """
    head = np.full(users, -1, dtype=np.int64)
    for block in range(first, last):
        start, stop = block_ptr[block], block_ptr[block + 1]
        size = stop - start
        entries = 0
        for p in range(start, stop):
            entries += item_ptr[members[p] + 1] - item_ptr[members[p]]
        before, column_of = np.empty(entries, dtype=np.int64), np.empty(entries, dtype=np.int64)
        value = np.empty(entries, dtype=np.float64)
        side = (size + 3) // 4 * 4
        matrix = np.zeros((side, side), dtype=np.float64)
        count = 0
        for p in range(size):
            item = members[start + p]
            for a in range(item_ptr[item], item_ptr[item + 1]):
                user, weight = item_users[a], np.float64(item_weights[a])
                at = head[user]
                while at >= 0:  # the user's earlier members
                    matrix[column_of[at], p] += weight * value[at]
                    at = before[at]
                matrix[p, p] += weight * weight
                before[count], column_of[count], value[count] = head[user], p, weight
                head[user] = count
                count += 1
        for p in range(size):
            item = members[start + p]
            for a in range(item_ptr[item], item_ptr[item + 1]):
                head[item_users[a]] = -1
        for p in range(side):
            matrix[p, p] += l2
        factorize(matrix)
        column = np.empty(side, dtype=np.float64)
        for s in range(solved_ptr[block], solved_ptr[block + 1]):
            own = solved[s]
            column[:] = 0.0
            column[own] = 1.0
            substitute(matrix, column)
            item, filled = members[start + own], 0
            for p in range(size):
                if p != own:
                    sources[item, filled], weights[item, filled] = members[start + p], -column[p] / column[own]
                    filled += 1
            for p in range(filled, sources.shape[1]):
                sources[item, p] = -1
