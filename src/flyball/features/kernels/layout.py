"""Events sorted by key and time: segment `c` holds the events of key `c`, in `[starts[c], starts[c + 1])`."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group(codes, keys, starts, order):
    """`order`: the events with code >= 0 by code, stably; `starts` (keys + 1,) where each code begins."""
    for i in range(len(codes)):
        if codes[i] >= 0:
            starts[codes[i] + 1] += 1
    for c in range(keys):
        starts[c + 1] += starts[c]
    following = starts[:-1].copy()
    for i in range(len(codes)):
        c = codes[i]
        if c >= 0:
            order[following[c]] = i
            following[c] += 1


@njit(cache=True, nogil=True)
def prefix_sums(starts, values, out):
    """Sums from the start of each segment; `out` (events + keys,): what lies before event i of key c is at i + c."""
    for c in range(len(starts) - 1):
        total = 0
        out[starts[c] + c] = 0
        for i in range(starts[c], starts[c + 1]):
            total += values[i]
            out[i + 1 + c] = total


@njit(cache=True, nogil=True)
def running_extremes(starts, seen_from, highest, lowest):
    """Of each segment: the highest `seen_from` up to and with an event, and the lowest from it on."""
    for c in range(len(starts) - 1):
        first, last = starts[c], starts[c + 1]
        for i in range(first, last):
            highest[i] = seen_from[i] if i == first else max(highest[i - 1], seen_from[i])
        for i in range(last - 1, first - 1, -1):
            lowest[i] = seen_from[i] if i == last - 1 else min(lowest[i + 1], seen_from[i])


@njit(cache=True, nogil=True)
def first_at_least(first, last, starts, values, codes, wanted, out):
    """For each row the first event of its key whose value (rising) is at least `wanted`, else the segment's end."""
    for row in range(first, last):
        c = codes[row]
        low, high, x = starts[c], starts[c + 1], wanted[row]
        while low < high:
            middle = (low + high) >> 1
            if values[middle] < x:
                low = middle + 1
            else:
                high = middle
        out[row] = low


@njit(cache=True, nogil=True)
def previous_same(starts, values, value_count, out):
    """The index of the event before of the same key and value, or -1. `values` lie in [0, value_count)."""
    latest = np.full(value_count, -1, dtype=np.int64)
    for c in range(len(starts) - 1):
        for i in range(starts[c], starts[c + 1]):
            before = latest[values[i]]
            out[i] = before if before >= starts[c] else -1
            latest[values[i]] = i


@njit(cache=True, nogil=True)
def ends_of_tiles(starts, at, tile, out):
    """For each event the first event of its key that lies in a later tile."""
    for c in range(len(starts) - 1):
        for i in range(starts[c + 1] - 1, starts[c] - 1, -1):
            if i + 1 == starts[c + 1] or at[i + 1] // tile != at[i] // tile:
                out[i] = i + 1
            else:
                out[i] = out[i + 1]


@njit(cache=True, nogil=True)
def gather(first, last, values, source, out):
    """out[i] = values[source[i]] for i in [first, last)."""
    for i in range(first, last):
        out[i] = values[source[i]]
