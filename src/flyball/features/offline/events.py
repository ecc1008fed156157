"""The events that features read, as columns sorted by key and time, and their visibility for each row."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flyball.core import Ints
from flyball.features.declaration.aggregates import ADDED, ATTRIBUTE, COUNT, DECAYED, DISTINCT, MAX, MIN, Aggregate
from flyball.features.declaration.values import TEXT
from flyball.features.declaration.windows import EXACT, LIFETIME, Window
from flyball.features.offline.chunks import Chunks
from flyball.features.offline.encode import passing, text_column, units_column
from flyball.features.offline.keys import Codes, codes_of
from flyball.features.offline.query_rows import QueryRows
from flyball.features.offline.segments import Column, Segments
from flyball.features.offline.visibility import Visible

_END = (0, 0)


def _span(window: Window) -> tuple[int, int]:
    """The length of a window, and the tile size that its start is aligned to, 0 for none; microseconds."""
    return window.size_us, 0 if window.kind == EXACT else window.tile_us


class Reach(msgspec.Struct, frozen=True):
    """For each row, events `[left, right)` are in its window, and all events before `sure` are visible."""

    left: Ints
    sure: Ints
    right: Ints


class EventSource:
    """The events of one type, filter and key fields, with the columns that `features` read from them."""

    def __init__(
        self, rows: QueryRows, features: Sequence[Aggregate], fields: tuple[str, ...], frame: pl.DataFrame
    ) -> None:
        self.rows, self.features, self.frame = rows, features, frame
        codes = codes_of(frame, fields, rows.keys)
        passed = passing(features[0].where, frame)
        self.codes: Codes = codes if passed is None else np.where(passed, codes, -1)
        self.at = Chunks(frame["at"])
        self.seen: Visible = rows.seen.of(frame)
        self._columns: dict[Any, Column] = {}
        self._edges: dict[Any, dict[tuple[int, int], Ints]] = {}
        self._reaches: dict[Any, Reach] = {}
        self.kept: dict[Any, Any] = {}

    @cached_property
    def segments(self) -> Segments:
        """All events, with or without values."""
        return self._segments(self.codes, None)

    @cached_property
    def counted(self) -> Column:
        """The value of features that read no field."""
        return Column(self.segments, np.ones(len(self.segments.at), dtype=np.int64))

    @cached_property
    def by_offset(self) -> Segments:
        """All events; events of the same time are in the order of the log."""
        return self._segments(self.codes, self.frame["offset"].to_numpy())

    def segments_of(self, feature: Aggregate) -> Segments:
        """The events that the feature may use."""
        if feature.op == COUNT:
            return self.segments
        return self.by_offset if feature.op == ATTRIBUTE else self.column(feature).segments

    def column(self, feature: Aggregate) -> Column:
        """The values of events that have one; if it matters, events of the same time are ordered by value."""
        if feature.value is None:
            return self.counted
        ordered = feature.op not in (*ADDED, MIN, MAX, DISTINCT, DECAYED)
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
            self._columns[name] = Column(segments, segments.scattered(Chunks(values.numbers)), values.texts)
        return self._columns[name]

    def reach(self, feature: Aggregate) -> Reach:
        """The visible events of `segments_of` the feature, for each row."""
        segments, window, delay_us = self.segments_of(feature), feature.window, feature.delay_us
        name = (id(segments), window.kind, _span(window), delay_us)
        if name not in self._reaches:
            sure, right = self._seen(segments, delay_us)
            if window.kind == LIFETIME:
                left: Ints = segments.starts[self.rows.codes]
            else:
                left = self._since(segments, delay_us)[_span(window)]
            self._reaches[name] = Reach(left, sure, right)
        return self._reaches[name]

    def _since(self, segments: Segments, delay_us: int) -> dict[tuple[int, int], Ints]:
        """The first event from the window's end, `at - delay_us`, on, and from the start of each of the windows on."""
        name = (id(segments), delay_us)
        if name not in self._edges:
            delayed = [
                feature
                for feature in self.features
                if feature.delay_us == delay_us and self.segments_of(feature) is segments
            ]
            windows = [feature.window for feature in delayed if feature.window.kind != LIFETIME]
            spans = list(dict.fromkeys([_END, *map(_span, windows)]))
            starts = segments.first_since(self.rows.codes, self.rows.at - delay_us, spans)
            self._edges[name] = dict(zip(spans, starts, strict=True))
        return self._edges[name]

    def _seen(self, segments: Segments, delay_us: int) -> tuple[Ints, Ints]:
        """The first event that may be invisible, and the first at or after the window's end or followed by no visible
        one."""
        name = (id(segments), "seen", delay_us)
        if name not in self.kept:
            codes, stamps = self.rows.codes, self.rows.stamps
            sure = right = self._since(segments, delay_us)[_END]
            if not segments.all_seen:
                highest, lowest = segments.extremes
                sure = np.minimum(segments.first_at_least(highest, codes, stamps + 1), right)
                right = np.minimum(segments.first_at_least(lowest, codes, stamps + 1), right)
            self.kept[name] = sure, right
        bounds: tuple[Ints, Ints] = self.kept[name]
        return bounds

    def _segments(self, codes: Codes, ties: Ints | None) -> Segments:
        return Segments(codes, self.rows.keys.count, self.at, self.seen.seen_from, ties)
