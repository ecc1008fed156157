"""The features of keys at one time, from their online states."""

import numpy as np
from numba import njit

from flyball.features.online.kernels.int128 import DIGITS
from flyball.features.online.kernels.select import different, extreme, extreme_of_rows, last_n
from flyball.features.online.kernels.state import (
    ABSENT,
    DOUBLE,
    HEADER,
    HORIZON,
    IN_EXACT,
    IN_TILES,
    IS_DECAYED,
    IS_DISTINCT,
    IS_LAST,
    IS_LAST_N,
    IS_MIN,
    MISSING,
    NONE,
    PART,
    SECTION,
    STREAM,
    cell,
    first_from,
)
from flyball.features.online.kernels.sums import added, decayed


@njit(cache=True, nogil=True)
def read(plan, reals, data, starts, at_us, bits, tags, lists):
    """Compute all features of keys at one time: (first time that may be queried, count of values above max_events).

    `bits` (keys, features): integers, the bits of doubles, ranks of texts, or lengths of lists; `tags`: their types.
    `lists` (keys, width): the elements of lists. A key without a state has no events.
    """
    streams, sections, features = plan[0], plan[1], plan[2]
    rows_at, rows_n = np.zeros(streams, dtype=np.int64), np.zeros(streams, dtype=np.int64)
    held_at, held_n = np.zeros(sections, dtype=np.int64), np.zeros(sections, dtype=np.int64)
    doubles = bits.view(np.float64)
    digits, more_digits = np.zeros(DIGITS, dtype=np.int64), np.zeros(DIGITS, dtype=np.int64)
    allowed, beyond = np.int64(NONE), 0
    for k in range(len(starts) - 1):
        if starts[k + 1] > starts[k]:
            allowed = max(allowed, data[starts[k] + HORIZON])
            if allowed > at_us:
                return allowed, beyond
            position = starts[k] + HEADER
            for s in range(streams):
                rows_at[s], rows_n[s] = position + 1, data[position]
                position += 1 + data[position] * (1 + plan[plan[4] + s * STREAM])
            for c in range(sections):
                held_at[c], held_n[c] = position + 1, data[position]
                position += 1 + data[position] * plan[plan[5] + c * SECTION + 7]
        else:
            rows_n[:] = 0
            held_n[:] = 0
        for f in range(features):
            part = plan[plan[6] + 2 * f]
            lower = plan[plan[6] + 2 * f + 1]
            tag, integer, double = _part(
                plan, reals, part, data, rows_at, rows_n, held_at, held_n, at_us, lists, k, digits, more_digits
            )
            over = tag == ABSENT and integer
            if lower >= 0:
                below, whole_below, double_below = _part(
                    plan, reals, lower, data, rows_at, rows_n, held_at, held_n, at_us, lists, k, digits, more_digits
                )
                over = over or (below == ABSENT and whole_below)
                top = double if tag == DOUBLE else float(integer)
                bottom = double_below if below == DOUBLE else float(whole_below)
                if tag == ABSENT or below == ABSENT or bottom == 0.0:
                    tag = ABSENT
                else:
                    tag, double = DOUBLE, top / bottom
            tags[k, f] = tag
            if over:
                beyond += 1
            if tag == DOUBLE:
                doubles[k, f] = double
            else:
                bits[k, f] = integer if tag != ABSENT else 0
    return allowed, beyond


@njit(cache=True, nogil=True)
def _part(plan, reals, p, data, rows_at, rows_n, held_at, held_n, at_us, lists, k, digits, more_digits):
    """One aggregate of one key: (type, integer, double); with more than max_events events it is missing, with a 1."""
    part = plan[8] + p * PART
    op, s, column, c, kind = plan[part], plan[part + 1], plan[part + 2], plan[part + 3], plan[part + 4]
    end = at_us - plan[plan[4] + s * STREAM + 1]
    tile, start = plan[part + 6], np.int64(NONE)
    if kind == IN_TILES:
        start = (end - plan[part + 5]) // tile * tile
    elif kind == IN_EXACT:
        start = end - plan[part + 5]
    width = 1 + plan[plan[4] + s * STREAM]
    if kind == IN_EXACT:
        n = _count(data, rows_at[s], rows_n[s], width, column, start, end)
        exact = plan[part + 9]
        if n + held_n[exact] - first_from(data, held_at[exact], held_n[exact], 2, start) > plan[part + 7]:
            return ABSENT, 1, 0.0
    if op == IS_LAST_N:
        return last_n(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end, lists, k)
    if op == IS_DISTINCT:
        return different(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end)
    if op == IS_LAST or (kind == IN_EXACT and op >= IS_MIN):
        return extreme_of_rows(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end)
    if op >= IS_MIN:
        return extreme(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end)
    if op == IS_DECAYED:
        return decayed(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end, digits)
    return added(
        plan, reals, p, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end, digits, more_digits
    )


@njit(cache=True, nogil=True)
def _count(data, first, n, width, column, start, end):
    count = 0
    for r in range(n):
        row = first + r * width
        if start <= data[row] < end and cell(data, row, column) != MISSING:
            count += 1
    return count
