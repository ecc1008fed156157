"""Events of one type sorted by key and time, and what the aggregates look up in them."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.features.kernels import folds, layout
from flyball.features.threads import over_rows

Ints = npt.NDArray[np.int64]

LIMB_BITS, LIMBS = 14, 4
"""Units that could overflow 64 bits when added up are added up in four parts: three of 14 bits and a signed one."""


class Segments:
    """Events by key and time, those of one instant by `ties`; events with a code below 0 are left out.

    `starts` (keys + 1,): where each key's events begin. `seen_from`: the stamp from which on an event is seen; None
    when a row sees every event before its own end. `source`: which row of the input each event was.
    """

    def __init__(self, codes: Ints, keys: int, at: Ints, seen_from: Ints | None, ties: Ints | None = None) -> None:
        order = _order_by_time(at, ties)
        if order is not None:
            codes = codes[order]
        self.keys, self.starts = keys, np.zeros(keys + 1, dtype=np.int64)
        kept = np.empty(int(np.count_nonzero(codes >= 0)), dtype=np.int64)
        layout.group(codes, keys, self.starts, kept)
        self.source = kept if order is None else order[kept]
        self.at = self.gather(at)
        self.all_seen = seen_from is None
        self.seen_from = np.empty(0, dtype=np.int64) if seen_from is None else self.gather(seen_from)
        self.longest = int(np.diff(self.starts).max(initial=0))

    def gather(self, values: Ints) -> Ints:
        """What the input has for each event."""
        out = np.empty(len(self.source), dtype=np.int64)
        over_rows(layout.gather, len(out), values, self.source, out)
        return out

    def first_at_least(self, values: Ints, codes: Ints, wanted: Ints) -> Ints:
        """For each row the first event of its key where `values` (rising) is at least `wanted`."""
        out = np.empty(len(codes), dtype=np.int64)
        over_rows(layout.first_at_least, len(codes), self.starts, values, codes, wanted, out)
        return out

    @cached_property
    def extremes(self) -> tuple[Ints, Ints]:
        """The highest `seen_from` up to each event, and the lowest from it on."""
        highest, lowest = np.empty_like(self.seen_from), np.empty_like(self.seen_from)
        layout.running_extremes(self.starts, self.seen_from, highest, lowest)
        return highest, lowest

    def tile_ends(self, tile_us: int) -> Ints:
        """For each event the first one of its key in a later tile."""
        out = np.empty(len(self.at), dtype=np.int64)
        layout.ends_of_tiles(self.starts, self.at, tile_us, out)
        return out


class Column:
    """A value of each event of some segments: whole units, or ranks of `texts`."""

    def __init__(self, segments: Segments, values: Ints, texts: pl.Series | None = None) -> None:
        self.segments, self.values, self.texts = segments, values, texts
        self.largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))

    def prefix_of(self, values: Ints) -> Ints:
        out = np.empty(len(values) + self.segments.keys, dtype=np.int64)
        layout.prefix_sums(self.segments.starts, values, out)
        return out

    @cached_property
    def prefix(self) -> Ints:
        return self.prefix_of(self.values)

    @cached_property
    def limbs(self) -> list[Ints]:
        """The values in parts, the lowest first: `sum(limb << 14 * k)`."""
        rest, parts = self.values, []
        for _ in range(LIMBS - 1):
            parts.append(rest & ((1 << LIMB_BITS) - 1))
            rest = rest >> LIMB_BITS
        return [*parts, rest]

    @cached_property
    def rising(self) -> "Blocks":
        return Blocks(self.values)

    @cached_property
    def falling(self) -> "Blocks":
        return Blocks(-self.values)

    @cached_property
    def before(self) -> Ints:
        """For each event the one before it of the same key and value, or -1."""
        different, ranks = np.unique(self.values, return_inverse=True)
        out = np.empty(len(ranks), dtype=np.int64)
        layout.previous_same(self.segments.starts, ranks.astype(np.int64), len(different), out)
        return out


class Blocks:
    """Values with the maxima of ever longer blocks: level k of `upper` lies in `places[k]:places[k + 1]`."""

    def __init__(self, values: Ints) -> None:
        levels, places, below = [], [0], values
        while len(below) >= folds.FANOUT:
            level = np.empty(-(-len(below) // folds.FANOUT), dtype=np.int64)
            folds.raise_level(below, level)
            levels.append(level)
            places.append(places[-1] + len(level))
            below = level
        self.values = values
        self.upper = np.concatenate(levels) if levels else np.empty(0, dtype=np.int64)
        self.places = np.array(places, dtype=np.int64)


def _order_by_time(at: Ints, ties: Ints | None) -> Ints | None:
    """The order by (at, ties), or None when that is the order they come in."""
    steps = np.diff(at)
    if ties is not None and bool((steps <= 0).any()):
        return np.lexsort((ties, at))
    if bool((steps < 0).any()):
        return np.argsort(at, kind="stable")
    return None
