"""Values from the rows and sections of a key: last, min, max, first, the last n, and the count of distinct ones."""

import numpy as np
from numba import njit

from flyball.features.online.kernels.state import (
    ABSENT,
    DOUBLE,
    IS_FIRST,
    IS_LAST,
    IS_MAX,
    IS_MIN,
    LIST,
    MISSING,
    NONE,
    SECTION,
    WHOLE,
    WITH_MAX,
    WITH_MIN,
    WITH_SQUARES,
    WITH_SUM,
    cell,
    first_from,
)
from flyball.features.online.kernels.tiles import by_time_and_value, stable_order


@njit(cache=True, nogil=True)
def _seen_as(plan, part, value):
    """A value in the type of its field."""
    kind = plan[part + 11]
    if kind == DOUBLE:
        return DOUBLE, np.int64(0), float(value) / plan[part + 8]
    return kind, value, 0.0


@njit(cache=True, nogil=True)
def extreme_of_rows(plan, part, data, rows, n_rows, width, tiles, n_held, start, end):
    """last of any window; min, max and first of an exact window: over rows and stored [at, value]."""
    op, column = plan[part], plan[part + 2]
    has_value = False
    best_at, best = np.int64(0), np.int64(0)
    for r in range(n_rows + n_held):
        if r < n_rows:
            row = rows + r * width
            at, value = data[row], cell(data, row, column)
        else:
            row = tiles + 2 * (n_held - 1 - (r - n_rows))
            at, value = data[row], data[row + 1]
            if at < start or (op == IS_LAST and has_value and at < best_at):
                break
        if at < start or at >= end or value == MISSING:
            continue
        better = not has_value
        if has_value and op == IS_MIN:
            better = value < best
        elif has_value and op == IS_MAX:
            better = value > best
        elif has_value and op == IS_FIRST:
            better = at < best_at or (at == best_at and value < best)
        elif has_value:
            better = at > best_at or (at == best_at and value > best)
        if better:
            has_value, best_at, best = True, at, value
    if not has_value:
        return ABSENT, np.int64(0), 0.0
    return _seen_as(plan, part, best)


@njit(cache=True, nogil=True)
def extreme(plan, part, data, rows, n_rows, width, tiles, n_held, start, end):
    """min, max and first over rows and tiles."""
    op, column, tile = plan[part], plan[part + 2], plan[part + 6]
    section = plan[5] + plan[part + 3] * SECTION
    mask, size = plan[section + 6], plan[section + 7]
    offset = 2 + (2 if mask & WITH_SUM else 0) + (3 if mask & WITH_SQUARES else 0)
    if op != IS_MIN and mask & WITH_MIN:
        offset += 1
    if op == IS_FIRST and mask & WITH_MAX:
        offset += 1
    lowest = start // tile if tile else np.int64(NONE)
    has_value = False
    best_at, best = np.int64(0), np.int64(0)
    for r in range(n_rows + n_held):
        if r < n_rows:
            row = rows + r * width
            at, value = data[row], cell(data, row, column)
            if at < start or at >= end or value == MISSING:
                continue
        else:
            row = tiles + (n_held - 1 - (r - n_rows)) * size
            if data[row] < lowest:
                break
            if op == IS_FIRST:
                at, value = data[row + offset], data[row + offset + 1]
            else:
                at, value = np.int64(0), data[row + offset]
        better = not has_value
        if has_value and op == IS_MIN:
            better = value < best
        elif has_value and op == IS_MAX:
            better = value > best
        elif has_value:
            better = at < best_at or (at == best_at and value < best)
        if better:
            has_value, best_at, best = True, at, value
    if not has_value:
        return ABSENT, np.int64(0), 0.0
    return _seen_as(plan, part, best)


@njit(cache=True, nogil=True)
def last_n(plan, part, data, rows, n_rows, width, kept, n_held, start, end, lists, k):
    """The latest values, latest first, into `lists`."""
    column, most, list_start = plan[part + 2], plan[part + 10], plan[part + 12]
    at, values = np.empty(n_rows + most, dtype=np.int64), np.empty(n_rows + most, dtype=np.int64)
    n = 0
    for r in range(n_rows):
        row = rows + r * width
        value = cell(data, row, column)
        if start <= data[row] < end and value != MISSING:
            at[n], values[n] = data[row], value
            n += 1
    for i in range(min(n_held, most)):
        row = kept + 2 * (n_held - 1 - i)
        if data[row] < start:
            break
        at[n], values[n] = data[row], data[row + 1]
        n += 1
    order = by_time_and_value(at[:n], values[:n])
    length = min(n, most)
    for i in range(length):
        lists[k, list_start + i] = values[order[n - 1 - i]]
    return LIST, np.int64(length), 0.0


@njit(cache=True, nogil=True)
def different(plan, part, data, rows, n_rows, width, kept, n_held, start, end):
    """The count of distinct values: stored values of the window, and values of rows that are not among them."""
    column, second, most = plan[part + 2], plan[part + 10], plan[part + 13]
    count = 0
    for i in range(n_held):
        if data[kept + 3 * i + 2] >= start:
            count += 1
    chosen = np.empty(n_rows, dtype=np.int64)
    n = 0
    for r in range(n_rows):
        row = rows + r * width
        if start <= data[row] < end and cell(data, row, column) != MISSING:
            chosen[n] = row
            n += 1
    values = np.empty(n, dtype=np.int64)
    for i in range(n):
        values[i] = cell(data, chosen[i], column)
    order = stable_order(values)
    run = 0
    for index in range(n):
        row = chosen[order[index]]
        value, half = values[order[index]], data[row + 1 + second] if second >= 0 else 0
        if index and values[order[index - 1]] != value:
            run = index
        known = False
        for before in range(run, index):
            if second < 0 or data[chosen[order[before]] + 1 + second] == half:
                known = True
                break
        if not known:
            low = first_from(data, kept, n_held, 3, value)
            while low < n_held and data[kept + 3 * low] == value:
                if data[kept + 3 * low + 1] == half and data[kept + 3 * low + 2] >= start:
                    known = True
                low += 1
        if not known:
            count += 1
    if count > most:
        return ABSENT, np.int64(1), 0.0
    return WHOLE, np.int64(count), 0.0
