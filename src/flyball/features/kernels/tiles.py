"""The online state of a key as whole numbers: fold events in, read features out. Layout: see `online_plan`.

Sums are exact whatever their size: words of 60 bits, the lowest ones not negative. Nothing here can overflow 64 bits,
so the loops do the same without the compiler (NUMBA_DISABLE_JIT=1).
"""

import math

import numpy as np
from numba import njit

MISSING = -(1 << 63)
NONE = -(1 << 62)
"""Before every instant."""

HEADER = 5
WORDS, HORIZON, NEWEST, BUCKET, LIMIT = 0, 1, 2, 3, 4

STREAM, SECTION, PART = 3, 8, 15
TILES, TOP, DISTINCT = 0, 1, 2
WITH_SUM, WITH_SQUARES, WITH_MIN, WITH_MAX, WITH_FIRST = 1, 2, 4, 8, 16
IS_COUNT, IS_SUM, IS_MEAN, IS_STD, IS_TARGET, IS_DECAYED, IS_MIN, IS_MAX, IS_FIRST, IS_LAST = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
)
IS_LAST_N, IS_DISTINCT = 10, 11
IN_TILES, IN_EXACT, IN_LIFETIME = 0, 1, 2
ABSENT, WHOLE, DOUBLE, YES_NO, TEXT, LIST, OBJECT = 0, 1, 2, 3, 4, 5, 6

_60 = (1 << 60) - 1
_30 = (1 << 30) - 1
_DIGITS = 16


