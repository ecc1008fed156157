"""Converts numbers of events to whole units."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def of_reals(start, values, per_unit, most, out, usable):
    """Convert to the nearest integer units, ties to even; returns whether all are at most `most` in size.

    Others become 0 in `out`; `usable`, unless empty, marks which are valid. `start`: of the piece.
    """
    all_fit, marks = True, len(usable) > 0
    for i in range(len(values)):
        units = np.rint(values[i] * per_unit)
        fits = abs(values[i] * per_unit) <= most  # false for NaN
        all_fit = all_fit and fits
        out[start + i] = np.int64(units) if fits else 0
        if marks:
            usable[start + i] = fits
    return all_fit
