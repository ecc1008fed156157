"""The events that features read: their columns by key and time, and which of them each row may see."""

from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flyball.features.aggregates import Aggregate
from flyball.features.asked import Rows
from flyball.features.finishing import Ints
from flyball.features.keys import Codes, codes_of
from flyball.features.lifting import passing, text_column, units_column
from flyball.features.pieces import Pieces
from flyball.features.seen import Seen
from flyball.features.segments import Column, Segments
from flyball.features.values import TEXT
from flyball.features.windows import EXACT, LIFETIME, Window


class Reach(msgspec.Struct, frozen=True):
    """For each row (by key): events `[left, right)` are in its window, those before `sure` are all seen."""

    left: Ints
    sure: Ints
    right: Ints


class Source:
    """The events of one type, filter and key fields, with the columns that features read from them."""

    def __init__(self, rows: Rows, feature: Aggregate, fields: tuple[str, ...], frame: pl.DataFrame) -> None:
        self.rows, self.frame = rows, frame
        codes = codes_of(frame, fields, rows.keys)
        passed = passing(feature.where, frame)
        self.codes: Codes = codes if passed is None else np.where(passed, codes, -1)
        self.at = Pieces(frame["at"])
        self.seen: Seen = rows.seen.of(frame)
        self._columns: dict[Any, Column] = {}
        self._reaches: dict[Any, Reach] = {}
        self.kept: dict[Any, Any] = {}

    @cached_property
    def segments(self) -> Segments:
        """All events, values or not."""
        return self._segments(self.codes, None)

    @cached_property
    def counted(self) -> Column:
        """The value of features that read none."""
        return Column(self.segments, np.ones(len(self.segments.at), dtype=np.int64))

    @cached_property
    def by_offset(self) -> Segments:
        """All events, those of one instant in the order of the log."""
        return self._segments(self.codes, self.frame["offset"].to_numpy())

    def column(self, feature: Aggregate, ordered: bool) -> Column:
        """The feature's value of each event that has one; `ordered`: events of one instant by value."""
        if feature.value is None:
            return self.counted
        name = (feature.value.text(), feature.per_unit, ordered)
        if name not in self._columns:
            if feature.kind == TEXT:
                values = text_column(feature.value, self.frame)
            else:
                values = units_column(feature.value, feature.per_unit, self.frame)
            if values.usable is None and not ordered:
                segments = self.segments
            else:
                codes: Codes = self.codes if values.usable is None else np.where(values.usable, self.codes, -1)
                segments = self._segments(codes, values.numbers if ordered else None)
            self._columns[name] = Column(segments, segments.laid(Pieces(values.numbers)), values.texts)
        return self._columns[name]

    def reach(self, segments: Segments, window: Window, delay_us: int) -> Reach:
        """Which events each row may see, for rows that look from `at - delay_us` back."""
        name = (id(segments), window.kind, window.size_us, window.tile_us, delay_us)
        if name not in self._reaches:
            self._reaches[name] = self._reach(segments, window, delay_us)
        return self._reaches[name]

    def _reach(self, segments: Segments, window: Window, delay_us: int) -> Reach:
        codes, ends = self.rows.codes, self.rows.at - delay_us
        sure, right = self._seen(segments, delay_us)
        if window.kind == LIFETIME:
            return Reach(segments.starts[codes], sure, right)
        starts = ends - window.size_us
        if window.kind != EXACT:
            starts = starts // window.tile_us * window.tile_us
        return Reach(segments.first_at_least(segments.at, codes, starts), sure, right)

    def _seen(self, segments: Segments, delay_us: int) -> tuple[Ints, Ints]:
        """The first event that may not be seen, and the first at or after the end or with nothing seen from it on."""
        name = (id(segments), "seen", delay_us)
        if name not in self.kept:
            codes, stamps = self.rows.codes, self.rows.stamps
            sure = right = segments.first_at_least(segments.at, codes, self.rows.at - delay_us)
            if not segments.all_seen:
                highest, lowest = segments.extremes
                sure = np.minimum(segments.first_at_least(highest, codes, stamps + 1), right)
                right = np.minimum(segments.first_at_least(lowest, codes, stamps + 1), right)
            self.kept[name] = sure, right
        found: tuple[Ints, Ints] = self.kept[name]
        return found

    def _segments(self, codes: Codes, ties: Ints | None) -> Segments:
        return Segments(codes, self.rows.keys.count, self.at, self.seen.seen_from, ties)