@njit(cache=True, nogil=True)
def fold(plan, old, old_starts, rows, row_starts, horizon, born, limit, force, out_starts):
    """The states of some keys with their new rows folded in, one behind the other; `out_starts` says where.

    `rows`: [stream, at, columns...] by key. Rows before `horizon` move to tiles once a key has more than its limit of
    rows. A key without a state starts at horizon `born`. `limit`: the least limit; `force`: whatever it is.
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
        sealing = (force or total > most) and horizon > known
        if sealing:
            need += total * (plan[7] + 1)
        if need > len(out):
            grown = np.empty(max(2 * len(out), need + 1024), dtype=np.int64)
            grown[:w] = out[:w]
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
    """The old state with the rows behind the old ones."""
    position = base + HEADER
    for s in range(plan[0]):
        columns = plan[plan[4] + s * STREAM]
        place = w
        w += 1
        count = 0
        if length:
            count = old[position]
            size = count * (1 + columns)
            out[w : w + size] = old[position + 1 : position + 1 + size]
            w += size
            position += 1 + size
        for r in range(first, last):
            if rows[r, 0] == s:
                out[w : w + 1 + columns] = rows[r, 1 : 2 + columns]
                w += 1 + columns
                count += 1
        out[place] = count
    if length:
        size = base + length - position
        out[w : w + size] = old[position : position + size]
        return w + size
    for _ in range(plan[1]):
        out[w] = 0
        w += 1
    return w


@njit(cache=True, nogil=True)
def _seal(plan, old, base, length, rows, first, last, horizon, total, out, w):
    """The old state and the rows, those before the horizon in tiles; returns the end and how many rows stayed."""
    sealed = np.empty((total, plan[3]), dtype=np.int64)
    starts = np.zeros(plan[0] + 1, dtype=np.int64)
    n, kept = 0, 0
    position = base + HEADER
    for s in range(plan[0]):
        columns = plan[plan[4] + s * STREAM]
        cut = horizon - plan[plan[4] + s * STREAM + 1]
        starts[s] = n
        place = w
        w += 1
        count = 0
        if length:
            for r in range(old[position]):
                at_place = position + 1 + r * (1 + columns)
                if old[at_place] < cut:
                    sealed[n, : 1 + columns] = old[at_place : at_place + 1 + columns]
                    n += 1
                else:
                    out[w : w + 1 + columns] = old[at_place : at_place + 1 + columns]
                    w += 1 + columns
                    count += 1
            position += 1 + old[position] * (1 + columns)
        for r in range(first, last):
            if rows[r, 0] == s:
                if rows[r, 1] < cut:
                    sealed[n, : 1 + columns] = rows[r, 1 : 2 + columns]
                    n += 1
                else:
                    out[w : w + 1 + columns] = rows[r, 1 : 2 + columns]
                    w += 1 + columns
                    count += 1
        out[place] = count
        kept += count
        order = np.argsort(sealed[starts[s] : n, 0], kind="mergesort")
        sealed[starts[s] : n] = sealed[starts[s] : n][order]
    starts[plan[0]] = n
    for c in range(plan[1]):
        section = plan[5] + c * SECTION
        width = plan[section + 7]
        held = old[position] if length else 0
        s = plan[section + 1]
        cut = horizon - plan[plan[4] + s * STREAM + 1]
        some = sealed[starts[s] : starts[s + 1]]
        place = w
        w += 1
        if plan[section] == TILES:
            w = _merge_tiles(plan, section, old, position + 1, held, some, cut, out, w)
        elif plan[section] == TOP:
            w = _merge_top(plan, section, old, position + 1, held, some, cut, out, w)
        else:
            w = _merge_distinct(plan, section, old, position + 1, held, some, cut, out, w)
        out[place] = (w - place - 1) // width
        if length:
            position += 1 + held * width
    return w, kept


@njit(cache=True, nogil=True)
def _value(some, r, column):
    return some[r, 1 + column] if column >= 0 else np.int64(1)


@njit(cache=True, nogil=True)
def _merge_tiles(plan, section, old, position, held, some, cut, out, w):
    """Tiles by rising index: [index, n, then what the mask says]."""
    column, tile, reach, mask, width = (
        plan[section + 2], plan[section + 4], plan[section + 5], plan[section + 6], plan[section + 7]
    )  # fmt: skip
    lowest = (cut - reach) // tile if reach >= 0 else NONE
    i, r = 0, 0
    while i < held and old[position + i * width] < lowest:
        i += 1
    while True:
        while r < len(some) and (_value(some, r, column) == MISSING or (some[r, 0] // tile if tile else 0) < lowest):
            r += 1
        if i >= held and r >= len(some):
            return w
        mine = old[position + i * width] if i < held else -NONE
        theirs = -NONE if r >= len(some) else (some[r, 0] // tile if tile else 0)
        index = min(mine, theirs)
        if mine == index:
            out[w : w + width] = old[position + i * width : position + (i + 1) * width]
            i += 1
        else:
            out[w : w + width] = 0
            out[w] = index
        while r < len(some) and (some[r, 0] // tile if tile else 0) == index:
            value = _value(some, r, column)
            if value != MISSING:
                _add(out, w, mask, some[r, 0], value)
            r += 1
        w += width


@njit(cache=True, nogil=True)
def _add(tile, w, mask, at, value):
    fresh = tile[w + 1] == 0
    tile[w + 1] += 1
    w += 2
    if mask & WITH_SUM:
        tile[w], tile[w + 1] = _sum(tile[w], tile[w + 1], np.int64(0), value)
        w += 2
    if mask & WITH_SQUARES:
        size = abs(value)
        high, low = size >> 30, size & _30
        middle = 2 * high * low
        tile[w + 2] += low * low + ((middle & _30) << 30)
        tile[w + 1] += (middle >> 30) + high * high + (tile[w + 2] >> 60)
        tile[w + 2] &= _60
        tile[w] += tile[w + 1] >> 60
        tile[w + 1] &= _60
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
def _sum(high, low, more_high, more_low):
    """Add two numbers of 60-bit words; `more_low` may be negative."""
    low = low + more_low
    return high + more_high + (low >> 60), low & _60


@njit(cache=True, nogil=True)
def _by_time_and_value(at, values):
    by_value = np.argsort(values, kind="mergesort")
    return by_value[np.argsort(at[by_value], kind="mergesort")]


@njit(cache=True, nogil=True)
def _merge_top(plan, section, old, position, held, some, cut, out, w):
    """The greatest [at, value] by (at, value), rising."""
    column, reach, most = plan[section + 2], plan[section + 5], plan[section + 6]
    lowest = cut - reach if reach >= 0 else NONE
    at, values = np.empty(len(some), dtype=np.int64), np.empty(len(some), dtype=np.int64)
    n = 0
    for r in range(len(some)):
        value = _value(some, r, column)
        if value != MISSING and some[r, 0] >= lowest:
            at[n], values[n] = some[r, 0], value
            n += 1
    order = _by_time_and_value(at[:n], values[:n])
    i = 0
    while i < held and old[position + 2 * i] < lowest:
        i += 1
    skip, j = max(0, held - i + n - most), 0
    while i < held or j < n:
        mine = j >= n or (
            i < held
            and (
                old[position + 2 * i] < at[order[j]]
                or (old[position + 2 * i] == at[order[j]] and old[position + 2 * i + 1] <= values[order[j]])
            )
        )
        if skip:
            skip -= 1
        elif mine:
            out[w], out[w + 1] = old[position + 2 * i], old[position + 2 * i + 1]
            w += 2
        else:
            out[w], out[w + 1] = at[order[j]], values[order[j]]
            w += 2
        if mine:
            i += 1
        else:
            j += 1
    return w


@njit(cache=True, nogil=True)
def _merge_distinct(plan, section, old, position, held, some, cut, out, w):
    """Different values with their latest instant: [value, second half or 0, at], by rising value."""
    column, second, reach, most = plan[section + 2], plan[section + 3], plan[section + 5], plan[section + 6]
    lowest = cut - reach if reach >= 0 else NONE
    n = held + len(some)
    found = np.empty((n, 3), dtype=np.int64)
    n = 0
    for i in range(held):
        if old[position + 3 * i + 2] >= lowest:
            found[n, 0], found[n, 1] = old[position + 3 * i], old[position + 3 * i + 1]
            found[n, 2] = old[position + 3 * i + 2]
            n += 1
    for r in range(len(some)):
        value = _value(some, r, column)
        if value != MISSING and some[r, 0] >= lowest:
            found[n, 0], found[n, 1] = value, some[r, 1 + second] if second >= 0 else 0
            found[n, 2] = some[r, 0]
            n += 1
    order = np.argsort(found[:n, 0], kind="mergesort")
    start, run = w, w
    for place in range(n):
        r = order[place]
        if place and found[order[place - 1], 0] != found[r, 0]:
            run = w
        same = run
        while same < w and out[same + 1] != found[r, 1]:
            same += 3
        if same < w:
            out[same + 2] = max(out[same + 2], found[r, 2])
        else:
            out[w], out[w + 1], out[w + 2] = found[r, 0], found[r, 1], found[r, 2]
            w += 3
    count = (w - start) // 3
    if count <= most + most // 8:
        return w
    instants = out[start + 2 : w : 3].copy()
    instants.sort()
    oldest = instants[count - most]
    end = start
    for place in range(start, w, 3):
        if out[place + 2] >= oldest:
            out[end], out[end + 1], out[end + 2] = out[place], out[place + 1], out[place + 2]
            end += 3
    return end


@njit(cache=True, nogil=True)
def read(plan, reals, data, starts, at_us, bits, tags, lists):
    """Every feature of some keys at one instant: (first instant that may be asked about, values beyond max_events).

    `bits` (keys, features): whole numbers, doubles as their bits, ranks of texts, lengths of lists; `tags` their types.
    `lists` (keys, width): the elements of lists. A key with no state has no events.
    """
    streams, sections, features = plan[0], plan[1], plan[2]
    rows_at, rows_n = np.zeros(streams, dtype=np.int64), np.zeros(streams, dtype=np.int64)
    held_at, held_n = np.zeros(sections, dtype=np.int64), np.zeros(sections, dtype=np.int64)
    doubles = bits.view(np.float64)
    one, other = np.zeros(_DIGITS, dtype=np.int64), np.zeros(_DIGITS, dtype=np.int64)
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
            tag, whole, double = _part(
                plan, reals, part, data, rows_at, rows_n, held_at, held_n, at_us, lists, k, one, other
            )
            over = tag == ABSENT and whole
            if lower >= 0:
                below, whole_below, double_below = _part(
                    plan, reals, lower, data, rows_at, rows_n, held_at, held_n, at_us, lists, k, one, other
                )
                over = over or (below == ABSENT and whole_below)
                top = double if tag == DOUBLE else float(whole)
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
                bits[k, f] = whole if tag != ABSENT else 0
    return allowed, beyond


@njit(cache=True, nogil=True)
def _part(plan, reals, p, data, rows_at, rows_n, held_at, held_n, at_us, lists, k, one, other):
    """One aggregate of one key: (type, whole number, double); missing with a 1 where it is beyond max_events."""
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
        if n + held_n[exact] - _first_from(data, held_at[exact], held_n[exact], 2, start) > plan[part + 7]:
            return ABSENT, 1, 0.0
    if op == IS_LAST_N:
        return _last_n(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end, lists, k)
    if op == IS_DISTINCT:
        return _different(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end)
    if op == IS_LAST or (kind == IN_EXACT and op >= IS_MIN):
        return _extreme_of_rows(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end)
    if op >= IS_MIN:
        return _extreme(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end)
    if op == IS_DECAYED:
        return _decayed(plan, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end, one)
    return _added(
        plan, reals, p, part, data, rows_at[s], rows_n[s], width, held_at[c], held_n[c], start, end, one, other
    )


@njit(cache=True, nogil=True)
def _cell(data, place, column):
    return data[place + 1 + column] if column >= 0 else np.int64(1)


@njit(cache=True, nogil=True)
def _first_from(data, place, n, width, least):
    """The first of some rows, rising by their first word, that is at least `least`."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if data[place + middle * width] < least:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _count(data, place, n, width, column, start, end):
    count = 0
    for r in range(n):
        row = place + r * width
        if start <= data[row] < end and _cell(data, row, column) != MISSING:
            count += 1
    return count


