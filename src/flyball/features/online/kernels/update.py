"""Adds new events to the online states of keys; those before the horizon become tiles, into which late ones merge."""

import numpy as np
from numba import njit

from flyball.features.online.kernels.state import (
    BUCKET,
    HEADER,
    HORIZON,
    LIMIT,
    NEWEST,
    NONE,
    SECTION,
    STREAM,
    TILES,
    TOP,
    WORDS,
    copy_words,
)
from flyball.features.online.kernels.tiles import merge_distinct, merge_tiles, merge_top, stable_order


@njit(cache=True, nogil=True)
def update(plan, old, old_starts, rows, row_starts, horizon, born, limit, force, out_starts):
    """The states of keys with their new rows added, concatenated; `out_starts`: where each state begins.

    `rows`: [stream, at, columns...] by key. Rows before `horizon` become tiles when a key has more rows than its limit,
    or always with `force`. A key without a state starts at horizon `born`. `limit`: the smallest limit.
    """
    out = np.empty(len(old) + 1024, dtype=np.int64)
    w = 0
    for k in range(len(old_starts) - 1):
        base, length = old_starts[k], old_starts[k + 1] - old_starts[k]
        first, last = row_starts[k], row_starts[k + 1]
        out_starts[k] = w
        need = w + length + HEADER + plan[0] + plan[1] + (last - first) * plan[3]
        total = last - first
        position = base + HEADER
        if length:
            for s in range(plan[0]):
                total += old[position]
                position += 1 + old[position] * (1 + plan[plan[4] + s * STREAM])
        known = old[base + HORIZON] if length else born
        most = old[base + LIMIT] if length else limit
        sealing = (force or total > most) and horizon >= known
        if sealing:
            need += total * (plan[7] + 1)
        if need > len(out):
            grown = np.empty(max(2 * len(out), need + 1024), dtype=np.int64)
            copy_words(out, 0, w, grown, 0)
            out = grown
        newest = old[base + NEWEST] if length else NONE
        for r in range(first, last):
            newest = max(newest, rows[r, 1])
        start = w
        out[start + NEWEST] = newest
        out[start + BUCKET] = old[base + BUCKET] if length else NONE
        w += HEADER
        if sealing:
            w, kept = _seal(plan, old, base, length, rows, first, last, horizon, total, out, w)
            out[start + HORIZON] = horizon
            out[start + LIMIT] = max(limit, 2 * kept)
        else:
            w = _append(plan, old, base, length, rows, first, last, out, w)
            out[start + HORIZON] = known
            out[start + LIMIT] = most
        out[start + WORDS] = w - start
    out_starts[len(old_starts) - 1] = w
    return out[:w]


@njit(cache=True, nogil=True)
def _append(plan, old, base, length, rows, first, last, out, w):
    """The old state with the new rows after the old ones."""
    position = base + HEADER
    for s in range(plan[0]):
        columns = plan[plan[4] + s * STREAM]
        count_at = w
        w += 1
        count = 0
        if length:
            count = old[position]
            size = count * (1 + columns)
            w = copy_words(old, position + 1, size, out, w)
            position += 1 + size
        for r in range(first, last):
            if rows[r, 0] == s:
                for c in range(1 + columns):
                    out[w + c] = rows[r, 1 + c]
                w += 1 + columns
                count += 1
        out[count_at] = count
    if length:
        return copy_words(old, position, base + length - position, out, w)
    for _ in range(plan[1]):
        out[w] = 0
        w += 1
    return w


@njit(cache=True, nogil=True)
def _seal(plan, old, base, length, rows, first, last, horizon, total, out, w):
    """The old state and the rows, with those before the horizon in tiles; returns (end, number of remaining rows)."""
    unsorted, sealed = np.empty((total, plan[3]), dtype=np.int64), np.empty((total, plan[3]), dtype=np.int64)
    starts = np.zeros(plan[0] + 1, dtype=np.int64)
    n, kept = 0, 0
    position = base + HEADER
    for s in range(plan[0]):
        columns = plan[plan[4] + s * STREAM]
        cut = horizon - plan[plan[4] + s * STREAM + 1]
        starts[s] = n
        count_at = w
        w += 1
        count = 0
        if length:
            for r in range(old[position]):
                row = position + 1 + r * (1 + columns)
                if old[row] < cut:
                    for c in range(1 + columns):
                        unsorted[n, c] = old[row + c]
                    n += 1
                else:
                    w = copy_words(old, row, 1 + columns, out, w)
                    count += 1
            position += 1 + old[position] * (1 + columns)
        for r in range(first, last):
            if rows[r, 0] == s:
                if rows[r, 1] < cut:
                    for c in range(1 + columns):
                        unsorted[n, c] = rows[r, 1 + c]
                    n += 1
                else:
                    for c in range(1 + columns):
                        out[w + c] = rows[r, 1 + c]
                    w += 1 + columns
                    count += 1
        out[count_at] = count
        kept += count
        times = np.empty(n - starts[s], dtype=np.int64)
        for i in range(n - starts[s]):
            times[i] = unsorted[starts[s] + i, 0]
        order = stable_order(times)
        for i in range(n - starts[s]):
            for c in range(1 + columns):
                sealed[starts[s] + i, c] = unsorted[starts[s] + order[i], c]
    starts[plan[0]] = n
    for c in range(plan[1]):
        section = plan[5] + c * SECTION
        width = plan[section + 7]
        n_old = old[position] if length else 0
        s = plan[section + 1]
        cut = horizon - plan[plan[4] + s * STREAM + 1]
        some = sealed[starts[s] : starts[s + 1]]
        count_at = w
        w += 1
        if plan[section] == TILES:
            w = merge_tiles(plan, section, old, position + 1, n_old, some, cut, out, w)
        elif plan[section] == TOP:
            w = merge_top(plan, section, old, position + 1, n_old, some, cut, out, w)
        else:
            w = merge_distinct(plan, section, old, position + 1, n_old, some, cut, out, w)
        out[count_at] = (w - count_at - 1) // width
        if length:
            position += 1 + n_old * width
    return w, kept
