"""Turns events into the sections of a state: tiles of sums, the latest values, and distinct values."""

import numpy as np
from numba import njit

from flyball.features.online.kernels.int128 import LOW_30, LOW_60, plus
from flyball.features.online.kernels.state import (
    MISSING,
    NONE,
    WITH_FIRST,
    WITH_MAX,
    WITH_MIN,
    WITH_SQUARES,
    WITH_SUM,
    copy_words,
)

_RUN = 16
"""So many values are sorted by insertion."""


@njit(cache=True, nogil=True)
def _value(some, r, column):
    return some[r, 1 + column] if column >= 0 else np.int64(1)


@njit(cache=True, nogil=True)
def merge_tiles(plan, section, old, position, n_old, some, cut, out, w):
    """Tiles by ascending index: [index, n, then the fields of the mask]."""
    column, tile, reach, mask, width = (
        plan[section + 2],
        plan[section + 4],
        plan[section + 5],
        plan[section + 6],
        plan[section + 7],
    )
    lowest = (cut - reach) // tile if reach >= 0 else NONE
    i, r = 0, 0
    while i < n_old and old[position + i * width] < lowest:
        i += 1
    while True:
        while r < len(some) and (_value(some, r, column) == MISSING or (some[r, 0] // tile if tile else 0) < lowest):
            r += 1
        if i >= n_old and r >= len(some):
            return w
        old_index = old[position + i * width] if i < n_old else -NONE
        new_index = -NONE if r >= len(some) else (some[r, 0] // tile if tile else 0)
        index = min(old_index, new_index)
        if old_index == index:
            copy_words(old, position + i * width, width, out, w)
            i += 1
        else:
            out[w] = index
            for word in range(1, width):
                out[w + word] = 0
        while r < len(some) and (some[r, 0] // tile if tile else 0) == index:
            value = _value(some, r, column)
            if value != MISSING:
                add_value(out, w, mask, some[r, 0], value)
            r += 1
        w += width


@njit(cache=True, nogil=True)
def add_value(tile, w, mask, at, value):
    fresh = tile[w + 1] == 0
    tile[w + 1] += 1
    w += 2
    if mask & WITH_SUM:
        tile[w], tile[w + 1] = plus(tile[w], tile[w + 1], np.int64(0), value)
        w += 2
    if mask & WITH_SQUARES:
        size = abs(value)
        high, low = size >> 30, size & LOW_30
        middle = 2 * high * low
        tile[w + 2] += low * low + ((middle & LOW_30) << 30)
        tile[w + 1] += (middle >> 30) + high * high + (tile[w + 2] >> 60)
        tile[w + 2] &= LOW_60
        tile[w] += tile[w + 1] >> 60
        tile[w + 1] &= LOW_60
        w += 3
    if mask & WITH_MIN:
        tile[w] = value if fresh else min(tile[w], value)
        w += 1
    if mask & WITH_MAX:
        tile[w] = value if fresh else max(tile[w], value)
        w += 1
    if mask & WITH_FIRST and (fresh or at < tile[w] or (at == tile[w] and value < tile[w + 1])):
        tile[w], tile[w + 1] = at, value


@njit(cache=True, nogil=True)
def stable_order(values):
    """The indexes that sort the contiguous `values`, stably.

    It is a merge sort of sorted runs, one function for all kernels: each kernel that calls the sort of numpy takes
    seconds longer to compile.
    """
    n = len(values)
    order, merged = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for first in range(0, n, _RUN):
        for index in range(first, min(first + _RUN, n)):
            value, gap = values[index], index
            while gap > first and values[order[gap - 1]] > value:
                order[gap] = order[gap - 1]
                gap -= 1
            order[gap] = index
    size = _RUN
    while size < n:
        for first in range(0, n, 2 * size):
            middle, end = min(first + size, n), min(first + 2 * size, n)
            left, right = first, middle
            for w in range(first, end):
                if right >= end or (left < middle and values[order[left]] <= values[order[right]]):
                    merged[w] = order[left]
                    left += 1
                else:
                    merged[w] = order[right]
                    right += 1
        order, merged = merged, order
        size *= 2
    return order


@njit(cache=True, nogil=True)
def by_time_and_value(at, values):
    by_value = stable_order(values)
    ordered = np.empty(len(at), dtype=np.int64)
    for i in range(len(at)):
        ordered[i] = at[by_value[i]]
    by_time = stable_order(ordered)
    for i in range(len(at)):
        ordered[i] = by_value[by_time[i]]
    return ordered


@njit(cache=True, nogil=True)
def merge_top(plan, section, old, position, n_old, some, cut, out, w):
    """The largest [at, value] by (at, value), ascending."""
    column, reach, most = plan[section + 2], plan[section + 5], plan[section + 6]
    lowest = cut - reach if reach >= 0 else NONE
    at, values = np.empty(len(some), dtype=np.int64), np.empty(len(some), dtype=np.int64)
    n = 0
    for r in range(len(some)):
        value = _value(some, r, column)
        if value != MISSING and some[r, 0] >= lowest:
            at[n], values[n] = some[r, 0], value
            n += 1
    order = by_time_and_value(at[:n], values[:n])
    i = 0
    while i < n_old and old[position + 2 * i] < lowest:
        i += 1
    skip, j = max(0, n_old - i + n - most), 0
    while i < n_old or j < n:
        takes_old = j >= n or (
            i < n_old
            and (
                old[position + 2 * i] < at[order[j]]
                or (old[position + 2 * i] == at[order[j]] and old[position + 2 * i + 1] <= values[order[j]])
            )
        )
        if skip:
            skip -= 1
        elif takes_old:
            out[w], out[w + 1] = old[position + 2 * i], old[position + 2 * i + 1]
            w += 2
        else:
            out[w], out[w + 1] = at[order[j]], values[order[j]]
            w += 2
        if takes_old:
            i += 1
        else:
            j += 1
    return w


@njit(cache=True, nogil=True)
def merge_distinct(plan, section, old, position, n_old, some, cut, out, w):
    """Distinct values with their latest time: [value, second half or 0, at], by ascending value."""
    column, second, reach, most = plan[section + 2], plan[section + 3], plan[section + 5], plan[section + 6]
    lowest = cut - reach if reach >= 0 else NONE
    n = n_old + len(some)
    entries = np.empty((n, 3), dtype=np.int64)
    n = 0
    for i in range(n_old):
        if old[position + 3 * i + 2] >= lowest:
            entries[n, 0], entries[n, 1] = old[position + 3 * i], old[position + 3 * i + 1]
            entries[n, 2] = old[position + 3 * i + 2]
            n += 1
    for r in range(len(some)):
        value = _value(some, r, column)
        if value != MISSING and some[r, 0] >= lowest:
            entries[n, 0], entries[n, 1] = value, some[r, 1 + second] if second >= 0 else 0
            entries[n, 2] = some[r, 0]
            n += 1
    values = np.empty(n, dtype=np.int64)
    for i in range(n):
        values[i] = entries[i, 0]
    order = stable_order(values)
    start, run = w, w
    for index in range(n):
        r = order[index]
        if index and entries[order[index - 1], 0] != entries[r, 0]:
            run = w
        same = run
        while same < w and out[same + 1] != entries[r, 1]:
            same += 3
        if same < w:
            out[same + 2] = max(out[same + 2], entries[r, 2])
        else:
            out[w], out[w + 1], out[w + 2] = entries[r, 0], entries[r, 1], entries[r, 2]
            w += 3
    count = (w - start) // 3
    if count <= most + most // 8:
        return w
    times = np.empty(count, dtype=np.int64)
    for i in range(count):
        times[i] = out[start + 2 + 3 * i]
    oldest = times[stable_order(times)[count - most]]
    end = start
    for index in range(start, w, 3):
        if out[index + 2] >= oldest:
            out[end], out[end + 1], out[end + 2] = out[index], out[index + 1], out[index + 2]
            end += 3
    return end
