"""Stable sorting by small whole numbers in one pass over them: several times faster than comparing."""

import numpy as np
from numba import njit

from flyball.models.kernels.signatures import r_i4, r_i8


@njit([(r_i4, r_i8), (r_i8, r_i8)], cache=True, nogil=True)
def counting_order(keys, pointers):
    """Places of `keys` in rising order, equal ones as they come. Key k starts at `pointers[k]` (as `row_pointers`)."""
    order = np.empty(len(keys), dtype=np.int64)
    free = pointers.copy()
    for index in range(len(keys)):
        key = keys[index]
        order[free[key]] = index
        free[key] += 1
    return order
