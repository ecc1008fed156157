"""count, sum, mean, std, target and decayed of a key from its rows and tiles, by exact sums."""

import math

import numpy as np
from numba import njit

from flyball.features.online.kernels.int128 import LOW_60, nearest_double, plus, spread, times
from flyball.features.online.kernels.state import (
    ABSENT,
    DOUBLE,
    IN_EXACT,
    IS_COUNT,
    IS_MEAN,
    IS_STD,
    IS_SUM,
    IS_TARGET,
    MISSING,
    NONE,
    SECTION,
    WHOLE,
    WITH_SQUARES,
    WITH_SUM,
    cell,
)
from flyball.features.online.kernels.tiles import add_value


@njit(cache=True, nogil=True)
def added(plan, reals, p, part, data, rows, n_rows, width, tiles, n_held, start, end, digits, more_digits):
    """count, sum, mean, std and target, by `formulas.added` of exact sums."""
    op, column, kind, tile, per_unit = plan[part], plan[part + 2], plan[part + 4], plan[part + 6], plan[part + 8]
    squares = op == IS_STD
    scratch = more_digits  # [index, n, sum, sum, squares...] of the rows, as a tile
    scratch[:7] = 0
    mask = 0 if op == IS_COUNT or column < 0 else WITH_SUM | (WITH_SQUARES if squares else 0)
    for r in range(n_rows):
        row = rows + r * width
        if start <= data[row] < end:
            value = cell(data, row, column)
            if value != MISSING:
                add_value(scratch, 0, mask, data[row], value)
    if kind == IN_EXACT:
        i = n_held
        while i > 0 and data[tiles + 2 * (i - 1)] >= start:
            i -= 1
            add_value(scratch, 0, mask, data[tiles + 2 * i], data[tiles + 2 * i + 1])
    n, high, low, q2, q1, q0 = scratch[1], scratch[2], scratch[3], scratch[4], scratch[5], scratch[6]
    if kind != IN_EXACT:
        lowest = start // tile if tile else np.int64(NONE)
        section = plan[5] + plan[part + 3] * SECTION
        size, held_mask = plan[section + 7], plan[section + 6]
        at_squares = 2 + (2 if held_mask & WITH_SUM else 0)
        i = n_held
        while i > 0 and data[tiles + (i - 1) * size] >= lowest:
            i -= 1
            tile_at = tiles + i * size
            n += data[tile_at + 1]
            if mask:
                high, low = plus(high, low, data[tile_at + 2], data[tile_at + 3])
                if squares:
                    q0 += data[tile_at + at_squares + 2]
                    q1 += data[tile_at + at_squares + 1] + (q0 >> 60)
                    q0 &= LOW_60
                    q2 += data[tile_at + at_squares] + (q1 >> 60)
                    q1 &= LOW_60
    if op == IS_COUNT:
        return WHOLE, n, 0.0
    if column < 0:
        low, q0 = n, n
    if op == IS_TARGET:
        return DOUBLE, 0, (nearest_double(high, low, digits) / per_unit + reals[p, 0]) / (n + reals[p, 1])
    if n == 0 or (squares and n < 2):
        return ABSENT, 0, 0.0
    if op == IS_SUM:
        return DOUBLE, 0, nearest_double(high, low, digits) / per_unit
    if op == IS_MEAN:
        return DOUBLE, 0, nearest_double(high, low, digits) / float(n * per_unit)
    return DOUBLE, 0, math.sqrt(spread(n, high, low, q2, q1, q0, digits, more_digits) / float(n * (n - 1))) / per_unit


@njit(cache=True, nogil=True)
def decayed(plan, part, data, rows, n_rows, width, tiles, n_held, start, end, digits):
    column, tile, per_unit, weights = plan[part + 2], plan[part + 6], plan[part + 8], plan[part + 10]
    section = plan[5] + plan[part + 3] * SECTION
    size = plan[section + 7]
    now, lowest = end // tile, start // tile
    n, high, low = np.int64(0), np.int64(0), np.int64(0)
    for r in range(n_rows):
        row = rows + r * width
        if start <= data[row] < end:
            value = cell(data, row, column)
            if value != MISSING:
                n += 1
                more_high, more_low = times(value >> 60, value & LOW_60, plan[weights + now - data[row] // tile])
                high, low = plus(high, low, more_high, more_low)
    i = n_held
    while i > 0 and data[tiles + (i - 1) * size] >= lowest:
        i -= 1
        tile_at = tiles + i * size
        n += data[tile_at + 1]
        weight = plan[weights + now - data[tile_at]]
        if column < 0:
            more_high, more_low = times(np.int64(0), data[tile_at + 1], weight)
        else:
            more_high, more_low = times(data[tile_at + 2], data[tile_at + 3], weight)
        high, low = plus(high, low, more_high, more_low)
    if n == 0 and plan[part + 14]:
        return ABSENT, 0, 0.0
    return DOUBLE, 0, nearest_double(high, low, digits) / (float(plan[weights - 1]) * per_unit)
