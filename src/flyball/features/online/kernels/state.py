"""The online state of a key as integers: the meaning of its words and of those of a plan. Layout: see `layout`."""

import numpy as np
from numba import njit

MISSING = -(1 << 63)
NONE = -(1 << 62)
"""A time before all others."""

HEADER = 5
WORDS, HORIZON, NEWEST, BUCKET, LIMIT = 0, 1, 2, 3, 4

STREAM, SECTION, PART = 3, 8, 15
TILES, TOP, DISTINCT = 0, 1, 2
WITH_SUM, WITH_SQUARES, WITH_MIN, WITH_MAX, WITH_FIRST = 1, 2, 4, 8, 16
(
    IS_COUNT,
    IS_SUM,
    IS_MEAN,
    IS_STD,
    IS_TARGET,
    IS_DECAYED,
    IS_MIN,
    IS_MAX,
    IS_FIRST,
    IS_LAST,
    IS_LAST_N,
    IS_DISTINCT,
) = range(12)
IN_TILES, IN_EXACT, IN_LIFETIME = 0, 1, 2
ABSENT, WHOLE, DOUBLE, YES_NO, TEXT, LIST, OBJECT = 0, 1, 2, 3, 4, 5, 6


@njit(cache=True, nogil=True)
def cell(data, row, column):
    return data[row + 1 + column] if column >= 0 else np.int64(1)


@njit(cache=True, nogil=True)
def copy_words(source, first, n, out, w):
    """Copy `n` words of `source` from `first` on to `out` from `w` on; returns the end.

    It is a loop because assignments of slices take seconds longer to compile and are not faster for few words.
    """
    for i in range(n):
        out[w + i] = source[first + i]
    return w + n


@njit(cache=True, nogil=True)
def first_from(data, first, n, width, least):
    """The first row whose first word is at least `least`; rows are ascending by it."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if data[first + middle * width] < least:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def cells(plan, kinds, words, kind, out):
    """The positions of a state's values whose column in `kinds` (streams, columns) is `kind`; returns their count."""
    n = 0
    position = HEADER
    for s in range(plan[0]):
        columns = plan[plan[4] + s * STREAM]
        for r in range(words[position]):
            for column in range(columns):
                if kinds[s, column] == kind:
                    offset = position + 1 + r * (1 + columns) + 1 + column
                    if words[offset] != MISSING:
                        out[n] = offset
                        n += 1
        position += 1 + words[position] * (1 + columns)
    for c in range(plan[1]):
        section = plan[5] + c * SECTION
        column, width = plan[section + 2], plan[section + 7]
        if column >= 0 and kinds[plan[section + 1], column] == kind:
            for i in range(words[position]):
                row = position + 1 + i * width
                if plan[section] == TOP:
                    out[n] = row + 1
                    n += 1
                elif (
                    plan[section] == TILES
                ):  # of what is not added up a tile holds the first alone: [index, n, at, value]
                    out[n] = row + 3
                    n += 1
        position += 1 + words[position] * width
    return n