@njit(cache=True, nogil=True)
def _added(plan, reals, p, part, data, rows, n_rows, width, held, n_held, start, end, one, other):
    """count, sum, mean, std, target: `formulas.added` of exact sums."""
    op, column, kind, tile, per_unit = plan[part], plan[part + 2], plan[part + 4], plan[part + 6], plan[part + 8]
    squares = op == IS_STD
    n = np.int64(0)
    high, low = np.int64(0), np.int64(0)
    q2, q1, q0 = np.int64(0), np.int64(0), np.int64(0)
    scratch = other  # [index, n, sum, sum, squares...] of the rows, as a tile
    scratch[:7] = 0
    mask = 0 if op == IS_COUNT or column < 0 else WITH_SUM | (WITH_SQUARES if squares else 0)
    for r in range(n_rows):
        row = rows + r * width
        if start <= data[row] < end:
            value = _cell(data, row, column)
            if value != MISSING:
                _add(scratch, 0, mask, data[row], value)
    if kind == IN_EXACT:
        i = n_held
        while i > 0 and data[held + 2 * (i - 1)] >= start:
            i -= 1
            _add(scratch, 0, mask, data[held + 2 * i], data[held + 2 * i + 1])
    n, high, low, q2, q1, q0 = scratch[1], scratch[2], scratch[3], scratch[4], scratch[5], scratch[6]
    if kind != IN_EXACT:
        lowest = start // tile if tile else np.int64(NONE)
        section = plan[5] + plan[part + 3] * SECTION
        size, held_mask = plan[section + 7], plan[section + 6]
        at_squares = 2 + (2 if held_mask & WITH_SUM else 0)
        i = n_held
        while i > 0 and data[held + (i - 1) * size] >= lowest:
            i -= 1
            place = held + i * size
            n += data[place + 1]
            if mask:
                high, low = _sum(high, low, data[place + 2], data[place + 3])
                if squares:
                    q0 += data[place + at_squares + 2]
                    q1 += data[place + at_squares + 1] + (q0 >> 60)
                    q0 &= _60
                    q2 += data[place + at_squares] + (q1 >> 60)
                    q1 &= _60
    if op == IS_COUNT:
        return WHOLE, n, 0.0
    if column < 0:
        low, q0 = n, n
    if op == IS_TARGET:
        return DOUBLE, 0, (_double(high, low, one) / per_unit + reals[p, 0]) / (n + reals[p, 1])
    if n == 0 or (squares and n < 2):
        return ABSENT, 0, 0.0
    if op == IS_SUM:
        return DOUBLE, 0, _double(high, low, one) / per_unit
    if op == IS_MEAN:
        return DOUBLE, 0, _double(high, low, one) / float(n * per_unit)
    return DOUBLE, 0, math.sqrt(_spread(n, high, low, q2, q1, q0, one, other) / float(n * (n - 1))) / per_unit


