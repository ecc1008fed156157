"""Errors planted in the offline engine, one at a time; the tests must find each of them."""

# ruff: noqa: E501

import msgspec


class Planted(msgspec.Struct, frozen=True):
    """In `file` of the room, the one occurrence of `right` becomes `wrong`."""

    file: str
    right: str
    wrong: str
    what: str


_FOLDS, _LAYOUT = "offline/kernels/aggregate.py", "offline/kernels/sort.py"
_SOURCES, _FOLD = "offline/events.py", "offline/aggregate.py"

PLANTED = (
    # the window
    Planted(_LAYOUT, "since = ends[row] - spans[k]", "since = ends[row] - spans[k] + (spans[k] > 0)", "left end open"),
    Planted(
        _LAYOUT,
        "since = ends[row] - spans[k]",
        "since = ends[row] - spans[k] - (spans[k] > 0)",
        "left end a microsecond early",
    ),
    Planted(_LAYOUT, "since = ends[row] - spans[k]", "since = ends[row] + spans[k]", "window looks ahead"),
    Planted(_LAYOUT, "since // tiles[k] * tiles[k]", "-(-since // tiles[k]) * tiles[k]", "left end rounded up"),
    Planted(
        _LAYOUT,
        "since // tiles[k] * tiles[k]",
        "(since - 1) // tiles[k] * tiles[k]",
        "left end floored a microsecond early",
    ),
    Planted(
        _LAYOUT,
        "since // tiles[k] * tiles[k]",
        "(since + 1) // tiles[k] * tiles[k]",
        "left end floored a microsecond late",
    ),
    Planted(_LAYOUT, "since // tiles[k] * tiles[k]", "int(since / tiles[k]) * tiles[k]", "truncated towards 1970"),
    Planted(_LAYOUT, "since // tiles[k] * tiles[k]", "(since // tiles[k] + 1) * tiles[k]", "first tile lost"),
    Planted(_SOURCES, "0 if window.kind == EXACT", "0 if window.kind != EXACT", "tiled and exact exchanged"),
    Planted(_SOURCES, "_END = (0, 0)", "_END = (-1, 0)", "right end closed"),
    Planted(_SOURCES, "_END = (0, 0)", "_END = (1, 0)", "right end a microsecond early"),
    Planted(_SOURCES, "self.rows.at - delay_us, spans)", "self.rows.at, spans)", "delay left out"),
    Planted(
        _SOURCES, "self.rows.at - delay_us, spans)", "self.rows.at + delay_us, spans)", "delay with the wrong sign"
    ),
    Planted(
        _SOURCES,
        "segments.starts[self.rows.codes]",
        "segments.starts[self.rows.codes] + 1",
        "lifetime without its first event",
    ),
    Planted(
        _FOLD,
        "self._count() > self.feature.window.max_events",
        "self._count() >= self.feature.window.max_events",
        "cap of an exact window too low",
    ),
    Planted(
        _FOLD,
        "self._count() > self.feature.window.max_events",
        "self._count() > self.feature.window.max_events + 1",
        "cap of an exact window too high",
    ),
    Planted(_FOLD, "out <= self.feature.max_events", "out < self.feature.max_events", "cap of distinct too low"),
    Planted(_FOLD, "out <= self.feature.max_events", "out <= self.feature.max_events + 1", "cap of distinct too high"),
    Planted(_LAYOUT, "if values[middle] < x:", "if values[middle] <= x:", "search after equal stamps"),
    Planted(_LAYOUT, "if at[middle] < since:", "if at[middle] <= since:", "search after equal instants"),
    # what may be seen
    Planted(
        _SOURCES,
        "segments.first_at_least(highest, codes, stamps + 1)",
        "segments.first_at_least(highest, codes, stamps + 2)",
        "sure of what is known a microsecond later",
    ),
    Planted(
        _SOURCES,
        "segments.first_at_least(lowest, codes, stamps + 1)",
        "segments.first_at_least(lowest, codes, stamps)",
        "known at the instant is not seen",
    ),
    Planted(
        _SOURCES,
        "segments.first_at_least(highest, codes, stamps + 1), right)",
        "segments.first_at_least(lowest, codes, stamps + 1), right)",
        "sure of what is not known",
    ),
    Planted(_SOURCES, "if not segments.all_seen:", "if segments.all_seen:", "known time left out"),
    Planted(
        _FOLDS,
        "total = max(sure[row] - left[row], 0)\n        for i in range(max(left[row], sure[row]), right[row]):\n            if seen_from[i] <= stamps[row]:",
        "total = max(sure[row] - left[row], 0)\n        for i in range(max(left[row], sure[row]), right[row]):\n            if seen_from[i] < stamps[row]:",
        "count: known at the instant is not seen",
    ),
    Planted(
        _FOLDS,
        "            if seen_from[i] <= stamps[row]:\n                total += values[i]\n        out[order[row]] = total\n\n\n@njit(cache=True, nogil=True)\ndef raise_level",
        "            total += values[i]\n        out[order[row]] = total\n\n\n@njit(cache=True, nogil=True)\ndef raise_level",
        "sum: what is not known is seen",
    ),
    Planted(
        _FOLDS,
        "            if seen_from[i] <= stamps[row]:\n                best",
        "            if seen_from[i] >= stamps[row]:\n                best",
        "max: seen and unseen exchanged",
    ),
    Planted(
        _FOLDS,
        "            if seen_from[i] <= stamps[row]:\n                out[order[row], count] = i",
        "            if seen_from[i] < stamps[row]:\n                out[order[row], count] = i",
        "last: known at the instant is not seen",
    ),
    Planted(
        _FOLDS,
        "            if seen_from[i] <= stamps[row]:\n                out[order[row]] = i",
        "            if seen_from[i] < stamps[row]:\n                out[order[row]] = i",
        "first: known at the instant is not seen",
    ),
    Planted(
        _FOLDS,
        "seen_from[j] > stamps[row]:",
        "seen_from[j] >= stamps[row]:",
        "distinct: an earlier one known at the instant is not seen",
    ),
    Planted(_FOLDS, "if j < left[row]:", "if j <= left[row]:", "distinct: the first event of the window is outside it"),
    Planted(
        _FOLDS,
        "            if seen_from[i] <= stamps[row]:\n                total += weights",
        "            if seen_from[i] < stamps[row]:\n                total += weights",
        "decayed: known at the instant is not seen",
    ),
    Planted(
        "offline/visibility.py",
        "known_at + self.apply_delay_us).to_numpy()",
        "known_at - self.apply_delay_us).to_numpy()",
        "apply delay with the wrong sign",
    ),
    Planted(
        "offline/visibility.py",
        "known_at + self.apply_delay_us).to_numpy()",
        "known_at + 0).to_numpy()",
        "apply delay left out",
    ),
    Planted(
        "offline/visibility.py", "not (known_at > at).any()", "not (known_at < at).any()", "late events taken for known"
    ),
    Planted(
        "offline/visibility.py", "if self.apply_delay_us <= 0 and", "if", "apply delay forgotten where nothing is late"
    ),
    Planted(
        "offline/visibility.py",
        'offsets[here], side="right")',
        'offsets[here], side="left")',
        "the event at the offset itself is seen",
    ),
    Planted(
        "offline/visibility.py",
        "for partition in range(chain.shape[1]):",
        "for partition in range(1, chain.shape[1]):",
        "the first partition is never seen",
    ),
    Planted(
        "offline/visibility.py",
        "return all(later_offset >= earlier_offset",
        "return any(later_offset >= earlier_offset",
        "offsets chained that do not rise together",
    ),
    Planted(
        "offline/visibility.py",
        "np.full(len(offsets), len(chain), dtype=np.int64)",
        "np.full(len(offsets), 0, dtype=np.int64)",
        "partitions beyond the vector are seen",
    ),
    # order and layout
    Planted(
        "offline/segments.py",
        "np.lexsort((ties, at.whole))",
        "np.argsort(at.whole, kind='stable')",
        "equal instants in order of arrival",
    ),
    Planted(
        "offline/segments.py",
        "np.lexsort((ties, at.whole))",
        "np.lexsort((-ties, at.whole))",
        "equal instants by falling value",
    ),
    Planted(
        "offline/segments.py",
        "ties is not None and least <= 0",
        "ties is not None and least < 0",
        "equal instants not noticed",
    ),
    Planted(
        "offline/segments.py",
        "    if least < 0:\n",
        "    if least < -1:\n",
        "events a microsecond out of order not noticed",
    ),
    Planted(
        "offline/chunks.py",
        "min([*inside, *between])",
        "min(inside)",
        "the first of a chunk not compared with the last",
    ),
    Planted(
        "offline/chunks.py",
        "            start += len(chunk)\n",
        "            start = len(chunk)\n",
        "third chunk in the place of the second",
    ),
    Planted(
        "offline/segments.py", "*edges[1:].tolist(), self.keys]", "*edges[1:].tolist()]", "no sums of the last keys"
    ),
    Planted("offline/keys.py", "np.flatnonzero(present) + low", "np.flatnonzero(present)", "keys counted from 0"),
    Planted(_LAYOUT, "counts[part, c] = total", "counts[part, c] = starts[c]", "parts laid over one another"),
    Planted(_LAYOUT, "        if target >= 0:\n", "        if target > 0:\n", "the first place left out"),
    Planted(_LAYOUT, "out[i + 1 + c] = total", "out[i + c] = total", "prefix sums hold one event too many"),
    Planted(
        _LAYOUT,
        "highest[i] = seen_from[i] if i == first else max(",
        "highest[i] = seen_from[i] if i == first else min(",
        "highest stamp is the lowest",
    ),
    Planted(
        _LAYOUT,
        "else min(lowest[i + 1], seen_from[i])",
        "else max(lowest[i + 1], seen_from[i])",
        "lowest stamp is the highest",
    ),
    Planted(
        _LAYOUT, "before if before >= starts[c] else -1", "before", "the same value of another key counts as before"
    ),
    Planted(
        _LAYOUT,
        "at[i + 1] // tile != at[i] // tile",
        "at[i + 1] // tile > at[i] // tile + 1",
        "neighboring tiles taken for one",
    ),
    Planted(
        "offline/keys.py",
        "np.where(codes < 0, frame.height, codes)",
        "np.where(codes < 0, 0, codes)",
        "a missing key reads another's events",
    ),
    Planted(_LAYOUT, "low <= key <= high", "low < key <= high", "the lowest key is not found"),
    # adding up
    Planted(
        _FOLDS,
        "prefix[sure[row] + codes[row]] - prefix[left[row] + codes[row]]",
        "prefix[sure[row] + codes[row]] + prefix[left[row] + codes[row]]",
        "prefix sums added",
    ),
    Planted(
        _FOLDS,
        "if sure[row] > left[row]:\n            total = prefix",
        "if sure[row] >= left[row] + 2:\n            total = prefix",
        "a single sure event lost",
    ),
    Planted("offline/finalize.py", "2 if feature.op == STD else 1", "1", "std of one value"),
    Planted("offline/finalize.py", "2 if feature.op == STD else 1", "2", "mean of one value missing"),
    Planted("offline/finalize.py", "(several * (several - 1))", "(several * several)", "std divided by n"),
    Planted("offline/finalize.py", "high_t * high_t\n", "high_t * low_t\n", "wrong halves multiplied"),
    Planted(
        "offline/finalize.py",
        "drawn / (n.astype(np.float64) + feature.weight)",
        "drawn / (n.astype(np.float64) + feature.weight + 1)",
        "target divided by one more",
    ),
    Planted(
        "offline/finalize.py",
        "sums / (several * feature.per_unit)",
        "sums / several / (feature.per_unit)",
        "mean rounded twice",
    ),
    Planted(
        _FOLD,
        "fits = most * longest < _FITS_SUM",
        "fits = most * longest < _FITS_SUM << 8",
        "sums of 64 bits overflow",
    ),
    Planted(
        _FOLD,
        "most * most * longest >= _FITS_SQUARES",
        "most * longest >= _FITS_SQUARES",
        "squares of 64 bits overflow",
    ),
    Planted(_FOLD, "(1 << LIMB_BITS * (i + j))", "(1 << LIMB_BITS * i)", "limbs of squares in the wrong place"),
    Planted(_FOLD, "most * WEIGHT_ONE < _NONE * -1", "most < _NONE * -1", "decayed sums of 64 bits overflow"),
    Planted(
        _FOLDS,
        "total += weights[now - at[i] // tile] * (",
        "total += weights[now - at[i] // tile - 1] * (",
        "decayed: age one tile too young",
    ),
    Planted(_FOLDS, "stop = min(tile_ends[i], sure[row])", "stop = tile_ends[i]", "decayed: beyond what is sure"),
    Planted(
        _FOLDS, "now = ends[row] // tile", "now = (ends[row] - 1) // tile", "decayed: age from a microsecond early"
    ),
    # extremes, last, first, distinct
    Planted(
        _FOLDS,
        "while i < j and i % FANOUT != 0:\n            best",
        "while i + 1 < j and i % FANOUT != 0:\n            best",
        "max: the last before a block lost",
    ),
    Planted(
        _FOLDS,
        "                j -= 1\n                best = max(best, upper[level_start + j])",
        "                best = max(best, upper[level_start + j])\n                j -= 1",
        "max: block after the last",
    ),
    Planted(
        _FOLDS,
        "range(block * FANOUT + 1, min((block + 1) * FANOUT, len(values)))",
        "range(block * FANOUT + 1, min((block + 1) * FANOUT - 1, len(values)))",
        "the last of a block left out",
    ),
    Planted(_FOLD, "out if self.feature.op == MAX else -out, 0", "out, 0", "min with the wrong sign"),
    Planted(
        _FOLD,
        "column.rising if self.feature.op == MAX else column.falling",
        "column.falling if self.feature.op == MAX else column.rising",
        "min and max exchanged",
    ),
    Planted(
        _FOLDS,
        "range(right[row] - 1, max(left[row], sure[row]) - 1, -1)",
        "range(right[row] - 1, max(left[row], sure[row]), -1)",
        "last: one event left out",
    ),
    Planted(
        _FOLDS,
        "range(sure[row] - 1, left[row] - 1, -1)",
        "range(sure[row] - 1, left[row], -1)",
        "last: the first of the window left out",
    ),
    Planted(
        _FOLDS,
        "if left[row] < sure[row]:\n            out[order[row]] = left[row]",
        "if left[row] <= sure[row]:\n            out[order[row]] = left[row]",
        "first: of an empty window",
    ),
    Planted(
        _FOLDS,
        "_mark(tree, size, before[passed] - low, -1)",
        "_mark(tree, size, before[passed] - low, 0)",
        "distinct: repeated values counted again",
    ),
    Planted(
        _FOLDS,
        "_marks(tree, sure[row] - low) - _marks(tree, left[row] - low)",
        "_marks(tree, sure[row] - low) - _marks(tree, left[row] - low + 1)",
        "distinct: the first of the window left out",
    ),
    Planted(_FOLDS, "while i <= size:", "while i < size:", "distinct: the last mark lost"),
    Planted(
        _FOLD,
        "np.lexsort((self.reach.sure, self.rows.codes))",
        "np.arange(len(self.rows.codes))",
        "distinct: rows not in order",
    ),
    Planted("offline/point_in_time.py", "pl.when(bottom != 0)", "pl.when(bottom >= 0)", "ratio by zero"),
    Planted(
        _SOURCES,
        'self.frame["offset"].to_numpy())',
        '-self.frame["offset"].to_numpy())',
        "attribute: the earlier profile of an instant",
    ),
    Planted(
        _FOLD,
        'frame[value.args[0]] if value.op == "field" else',
        'frame[value.args[0]] if value.op != "" else',
        "attribute: a calculated one read as a field",
    ),
    # values
    Planted(
        "offline/kernels/units.py", "np.rint(values[i] * per_unit)", "np.floor(values[i] * per_unit)", "units cut off"
    ),
    Planted(
        "offline/kernels/units.py",
        "abs(values[i] * per_unit) <= most",
        "abs(values[i] * per_unit) < most",
        "the largest real refused",
    ),
    Planted("offline/encode.py", "SMALL = (1 << 31) - 1", "SMALL = 1 << 32", "units of more than 32 bits cut off"),
    Planted(
        "offline/segments.py",
        "self.segments.longest < 1 << 31",
        "self.segments.longest < 1 << 40",
        "sums of 32 bits overflow",
    ),
    Planted(
        "offline/encode.py",
        "(numbers >= -most) & (numbers <= most)",
        "(numbers >= -most) & (numbers < most)",
        "the largest whole number refused",
    ),
    Planted("offline/encode.py", "numbers.max()) > most", "numbers.max()) > most + 1", "beyond the largest accepted"),
    Planted("offline/encode.py", "column.fill_null(np.nan)", "column.fill_null(0.0)", "missing is zero"),
    Planted(
        "offline/encode.py",
        "present = column.is_not_null().to_numpy()",
        "present = None",
        "missing whole numbers are zero",
    ),
    Planted(
        "declaration/windows.py",
        "size_us % tile_us == 0 and size_us // tile_us >= FEWEST_TILES",
        "size_us % tile_us == 0 and size_us // tile_us > FEWEST_TILES",
        "default tile one step too fine",
    ),
    Planted(
        "declaration/windows.py",
        "if size_us % tile_us:\n",
        "if tile_us > size_us:\n",
        "a tile that does not divide is accepted",
    ),
    Planted("declaration/columns.py", "compared & column.is_not_nan()", "compared", "NaN is greater than all"),
    Planted(
        "declaration/columns.py", "compared.fill_null(False)", "compared.fill_null(True)", "missing is less than all"
    ),
    Planted("declaration/columns.py", "column.ne_missing(", "column.ne(", "missing does not differ"),
    Planted("declaration/columns.py", '"<=": column.le', '"<=": column.lt', "at most is less"),
    # rows on threads
    Planted("offline/threads.py", "range(threads + 1)", "range(threads)", "the last part of the rows left out"),
    Planted(
        "offline/threads.py",
        "rows * part // threads for",
        "rows // threads * part for",
        "the rest of the rows left out",
    ),
    Planted("offline/threads.py", "done.result()", "done.exception()", "an error in a part is lost"),
    Planted(_LAYOUT, "if i + 1 == starts[c + 1] or", "if i + 1 == len(at) or", "a tile goes on into the next key"),
    Planted(_LAYOUT, "if i == first else max(", "if i == 0 else max(", "the highest stamp of the key before"),
)
