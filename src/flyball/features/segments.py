"""Events of one type sorted by key and time, and what the aggregates need to look up in them."""

from functools import cached_property

import numpy as np
import polars as pl

from flyball.features.kernels import folds, layout
from flyball.features.lifting import Ints

LIMB_BITS, LIMBS = 14, 4
"""Units that could overflow 64 bits when added up are added up in four parts: signed, then three of 14 bits."""


class Segments:
    """The events that pass one filter and have one value, by key and time; those of one instant by `ties`.

    `starts` (keys + 1,): where each key's events begin. `seen_from`: the stamp from which on an event is seen; None
    when a row sees every event before its own end. `values`: units or ranks (None: only counted).
    """

    def __init__(
        self,
        codes: Ints,
        keys: int,
        at: Ints,
        seen_from: Ints | None,
        values: Ints | None,
        ties: Ints | None,
        texts: pl.Series | None = None,
    ) -> None:
        order = _sorted_by_time(at, ties)
        if order is not None:
            codes = codes[order]
        self.keys, self.starts = keys, np.zeros(keys + 1, dtype=np.int64)
        kept = np.empty(int(np.count_nonzero(codes >= 0)), dtype=np.int64)
        layout.group(codes, keys, self.starts, kept)
        self.source = kept if order is None else order[kept]
        self.at = at[self.source]
        self.values = None if values is None else values[self.source]
        self.texts = texts
        self.seen_from = np.empty(0, dtype=np.int64) if seen_from is None else seen_from[self.source]
        self.all_seen = seen_from is None
        self.longest = int(np.diff(self.starts).max(initial=0))

    @property
    def units(self) -> Ints:
        if self.values is None:
            return np.ones(len(self.at), dtype=np.int64)
        return self.values

    @cached_property
    def largest(self) -> int:
        """The greatest size of a value."""
        if self.values is None:
            return 1
        return max(int(self.values.max(initial=0)), -int(self.values.min(initial=0)))

    @cached_property
    def prefix(self) -> Ints:
        return self.prefix_of(self.units)

    def prefix_of(self, values: Ints) -> Ints:
        out = np.empty(len(values) + self.keys, dtype=np.int64)
        layout.prefix_sums(self.starts, values, out)
        return out

    @cached_property
    def extremes(self) -> tuple[Ints, Ints]:
        """The highest `seen_from` up to each event and the lowest from it on."""
        highest, lowest = np.empty_like(self.seen_from), np.empty_like(self.seen_from)
        layout.running_extremes(self.starts, self.seen_from, highest, lowest)
        return highest, lowest

    def blocks(self, values: Ints) -> tuple[Ints, Ints]:
        """Maxima of ever longer blocks, level after level, and where each level begins."""
        levels, places, below = [], [0], values
        while len(below) >= folds.FANOUT:
            level = np.empty(-(-len(below) // folds.FANOUT), dtype=np.int64)
            folds.raise_level(below, level)
            levels.append(level)
            places.append(places[-1] + len(level))
            below = level
        upper = np.concatenate(levels) if levels else np.empty(0, dtype=np.int64)
        return upper, np.array(places, dtype=np.int64)

    @cached_property
    def before(self) -> Ints:
        """For each event the one before of the same key and value."""
        _, ranks = np.unique(self.units, return_inverse=True)
        out = np.empty(len(ranks), dtype=np.int64)
        layout.previous_same(self.starts, ranks.astype(np.int64), int(ranks.max(initial=-1)) + 1, out)
        return out

    def tile_ends(self, tile_us: int) -> Ints:
        out = np.empty(len(self.at), dtype=np.int64)
        folds.ends_of_tiles(self.starts, self.at, tile_us, out)
        return out

    @cached_property
    def limbs(self) -> list[Ints]:
        """The values in parts of 14 bits, the lowest first, the last signed."""
        rest, parts = self.units, []
        for _ in range(LIMBS - 1):
            parts.append(rest & ((1 << LIMB_BITS) - 1))
            rest = rest >> LIMB_BITS
        return [*parts, rest]


def _sorted_by_time(at: Ints, ties: Ints | None) -> Ints | None:
    """The order by (at, ties), or None when it is the order they come in."""
    steps = np.diff(at)
    if ties is not None and bool((steps <= 0).any()):
        return np.lexsort((ties, at))
    if bool((steps < 0).any()):
        return np.argsort(at, kind="stable")
    return None