@njit(cache=True, nogil=True)
def _decayed(plan, part, data, rows, n_rows, width, held, n_held, start, end, one):
    column, tile, per_unit, weights = plan[part + 2], plan[part + 6], plan[part + 8], plan[part + 10]
    section = plan[5] + plan[part + 3] * SECTION
    size = plan[section + 7]
    now, lowest = end // tile, start // tile
    n, high, low = np.int64(0), np.int64(0), np.int64(0)
    for r in range(n_rows):
        row = rows + r * width
        if start <= data[row] < end:
            value = _cell(data, row, column)
            if value != MISSING:
                n += 1
                more_high, more_low = _times(value >> 60, value & _60, plan[weights + now - data[row] // tile])
                high, low = _sum(high, low, more_high, more_low)
    i = n_held
    while i > 0 and data[held + (i - 1) * size] >= lowest:
        i -= 1
        place = held + i * size
        n += data[place + 1]
        weight = plan[weights + now - data[place]]
        if column < 0:
            more_high, more_low = _times(np.int64(0), data[place + 1], weight)
        else:
            more_high, more_low = _times(data[place + 2], data[place + 3], weight)
        high, low = _sum(high, low, more_high, more_low)
    if n == 0 and plan[part + 14]:
        return ABSENT, 0, 0.0
    return DOUBLE, 0, _double(high, low, one) / (float(plan[weights - 1]) * per_unit)


@njit(cache=True, nogil=True)
def _times(high, low, weight):
    """A number of 60-bit words by a weight of at most 32 bits."""
    small = (low & _30) * weight
    middle = (low >> 30) * weight
    below = small + ((middle & _30) << 30)
    return high * weight + (middle >> 30) + (below >> 60), below & _60


@njit(cache=True, nogil=True)
def _double(high, low, digits):
    """The double nearest to `high * 2**60 + low`, ties to even, as `float` of a whole number is."""
    if -4 <= high < 4:
        return float(high * (1 << 60) + low)
    negative = high < 0
    if negative:
        high, low = -high - (1 if low else 0), ((1 << 60) - low) & _60
    digits[:] = 0
    digits[0], digits[1] = low & _30, low >> 30
    digits[2], digits[3], digits[4] = high & _30, (high >> 30) & _30, high >> 60
    found = _double_of_digits(digits)
    return -found if negative else found


@njit(cache=True, nogil=True)
def _double_of_digits(digits):
    """The double nearest to a number of 30-bit digits, lowest first: 62 bits and a sticky one decide."""
    top = _DIGITS - 1
    while top > 0 and digits[top] == 0:
        top -= 1
    length, rest = 30 * top, digits[top]
    while rest:
        length += 1
        rest >>= 1
    shift = max(0, length - 62)
    value, sticky = np.int64(0), np.int64(0)
    for i in range(top + 1):
        place = 30 * i - shift
        if place >= 0:
            value |= digits[i] << place
        elif place > -30:
            value |= digits[i] >> -place
            sticky |= digits[i] & ((1 << -place) - 1)
        else:
            sticky |= digits[i]
    return math.ldexp(float(value | (1 if sticky else 0)), shift)


@njit(cache=True, nogil=True)
def _spread(n, high, low, q2, q1, q0, digits, size):
    """`float(n * squares - total * total)`, rounded once."""
    if high < 0:
        high, low = -high - (1 if low else 0), ((1 << 60) - low) & _60
    digits[:] = 0
    size[:] = 0
    size[0], size[1], size[2], size[3] = q0 & _30, q0 >> 30, q1 & _30, q1 >> 30
    size[4], size[5], size[6] = q2 & _30, (q2 >> 30) & _30, q2 >> 60
    for i in range(3):
        factor = (n >> (30 * i)) & _30
        if factor:
            for j in range(7):
                if size[j]:
                    _put(digits, i + j, factor * size[j])
    size[0], size[1], size[2], size[3], size[4] = low & _30, low >> 30, high & _30, (high >> 30) & _30, high >> 60
    for i in range(5):
        for j in range(5):
            if size[i] and size[j]:
                _put(digits, i + j, -(size[i] * size[j]))
    return _double_of_digits(digits)


@njit(cache=True, nogil=True)
def _put(digits, place, product):
    """Add a product of two digits, of either sign, at `place`."""
    carry = product
    while carry != 0:
        carry += digits[place]
        digits[place] = carry & _30
        carry >>= 30
        place += 1


@njit(cache=True, nogil=True)
def _seen_as(plan, part, value):
    """A value in the type it was read as."""
    kind = plan[part + 11]
    if kind == DOUBLE:
        return DOUBLE, np.int64(0), float(value) / plan[part + 8]
    return kind, value, 0.0


@njit(cache=True, nogil=True)
def _extreme_of_rows(plan, part, data, rows, n_rows, width, held, n_held, start, end):
    """last anywhere; min, max and first of an exact window: over rows and the kept [at, value]."""
    op, column = plan[part], plan[part + 2]
    found = False
    best_at, best = np.int64(0), np.int64(0)
    for r in range(n_rows + n_held):
        if r < n_rows:
            row = rows + r * width
            at, value = data[row], _cell(data, row, column)
        else:
            row = held + 2 * (n_held - 1 - (r - n_rows))
            at, value = data[row], data[row + 1]
            if at < start or (op == IS_LAST and found and at < best_at):
                break
        if at < start or at >= end or value == MISSING:
            continue
        better = not found
        if found and op == IS_MIN:
            better = value < best
        elif found and op == IS_MAX:
            better = value > best
        elif found and op == IS_FIRST:
            better = at < best_at or (at == best_at and value < best)
        elif found:
            better = at > best_at or (at == best_at and value > best)
        if better:
            found, best_at, best = True, at, value
    if not found:
        return ABSENT, np.int64(0), 0.0
    return _seen_as(plan, part, best)


@njit(cache=True, nogil=True)
def _extreme(plan, part, data, rows, n_rows, width, held, n_held, start, end):
    """min, max and first over rows and tiles."""
    op, column, tile = plan[part], plan[part + 2], plan[part + 6]
    section = plan[5] + plan[part + 3] * SECTION
    mask, size = plan[section + 6], plan[section + 7]
    place = 2 + (2 if mask & WITH_SUM else 0) + (3 if mask & WITH_SQUARES else 0)
    if op != IS_MIN and mask & WITH_MIN:
        place += 1
    if op == IS_FIRST and mask & WITH_MAX:
        place += 1
    lowest = start // tile if tile else np.int64(NONE)
    found = False
    best_at, best = np.int64(0), np.int64(0)
    for r in range(n_rows + n_held):
        if r < n_rows:
            row = rows + r * width
            at, value = data[row], _cell(data, row, column)
            if at < start or at >= end or value == MISSING:
                continue
        else:
            row = held + (n_held - 1 - (r - n_rows)) * size
            if data[row] < lowest:
                break
            if op == IS_FIRST:
                at, value = data[row + place], data[row + place + 1]
            else:
                at, value = np.int64(0), data[row + place]
        better = not found
        if found and op == IS_MIN:
            better = value < best
        elif found and op == IS_MAX:
            better = value > best
        elif found:
            better = at < best_at or (at == best_at and value < best)
        if better:
            found, best_at, best = True, at, value
    if not found:
        return ABSENT, np.int64(0), 0.0
    return _seen_as(plan, part, best)


@njit(cache=True, nogil=True)
def _last_n(plan, part, data, rows, n_rows, width, held, n_held, start, end, lists, k):
    """The latest values, latest first, into `lists`."""
    column, wanted, place = plan[part + 2], plan[part + 10], plan[part + 12]
    at, values = np.empty(n_rows + wanted, dtype=np.int64), np.empty(n_rows + wanted, dtype=np.int64)
    n = 0
    for r in range(n_rows):
        row = rows + r * width
        value = _cell(data, row, column)
        if start <= data[row] < end and value != MISSING:
            at[n], values[n] = data[row], value
            n += 1
    for i in range(min(n_held, wanted)):
        row = held + 2 * (n_held - 1 - i)
        if data[row] < start:
            break
        at[n], values[n] = data[row], data[row + 1]
        n += 1
    order = _by_time_and_value(at[:n], values[:n])
    length = min(n, wanted)
    for i in range(length):
        lists[k, place + i] = values[order[n - 1 - i]]
    return LIST, np.int64(length), 0.0


@njit(cache=True, nogil=True)
def _different(plan, part, data, rows, n_rows, width, held, n_held, start, end):
    """How many different values; those of the rows that no kept value of the window is."""
    column, second, most = plan[part + 2], plan[part + 10], plan[part + 13]
    count = 0
    for i in range(n_held):
        if data[held + 3 * i + 2] >= start:
            count += 1
    chosen = np.empty(n_rows, dtype=np.int64)
    n = 0
    for r in range(n_rows):
        row = rows + r * width
        if start <= data[row] < end and _cell(data, row, column) != MISSING:
            chosen[n] = row
            n += 1
    values = np.empty(n, dtype=np.int64)
    for i in range(n):
        values[i] = _cell(data, chosen[i], column)
    order = np.argsort(values, kind="mergesort")
    run = 0
    for place in range(n):
        row = chosen[order[place]]
        value, half = values[order[place]], data[row + 1 + second] if second >= 0 else 0
        if place and values[order[place - 1]] != value:
            run = place
        known = False
        for before in range(run, place):
            if second < 0 or data[chosen[order[before]] + 1 + second] == half:
                known = True
                break
        if not known:
            low = _first_from(data, held, n_held, 3, value)
            while low < n_held and data[held + 3 * low] == value:
                if data[held + 3 * low + 1] == half and data[held + 3 * low + 2] >= start:
                    known = True
                low += 1
        if not known:
            count += 1
    if count > most:
        return ABSENT, np.int64(1), 0.0
    return WHOLE, np.int64(count), 0.0


@njit(cache=True, nogil=True)
def cells(plan, kinds, words, wanted, out):
    """Where a state holds values of the columns whose `kinds` (streams, columns) are `wanted`; how many there are."""
    n = 0
    position = HEADER
    for s in range(plan[0]):
        columns = plan[plan[4] + s * STREAM]
        for r in range(words[position]):
            for column in range(columns):
                if kinds[s, column] == wanted:
                    place = position + 1 + r * (1 + columns) + 1 + column
                    if words[place] != MISSING:
                        out[n] = place
                        n += 1
        position += 1 + words[position] * (1 + columns)
    for c in range(plan[1]):
        section = plan[5] + c * SECTION
        column, mask, width = plan[section + 2], plan[section + 6], plan[section + 7]
        if column >= 0 and kinds[plan[section + 1], column] == wanted:
            for i in range(words[position]):
                row = position + 1 + i * width
                if plan[section] == TOP:
                    out[n] = row + 1
                    n += 1
                elif plan[section] == TILES:
                    place = row + 2
                    if mask & WITH_MIN:
                        out[n] = place
                        n, place = n + 1, place + 1
                    if mask & WITH_MAX:
                        out[n] = place
                        n, place = n + 1, place + 1
                    if mask & WITH_FIRST:
                        out[n] = place + 1
                        n += 1
        position += 1 + words[position] * width
    return n
