"""Events sorted by key and time: segment `c`, `[starts[c], starts[c + 1])`, contains the events of key `c`."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def looked_up(start, keys, low, high, codes, out):
    """The code of each value: `codes` has one for each integer from `low` to `high`; -1 for others. `start`: of the
    piece."""
    for i in range(len(keys)):
        key = keys[i]
        out[start + i] = codes[key - low] if low <= key <= high else -1


@njit(cache=True, nogil=True)
def least_step(values):
    """The smallest difference between a value and its predecessor; the largest 64-bit integer for fewer than two."""
    least = np.int64(np.iinfo(np.int64).max)
    for i in range(1, len(values)):
        least = min(least, values[i] - values[i - 1])
    return least


@njit(cache=True, nogil=True)
def tally(first, last, counts, codes):
    """Count the events of `[first, last)` by their codes >= 0, into `counts`, which is zero."""
    for i in range(first, last):
        if codes[i] >= 0:
            counts[codes[i]] += 1


@njit(cache=True, nogil=True)
def begin(counts, starts):
    """Fill `starts` (keys + 1,) with the start of each code, and `counts` (parts, keys) with that in each part."""
    total = 0
    for c in range(counts.shape[1]):
        starts[c] = total
        for part in range(counts.shape[0]):
            count = counts[part, c]
            counts[part, c] = total
            total += count
    starts[counts.shape[1]] = total


@njit(cache=True, nogil=True)
def number_by_code(first, last, following, codes, out):
    """`out[i]`: the position of event i in a stable sort by code, -1 for a code below 0. `following`: the next ones."""
    for i in range(first, last):
        c = codes[i]
        if c < 0:
            out[i] = -1
            continue
        out[i] = following[c]
        following[c] += 1


@njit(cache=True, nogil=True)
def prefix_sums(first, last, starts, values, out):
    """Sums from the start of each segment, (events + keys,); `out[i + c]` is the sum before event i of key c."""
    for c in range(first, last):
        total = np.int64(0)
        out[starts[c] + c] = 0
        for i in range(starts[c], starts[c + 1]):
            total += values[i]
            out[i + 1 + c] = total


@njit(cache=True, nogil=True)
def running_extremes(starts, seen_from, highest, lowest):
    """In each segment, the highest `seen_from` up to each event, including it, and the lowest from it on."""
    for c in range(len(starts) - 1):
        first, last = starts[c], starts[c + 1]
        for i in range(first, last):
            highest[i] = seen_from[i] if i == first else max(highest[i - 1], seen_from[i])
        for i in range(last - 1, first - 1, -1):
            lowest[i] = seen_from[i] if i == last - 1 else min(lowest[i + 1], seen_from[i])


@njit(cache=True, nogil=True)
def first_at_least(first, last, starts, values, codes, least, out):
    """For each row, the first event of its key with an (ascending) value >= `least`, or the end of the segment."""
    for row in range(first, last):
        c = codes[row]
        low, high, x = starts[c], starts[c + 1], least[row]
        while low < high:
            middle = (low + high) >> 1
            if values[middle] < x:
                low = middle + 1
            else:
                high = middle
        out[row] = low


@njit(cache=True, nogil=True)
def first_since(first, last, starts, at, codes, ends, spans, tiles, out):
    """For each span (`out[k]`) and row, the first event of its key at or after `ends[row] - spans[k]`.

    That time is rounded down to a multiple of `tiles[k]`, unless this is 0. All spans of a row are searched together,
    while the events of its key are in the cache.
    """
    for row in range(first, last):
        c = codes[row]
        for k in range(len(spans)):
            since = ends[row] - spans[k]
            if tiles[k] > 0:
                since = since // tiles[k] * tiles[k]
            low, high = starts[c], starts[c + 1]
            while low < high:
                middle = (low + high) >> 1
                if at[middle] < since:
                    low = middle + 1
                else:
                    high = middle
            out[k, row] = low


@njit(cache=True, nogil=True)
def previous_same(starts, values, value_count, out):
    """The index of the previous event with the same key and value, or -1. `values` are in [0, value_count)."""
    latest = np.full(value_count, -1, dtype=np.int64)
    for c in range(len(starts) - 1):
        for i in range(starts[c], starts[c + 1]):
            before = latest[values[i]]
            out[i] = before if before >= starts[c] else -1
            latest[values[i]] = i


@njit(cache=True, nogil=True)
def ends_of_tiles(starts, at, tile, out):
    """For each event, the first event of its key in a later tile."""
    for c in range(len(starts) - 1):
        for i in range(starts[c + 1] - 1, starts[c] - 1, -1):
            if i + 1 == starts[c + 1] or at[i + 1] // tile != at[i] // tile:
                out[i] = i + 1
            else:
                out[i] = out[i + 1]


@njit(cache=True, nogil=True)
def scatter(start, values, targets, out):
    """Write each value to its position, unless this is -1. `start`: of the piece."""
    for i in range(len(values)):
        target = targets[start + i]
        if target >= 0:
            out[target] = values[i]
