"""Counting sort: stable sorting by small integers in one pass, several times faster than a comparison sort."""

import numpy as np
from numba import njit

from flyball.models.kernels.signatures import r_i4, r_i8


@njit([(r_i4, r_i8), (r_i8, r_i8)], cache=True, nogil=True)
def counting_order(keys, pointers):
    """The positions of `keys` in ascending, stable order. Key k starts at `pointers[k]` (see `row_pointers`)."""
    order = np.empty(len(keys), dtype=np.int64)
    free = pointers.copy()
    for index in range(len(keys)):
        key = keys[index]
        order[free[key]] = index
        free[key] += 1
    return order
