"""Aggregates for each row over the visible events of its window.

The window of a row is `[left, right)`, as indices of events; it is empty if `left >= right`. Events before `sure` are
visible; event i in `[sure, right)` is visible if `seen_from[i] <= stamp`. Each function computes the rows in
`[first, last)` and writes the value of row r to `out[order[r]]`.
"""

import numpy as np
from numba import njit

FANOUT = 16


@njit(cache=True, nogil=True)
def counts(first, last, left, sure, right, seen_from, stamps, order, out):
    """The number of visible events."""
    for row in range(first, last):
        total = max(sure[row] - left[row], 0)
        for i in range(max(left[row], sure[row]), right[row]):
            if seen_from[i] <= stamps[row]:
                total += 1
        out[order[row]] = total


@njit(cache=True, nogil=True)
def sums(first, last, codes, left, sure, right, seen_from, stamps, order, prefix, values, out):
    """The sum of the visible values; `prefix`: made by `prefix_sums`."""
    for row in range(first, last):
        total = np.int64(0)
        if sure[row] > left[row]:
            total = prefix[sure[row] + codes[row]] - prefix[left[row] + codes[row]]
        for i in range(max(left[row], sure[row]), right[row]):
            if seen_from[i] <= stamps[row]:
                total += values[i]
        out[order[row]] = total


@njit(cache=True, nogil=True)
def raise_level(values, out):
    """The maximum of every FANOUT values."""
    for block in range(len(out)):
        best = values[block * FANOUT]
        for i in range(block * FANOUT + 1, min((block + 1) * FANOUT, len(values))):
            best = max(best, values[i])
        out[block] = best


@njit(cache=True, nogil=True)
def greatest(first, last, left, sure, right, seen_from, stamps, order, values, upper, level_starts, lowest, out):
    """The maximum visible value, `lowest` for none. `upper`: block maxima, level k in places[k]:places[k + 1]."""
    levels = len(level_starts) - 1
    for row in range(first, last):
        best = lowest
        for i in range(max(left[row], sure[row]), right[row]):
            if seen_from[i] <= stamps[row]:
                best = max(best, values[i])
        i, j = left[row], sure[row]
        while i < j and i % FANOUT != 0:
            best = max(best, values[i])
            i += 1
        while i < j and j % FANOUT != 0:
            j -= 1
            best = max(best, values[j])
        level = 0
        while i < j:
            i, j = i // FANOUT, j // FANOUT
            level_start = level_starts[level]
            level += 1
            while i < j and (i % FANOUT != 0 or level == levels):
                best = max(best, upper[level_start + i])
                i += 1
            while i < j and j % FANOUT != 0:
                j -= 1
                best = max(best, upper[level_start + j])
        out[order[row]] = best


@njit(cache=True, nogil=True)
def latest(first, last, left, sure, right, seen_from, stamps, order, out):
    """The indices of the last `out.shape[1]` visible events, the last first, then -1."""
    most = out.shape[1]
    for row in range(first, last):
        count = 0
        for i in range(right[row] - 1, max(left[row], sure[row]) - 1, -1):
            if count == most:
                break
            if seen_from[i] <= stamps[row]:
                out[order[row], count] = i
                count += 1
        for i in range(sure[row] - 1, left[row] - 1, -1):
            if count == most:
                break
            out[order[row], count] = i
            count += 1
        out[order[row], count:] = -1


@njit(cache=True, nogil=True)
def earliest(first, last, left, sure, right, seen_from, stamps, order, out):
    """The index of the first visible event, or -1."""
    for row in range(first, last):
        out[order[row]] = -1
        if left[row] < sure[row]:
            out[order[row]] = left[row]
            continue
        for i in range(left[row], right[row]):
            if seen_from[i] <= stamps[row]:
                out[order[row]] = i
                break


@njit(cache=True, nogil=True)
def different(first, last, rows, starts, codes, left, sure, right, seen_from, stamps, order, before, longest, out):
    """The number of distinct visible values. `before`: see `previous_same`; `rows`: ascending by key and `sure`.

    A tree of sums marks the last occurrence of each value among the events so far, so a range that ends there has as
    many distinct values as marks. Source: Fenwick, "A new data structure for cumulative frequency tables", Software:
    Practice and Experience 1994.
    """
    tree = np.zeros(longest + 1, dtype=np.int64)
    current, passed, low, size = -1, 0, 0, 0
    for index in range(first, last):
        row = rows[index]
        c = codes[row]
        if c != current:
            current, low, passed = c, starts[c], starts[c]
            size = starts[c + 1] - low
            tree[: size + 1] = 0
        while passed < sure[row]:
            _mark(tree, size, passed - low, 1)
            if before[passed] >= 0:
                _mark(tree, size, before[passed] - low, -1)
            passed += 1
        total = 0
        if sure[row] > left[row]:
            total = _marks(tree, sure[row] - low) - _marks(tree, left[row] - low)
        for i in range(max(left[row], sure[row]), right[row]):
            if seen_from[i] <= stamps[row]:
                j = before[i]
                while j >= left[row] and j >= sure[row] and seen_from[j] > stamps[row]:
                    j = before[j]
                if j < left[row]:
                    total += 1
        out[order[row]] = total


@njit(cache=True, nogil=True)
def _mark(tree, size, position, change):
    i = position + 1
    while i <= size:
        tree[i] += change
        i += i & -i


@njit(cache=True, nogil=True)
def _marks(tree, end):
    total = 0
    i = end
    while i > 0:
        total += tree[i]
        i -= i & -i
    return total


@njit(cache=True, nogil=True)
def decay(
    first,
    last,
    codes,
    ends,
    tile,
    weights,
    left,
    sure,
    right,
    seen_from,
    stamps,
    order,
    at,
    tile_ends,
    prefix,
    values,
    out,
):
    """The sum of values weighted by their age in tiles. `tile_ends[i]`: the first event in a later tile than i."""
    for row in range(first, last):
        total = 0
        now = ends[row] // tile
        i = left[row]
        while i < sure[row]:
            stop = min(tile_ends[i], sure[row])
            total += weights[now - at[i] // tile] * (prefix[stop + codes[row]] - prefix[i + codes[row]])
            i = stop
        for i in range(max(left[row], sure[row]), right[row]):
            if seen_from[i] <= stamps[row]:
                total += weights[now - at[i] // tile] * values[i]
        out[order[row]] = total
