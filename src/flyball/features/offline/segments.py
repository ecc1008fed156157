"""Events of one type sorted by key and time, and what the aggregates look up in them."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl

from flyball.core import SignedInts
from flyball.features.offline.chunks import Chunks
from flyball.features.offline.kernels import aggregate as aggregate
from flyball.features.offline.kernels import sort as sort
from flyball.features.offline.threads import over_rows, parts_of, run_calls

Int = type[np.int32] | type[np.int64]

LIMB_BITS, LIMBS = 14, 4
"""Units that could overflow 64 bits when added up are added up in four parts: three of 14 bits and a signed one."""


class Segments:
    """Events sorted by key, time and `ties`; events with a code below 0 are left out.

    `starts` (keys + 1,): where the events of each key begin. `seen_from`: the stamp from which an event is visible;
    None if every event before the end of a row is. `positions`: the position of each input row, -1 for none.
    """

    def __init__(
        self, codes: SignedInts, keys: int, at: Chunks, seen_from: SignedInts | None, ties: SignedInts | None = None
    ) -> None:
        order = _order_by_time(at, ties)
        self.keys = keys
        self.starts, self.positions = by_code(codes if order is None else codes[order], keys)
        if order is not None:
            targets = np.empty_like(self.positions)
            targets[order] = self.positions
            self.positions = targets
        self.at = self.scattered(at)
        self.all_seen = seen_from is None
        self.seen_from = np.empty(0, dtype=np.int64) if seen_from is None else self.scattered(Chunks(seen_from))
        self.longest = int(np.diff(self.starts).max(initial=0))

    def scattered(self, values: Chunks) -> SignedInts:
        """A column of the input, in the order of the events."""
        return scattered(values, self.positions, int(self.starts[-1]))

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """The keys in parts with about equal numbers of events."""
        edges = np.searchsorted(self.starts, [first for first, _ in parts_of(len(self.at))])
        return list(pairwise([0, *edges[1:].tolist(), self.keys]))

    @cached_property
    def source(self) -> SignedInts:
        """The input row of each event."""
        return self.scattered(Chunks(np.arange(len(self.positions))))

    def first_at_least(self, values: SignedInts, codes: SignedInts, least: SignedInts) -> SignedInts:
        """For each row, the first event of its key at which the ascending `values` are at least `least`."""
        out = np.empty(len(codes), dtype=self.positions.dtype)
        over_rows(sort.first_at_least, len(codes), self.starts, values, codes, least, out)
        return out

    def first_since(self, codes: SignedInts, ends: SignedInts, spans: Sequence[tuple[int, int]]) -> list[SignedInts]:
        """For each span (length, tile) and row, the first event of its key from `end - length`, by tiles, on."""
        lengths, tiles = np.array(spans, dtype=np.int64).T.copy()
        out = np.empty((len(spans), len(codes)), dtype=self.positions.dtype)
        over_rows(sort.first_since, len(codes), self.starts, self.at, codes, ends, lengths, tiles, out)
        return list(out)

    @cached_property
    def extremes(self) -> tuple[SignedInts, SignedInts]:
        """The highest `seen_from` up to each event, and the lowest from it on."""
        highest, lowest = np.empty_like(self.seen_from), np.empty_like(self.seen_from)
        sort.running_extremes(self.starts, self.seen_from, highest, lowest)
        return highest, lowest

    def tile_ends(self, tile_us: int) -> SignedInts:
        """For each event, the first event of its key in a later tile."""
        out = np.empty(len(self.at), dtype=np.int64)
        sort.ends_of_tiles(self.starts, self.at, tile_us, out)
        return out


class Column:
    """A value of each event of some segments: whole units, or ranks of `texts`."""

    def __init__(self, segments: Segments, values: SignedInts, texts: pl.Series | None = None) -> None:
        self.segments, self.values, self.texts = segments, values, texts
        self.largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    @cached_property
    def wide(self) -> SignedInts:
        """The values in 64 bits."""
        return self.values.astype(np.int64, copy=False)

    def prefix_of(self, values: SignedInts, kind: Int = np.int64) -> SignedInts:
        """Sums from the start of the events of each key."""
        out = np.empty(len(values) + self.segments.keys, dtype=kind)
        run_calls(sort.prefix_sums, self.segments.parts, self.segments.starts, values, out)
        return out

    @cached_property
    def prefix(self) -> SignedInts:
        small = self.largest * self.segments.longest < 1 << 31
        return self.prefix_of(self.values, np.int32 if small else np.int64)

    @cached_property
    def limbs(self) -> list[SignedInts]:
        """The values in parts, the lowest first: `sum(limb << 14 * k)`."""
        high, parts = self.wide, []
        for _ in range(LIMBS - 1):
            parts.append(high & ((1 << LIMB_BITS) - 1))
            high = high >> LIMB_BITS
        return [*parts, high]

    @cached_property
    def rising(self) -> "Blocks":
        return Blocks(self.values)

    @cached_property
    def falling(self) -> "Blocks":
        return Blocks(-self.values)

    @cached_property
    def before(self) -> SignedInts:
        """For each event, the previous one with the same key and value, or -1."""
        different, ranks = np.unique(self.values, return_inverse=True)
        out = np.empty(len(ranks), dtype=np.int64)
        sort.previous_same(self.segments.starts, ranks.astype(np.int64), len(different), out)
        return out


class Blocks:
    """Values with maxima of growing blocks: level k of `upper` is `[level_starts[k], level_starts[k + 1])`."""

    def __init__(self, values: SignedInts) -> None:
        levels, level_starts, below = [], [0], values
        while len(below) >= aggregate.FANOUT:
            level = np.empty(-(-len(below) // aggregate.FANOUT), dtype=values.dtype)
            aggregate.raise_level(below, level)
            levels.append(level)
            level_starts.append(level_starts[-1] + len(level))
            below = level
        self.values = values
        self.upper = np.concatenate(levels) if levels else np.empty(0, dtype=values.dtype)
        self.level_starts = np.array(level_starts, dtype=np.int64)


def index_type(count: int) -> Int:
    """An integer type that holds the positions of so many events, and -1."""
    return np.int32 if count < 1 << 31 else np.int64


def by_code(codes: SignedInts, keys: int) -> tuple[SignedInts, SignedInts]:
    """The start of each code in `[0, keys)`, and the position of each row in a stable sort by code, -1 if below 0."""
    parts = parts_of(len(codes))
    if keys * len(parts) > len(codes):
        parts = [(0, len(codes))]  # counting by part would take more memory than the rows do
    counts, starts = np.zeros((len(parts), keys), dtype=np.int64), np.empty(keys + 1, dtype=np.int64)
    targets: SignedInts = np.empty(len(codes), dtype=index_type(len(codes)))
    calls = [(*part, counts[number]) for number, part in enumerate(parts)]
    run_calls(sort.tally, calls, codes)
    sort.begin(counts, starts)
    run_calls(sort.number_by_code, calls, codes, targets)
    return starts, targets


def scattered(values: Chunks, targets: SignedInts, count: int) -> SignedInts:
    """The values, each at its target position."""
    out = np.empty(count, dtype=values.parts[0][1].dtype)
    run_calls(sort.scatter, values.parts, targets, out)
    return out


def _order_by_time(at: Chunks, ties: SignedInts | None) -> SignedInts | None:
    """The order by (at, ties), or None if they are in this order already."""
    least = at.least_step()
    if ties is not None and least <= 0:
        return np.lexsort((ties, at.whole))
    if least < 0:
        return np.argsort(at.whole, kind="stable")
    return None
