"""Errors planted in the online engine, one at a time; the tests must find each of them."""

from tests.mutations.planted import Planted

_FOLDING, _MERGING, _READING = "online/kernels/update.py", "online/kernels/tiles.py", "online/kernels/read.py"
_TOTALS, _PICKS, _WIDE, _STATE = (
    "online/kernels/sums.py",
    "online/kernels/select.py",
    "online/kernels/int128.py",
    "online/kernels/state.py",
)

PLANTED_ONLINE = (
    # the window at reading
    Planted(_READING, "end = at_us - plan[", "end = at_us + 1 - plan[", "right end closed"),
    Planted(
        _READING,
        "start = (end - plan[part + 5]) // tile * tile",
        "start = (end - plan[part + 5] + tile - 1) // tile * tile",
        "left end rounded up",
    ),
    Planted(
        _READING,
        "start = (end - plan[part + 5]) // tile * tile",
        "start = end - plan[part + 5]",
        "left end not floored",
    ),
    Planted(
        _READING,
        "start = end - plan[part + 5]\n",
        "start = end - plan[part + 5] + 1\n",
        "left end of an exact window open",
    ),
    Planted(
        _READING,
        "start = end - plan[part + 5]\n",
        "start = end - plan[part + 5] - 1\n",
        "left end of an exact window early",
    ),
    Planted(_READING, "2, start) > plan[part + 7]", "2, start) >= plan[part + 7]", "cap of an exact window too low"),
    Planted(
        _READING, "2, start) > plan[part + 7]", "2, start) > plan[part + 7] + 1", "cap of an exact window too high"
    ),
    Planted(
        _READING,
        "if start <= data[row] < end and cell(data, row, column) != MISSING:\n            count",
        "if start <= data[row] <= end and cell(data, row, column) != MISSING:\n            count",
        "an event at the end fills an exact window",
    ),
    Planted(
        _TOTALS,
        "            if value != MISSING:\n                add_value(scratch",
        "            if value <= value:\n                add_value(scratch",
        "missing values are added up",
    ),
    Planted(
        _PICKS,
        "        if at < start or at >= end or value == MISSING:\n            continue\n",
        "        if at < start or at > end or value == MISSING:\n            continue\n",
        "an event at the end is the last",
    ),
    Planted(
        _PICKS,
        "better = at > best_at or (at == best_at and value > best)",
        "better = at >= best_at",
        "of equal instants not the greatest is last",
    ),
    Planted(
        _TOTALS,
        "weight = plan[weights + now - data[tile_at]]",
        "weight = plan[weights + now - data[tile_at] + 1]",
        "decayed: tiles one older",
    ),
    Planted(_PICKS, "if count > most:", "if count >= most:", "cap of distinct too low"),
    Planted(
        _PICKS,
        "and data[kept + 3 * low + 2] >= start:",
        "and data[kept + 3 * low + 2] > start:",
        "distinct: a value at the left end counted twice",
    ),
    Planted(
        _TOTALS,
        "    if column < 0:\n            more_high",
        "    if column <= 0:\n            more_high",
        "decayed: the first field is not read",
    ),
    # sealing
    Planted(_FOLDING, "if old[row] < cut:", "if old[row] <= cut:", "an event at the horizon is sealed"),
    Planted(_FOLDING, "if rows[r, 1] < cut:", "if rows[r, 1] <= cut:", "a new event at the horizon is sealed"),
    Planted(
        _MERGING,
        "lowest = (cut - reach) // tile if",
        "lowest = (cut - reach) // tile + 3 if",
        "tiles still in the window forgotten",
    ),
    Planted(
        _MERGING,
        "skip, j = max(0, n_old - i + n - most), 0",
        "skip, j = max(0, n_old + i + n - most), 0",
        "the forgotten take places of the kept",
    ),
    Planted(
        _MERGING,
        "skip, j = max(0, n_old - i + n - most), 0",
        "skip, j = max(0, n_old - i + n - most + 1), 0",
        "one too few of the latest kept",
    ),
    Planted(
        _MERGING,
        "[stable_order(times)[count - most]]",
        "[stable_order(times)[count - most + 1]]",
        "one too few different values kept",
    ),
    Planted(
        _MERGING,
        "out[same + 2] = max(out[same + 2], entries[r, 2])",
        "out[same + 2] = entries[r, 2]",
        "distinct: not the latest instant kept",
    ),
    Planted(
        _MERGING,
        "tile[w] = value if fresh else min(tile[w], value)",
        "tile[w] = min(tile[w], value)",
        "min: a fresh tile starts at zero",
    ),
    Planted(
        _MERGING,
        "tile[w] = value if fresh else max(tile[w], value)",
        "tile[w] = max(tile[w], value)",
        "max: a fresh tile starts at zero",
    ),
    Planted(
        _MERGING,
        "(at == tile[w] and value < tile[w + 1])",
        "(at == tile[w] and value > tile[w + 1])",
        "of equal instants not the smallest is first",
    ),
    Planted(
        _FOLDING,
        "total > most) and horizon >= known",
        "total > most) and horizon > known",
        "what is known at one instant is never sealed",
    ),
    Planted(_STATE, "out[n] = row + 3", "out[n] = row + 2", "the instant of a first text taken for its rank"),
    Planted(
        "online/consumer.py",
        "(piece.partition + 1 - len(offsets))",
        "(piece.partition - 1 - len(offsets))",
        "a further partition not noticed",
    ),
    Planted(
        _FOLDING,
        "total > most) and horizon >= known",
        "total > most) and horizon < known",
        "nothing is ever sealed, horizons fall",
    ),
    Planted(
        _MERGING,
        "old[position + 3 * i + 2] >= lowest",
        "old[position + 3 * i + 2] > lowest",
        "distinct: a value at the left end forgotten",
    ),
    Planted(
        _MERGING,
        "value != MISSING and some[r, 0] >= lowest:\n            entries",
        "value != MISSING and some[r, 0] > lowest:\n            entries",
        "distinct: a new value at the left end left out",
    ),
    Planted(
        _MERGING,
        "old[position + 2 * i] < lowest",
        "old[position + 2 * i] <= lowest",
        "latest: one at the left end forgotten",
    ),
    # forgetting
    Planted("online/consumer.py", "// bucket_us(plan) + 1", "// bucket_us(plan)", "keys fall due a bucket early"),
    Planted("online/consumer.py", "due <= bucket", "due < bucket", "keys are never forgotten"),
    Planted(
        "online/consumer.py",
        "if start * bucket_us(plan) <=",
        "if (start - 1) * bucket_us(plan) <=",
        "keys are looked at before they fall due",
    ),
    Planted(
        "online/reader.py", "if None in values:", "if None in values[:0]:", "a forgotten key answers for any instant"
    ),
    Planted(
        "online/consumer.py",
        "1] < counts.horizon_us - plan.reach_us",
        "1] <= counts.horizon_us - plan.reach_us",
        "the last event that can be seen is counted as late",
    ),
    # numbers
    Planted(
        _WIDE,
        "return high + more_high + (low >> 60), low & LOW_60",
        "return high + more_high, low & LOW_60",
        "carry of sums lost",
    ),
    Planted(_MERGING, "middle = 2 * high * low", "middle = high * low", "squares without their middle"),
    Planted(_WIDE, "((1 << -shift_left) - 1)", "((1 << -shift_left) - 2)", "a tie's lowest bit not seen"),
    Planted(
        _TOTALS,
        "q2 += data[tile_at + at_squares] + (q1 >> 60)",
        "q2 += data[tile_at + at_squares] - (q1 >> 60)",
        "carry of squares taken off",
    ),
    Planted(_WIDE, "shift = max(0, length - 62)", "shift = max(0, length - 52)", "doubles cut off"),
    Planted(
        _WIDE, "_put(digits, i + j, -(size[i] * size[j]))", "_put(digits, i + j, size[i] * size[j])", "std: sums added"
    ),
    Planted(_TOTALS, "/ float(n * (n - 1))", "/ float(n * n)", "std divided by n"),
    # encoding and keeping
    Planted("online/encode.py", "np.rint(np.where", "np.floor(np.where", "units cut off"),
    Planted(
        "online/encode.py",
        "(integers >= -most) & (integers <= most)",
        "(integers >= -most) & (integers < most)",
        "the largest whole number refused",
    ),
    Planted("online/consumer.py", "skip = max(0, start - piece.first)", "skip = 0", "repeated records counted again"),
    Planted(
        "online/consumer.py",
        "return now_us - self._grace",
        "return now_us - self._grace + 1",
        "horizon a microsecond late",
    ),
)
