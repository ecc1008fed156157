"""The values of features for any rows of keys and instants, computed from history at once."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flyball.core import BadInput
from flyball.features.aggregates import (
    ADDED,
    ATTRIBUTE,
    COUNT,
    DECAYED,
    DISTINCT,
    FIRST,
    LAST_N,
    MAX,
    MIN,
    STD,
    WEIGHT_ONE,
    Aggregate,
)  # fmt: skip
from flyball.features.entity import Entity
from flyball.features.finishing import (
    Ints,
    Mask,
    added_series,
    added_wide,
    masked,
    result_type,
    units_series,
)  # fmt: skip
from flyball.features.formulas import decayed_value
from flyball.features.groups import Definition, Features, Group
from flyball.features.kernels import folds
from flyball.features.keys import Codes, codes_of, distinct_keys
from flyball.features.lifting import by_row, passing, text_column, units_column
from flyball.features.pieces import Pieces
from flyball.features.seen import Seen, Stamps, stamps_of
from flyball.features.segments import LIMB_BITS, Blocks, Column, Segments, by_code, laid
from flyball.features.threads import over_rows
from flyball.features.values import BOOL, INT, REAL, TEXT
from flyball.features.windows import EXACT, LIFETIME, Window

_NONE = -(1 << 62)
_FITS_SUM, _FITS_SQUARES, _FITS_EVENTS = 1 << 60, 1 << 62, 1 << 24


def point_in_time(
    groups: Sequence[Entity | Features | Group],
    events: Mapping[str, pl.DataFrame],
    rows: pl.DataFrame,
    *,
    apply_delay_us: int = 0,
) -> pl.DataFrame:
    """`rows` with a column for each feature of `groups`, "user.watched" and so on, in the order they were declared.

    `events`: {type: frame} with the fields and `at, known_at, partition, offset` (a `Snapshot.frame`); a type that is
    absent has no events. `rows`: one column for each key (named as the entity or field, text or whole numbers) and
    `at`, microseconds. A row with a list in the column `offsets` sees the events before those offsets, any other row
    those with `known_at + apply_delay_us <= at`. Missing values are null. Raises `BadInput` for columns that lack.
    """
    bound = [group if isinstance(group, Group) else group.features for group in groups]
    _check(bound, events, rows)
    parts = []
    for seen in stamps_of(rows, apply_delay_us):
        chosen = rows if seen.rows is None else rows[seen.rows]
        computed = [series for group in bound for series in _Rows(group, chosen, seen).series(events)]
        frame = pl.DataFrame(computed) if computed else pl.DataFrame()
        parts.append(frame if seen.rows is None else frame.with_columns(pl.Series("_row", seen.rows)))
    if len(parts) == 1 and "_row" not in parts[0].columns:
        return rows.hstack(parts[0].get_columns())
    together = pl.concat(parts).sort("_row").drop("_row")
    return rows.hstack(together.get_columns())


def _check(groups: Sequence[Group], events: Mapping[str, pl.DataFrame], rows: pl.DataFrame) -> None:
    for name in ["at", *(key for group in groups for key in group.keys)]:
        if name not in rows.columns:
            raise BadInput("rows", f"a frame with a column {name!r}", rows.columns)
    if rows["at"].dtype != pl.Int64 or rows["at"].null_count():
        raise BadInput("column 'at' of rows", "microseconds, Int64 without nulls", rows["at"].dtype)
    for event in (event for group in groups for event in group.event_types):
        frame = events.get(event.__name__.lower())
        if frame is not None:
            lacking = {"at", "known_at", "partition", "offset"} - set(frame.columns)
            if lacking:
                raise BadInput(f"frame of {event.__name__}", f"with {', '.join(sorted(lacking))}", frame.columns)


class _Reach(msgspec.Struct, frozen=True):
    """For each row (by key): events `[left, right)` are in its window, those before `sure` are all seen."""

    left: Ints
    sure: Ints
    right: Ints


class _Rows:
    """The rows of one group, sorted by key; `order`: which row of those given each is."""

    def __init__(self, group: Group, rows: pl.DataFrame, seen: Stamps) -> None:
        self.group, self.seen = group, seen
        self.keys = distinct_keys(rows, group.keys)
        codes, count = self.keys.row_codes, self.keys.count
        _, places = by_code(codes, count)
        columns = codes, rows["at"], seen.stamps, np.arange(len(codes), dtype=places.dtype)
        self.codes, self.at, self.stamps, self.order = (laid(Pieces(one), places, len(codes)) for one in columns)
        self._sources: dict[Any, _Source] = {}

    def series(self, events: Mapping[str, pl.DataFrame]) -> list[pl.Series]:
        """One column for each definition, in the order of the rows given."""
        return [self._definition(one, events).alias(one.name) for one in self.group.definitions]

    def _definition(self, definition: Definition, events: Mapping[str, pl.DataFrame]) -> pl.Series:
        parts = [self._aggregate(part, fields, events) for part, fields in definition.aggregates]
        if len(parts) == 1:
            return parts[0]
        top, bottom = (part.cast(pl.Float64) for part in parts)
        return pl.select(pl.when(bottom != 0).then(top / bottom)).to_series()

    def _aggregate(self, feature: Aggregate, fields: tuple[str, ...], events: Mapping[str, pl.DataFrame]) -> pl.Series:
        name = feature.event.__name__.lower()
        where = None if feature.where is None else feature.where.text()
        source = self._sources.get((name, fields, where))
        if source is None:
            frame = events.get(name)
            source = _Source(self, feature, fields, _no_events(feature) if frame is None else frame)
            self._sources[name, fields, where] = source
        return _Fold(self, source, feature).series()


def _no_events(feature: Aggregate) -> pl.DataFrame:
    columns = dict.fromkeys(feature.event.__struct_fields__, pl.Null)
    return pl.DataFrame(schema=columns | dict.fromkeys(("at", "known_at", "partition", "offset"), pl.Int64))


class _Source:
    """The events of one type, filter and key fields, with the columns that features read from them."""

    def __init__(self, rows: _Rows, feature: Aggregate, fields: tuple[str, ...], frame: pl.DataFrame) -> None:
        self.rows, self.frame = rows, frame
        codes = codes_of(frame, fields, rows.keys)
        passed = passing(feature.where, frame)
        self.codes: Codes = codes if passed is None else np.where(passed, codes, -1)
        self.at = Pieces(frame["at"])
        self.seen: Seen = rows.seen.of(frame)
        self._columns: dict[Any, Column] = {}
        self._reaches: dict[Any, _Reach] = {}
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

    def reach(self, segments: Segments, window: Window, delay_us: int) -> _Reach:
        """Which events each row may see, for rows that look from `at - delay_us` back."""
        name = (id(segments), window.kind, window.size_us, window.tile_us, delay_us)
        if name not in self._reaches:
            self._reaches[name] = self._reach(segments, window, delay_us)
        return self._reaches[name]

    def _reach(self, segments: Segments, window: Window, delay_us: int) -> _Reach:
        codes, ends = self.rows.codes, self.rows.at - delay_us
        sure, right = self._seen(segments, delay_us)
        if window.kind == LIFETIME:
            return _Reach(segments.starts[codes], sure, right)
        starts = ends - window.size_us
        if window.kind != EXACT:
            starts = starts // window.tile_us * window.tile_us
        return _Reach(segments.first_at_least(segments.at, codes, starts), sure, right)

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


class _Fold:
    """One aggregate over the rows of a group."""

    def __init__(self, rows: _Rows, source: _Source, feature: Aggregate) -> None:
        self.rows, self.feature = rows, feature
        ordered = feature.op not in (*ADDED, MIN, MAX, DISTINCT, DECAYED)
        self.source = source
        self.column = None if feature.op in (COUNT, ATTRIBUTE) else source.column(feature, ordered)
        if self.column is not None:
            self.segments = self.column.segments
        else:
            self.segments = source.segments if feature.op == COUNT else source.by_offset
        self.reach = source.reach(self.segments, feature.window, feature.delay_us)

    def series(self) -> pl.Series:
        series = self._value()
        if self.feature.window.kind == EXACT:
            return series.set(pl.Series(self._count() > self.feature.window.max_events), None)
        return series

    def _value(self) -> pl.Series:
        op = self.feature.op
        if op == COUNT:
            return pl.Series(self._count())
        if self.column is None:
            return self._attribute()
        if op in ADDED:
            return self._added(self.column)
        if op in (MIN, MAX):
            return self._extreme(self.column)
        if op == DISTINCT:
            return self._distinct(self.column)
        if op == DECAYED:
            return self._decayed(self.column)
        return self._listed(self.column) if op == LAST_N else self._single(self.column)

    @property
    def _window(self) -> tuple[Any, ...]:
        reach = self.reach
        return reach.left, reach.sure, reach.right, self.segments.seen_from, self.rows.stamps, self.rows.order

    def _empty(self) -> Ints:
        return np.empty(len(self.rows.codes), dtype=np.int64)

    def _count(self) -> Ints:
        name = ("count", id(self.reach))
        if name not in self.source.kept:
            out = self._empty()
            over_rows(folds.counts, len(self.rows.codes), *self._window, out)
            self.source.kept[name] = out
        found: Ints = self.source.kept[name]
        return found

    def _sum(self, column: Column, values: Ints, prefix: Ints) -> Ints:
        out = self._empty()
        over_rows(folds.sums, len(self.rows.codes), self.rows.codes, *self._window, prefix, values, out)
        return out

    def _added(self, column: Column) -> pl.Series:
        most, longest, squared = column.largest, self.segments.longest, self.feature.op == STD
        fits = most * longest < _FITS_SUM and longest < _FITS_EVENTS
        if not fits or (squared and most * most * longest >= _FITS_SQUARES):
            return self._added_wide(column)
        total, squares = self._sum(column, column.values, column.prefix), None
        if squared:
            each = column.wide * column.wide
            squares = self._sum(column, each, column.prefix_of(each))
        return added_series(self.feature, self._count(), total, squares)

    def _added_wide(self, column: Column) -> pl.Series:
        limbs = column.limbs
        zero = np.zeros(len(self.rows.codes), dtype=object)
        total, squares = zero, zero
        for i, one in enumerate(limbs):
            total = total + self._python(column, one) * (1 << LIMB_BITS * i)
            if self.feature.op == STD:
                for j, other in enumerate(limbs):
                    squares = squares + self._python(column, one * other) * (1 << LIMB_BITS * (i + j))
        return added_wide(self.feature, self._count(), total.tolist(), squares.tolist())

    def _python(self, column: Column, values: Ints) -> Any:
        return self._sum(column, values, column.prefix_of(values)).astype(object)

    def _extreme(self, column: Column) -> pl.Series:
        blocks: Blocks = column.rising if self.feature.op == MAX else column.falling
        out = self._empty()
        over_rows(
            folds.greatest, len(self.rows.codes), *self._window, blocks.values, blocks.upper, blocks.places, _NONE, out
        )
        present = out != _NONE
        units = np.where(present, out if self.feature.op == MAX else -out, 0)
        return units_series(self.feature, units, present, None)

    def _distinct(self, column: Column) -> pl.Series:
        out = self._empty()
        order = np.lexsort((self.reach.sure, self.rows.codes))
        codes, starts = self.rows.codes, self.segments.starts
        over_rows(
            folds.different,
            len(self.rows.codes),
            order,
            starts,
            codes,
            *self._window,
            column.before,
            self.segments.longest,
            out,
        )
        return masked(out, out <= self.feature.max_events)

    def _decayed(self, column: Column) -> pl.Series:
        most = column.largest * self.segments.longest
        if most * WEIGHT_ONE < _NONE * -1:
            weighted = [self._weighted(column, column.values)]
        else:
            weighted = [self._weighted(column, limb) for limb in column.limbs]
        n, read = self._count(), self.feature.value is not None
        if len(weighted) == 1:
            doubles = weighted[0].astype(np.float64) / float(WEIGHT_ONE * self.feature.per_unit)
            return masked(doubles, n > 0 if read else n >= 0)
        total: Any = sum(part.astype(object) * (1 << LIMB_BITS * k) for k, part in enumerate(weighted))
        values = [decayed_value(self.feature, *row) for row in zip(n.tolist(), total, strict=True)]
        return pl.Series(values, dtype=pl.Float64)

    def _weighted(self, column: Column, values: Ints) -> Ints:
        tile, out = self.feature.window.tile_us, self._empty()
        ends = self.rows.at - self.feature.delay_us
        weights = np.array(self.feature.weights, dtype=np.int64)
        tile_ends, prefix = self.segments.tile_ends(tile), column.prefix_of(values)
        over_rows(
            folds.decay,
            len(self.rows.codes),
            self.rows.codes,
            ends,
            tile,
            weights,
            *self._window,
            self.segments.at,
            tile_ends,
            prefix,
            values,
            out,
        )
        return out

    def _indices(self, n: int) -> Ints:
        out = np.empty((len(self.rows.codes), n), dtype=np.int64)
        over_rows(folds.latest, len(self.rows.codes), *self._window, out)
        return out

    def _single(self, column: Column) -> pl.Series:
        if self.feature.op == FIRST:
            index = self._empty()
            over_rows(folds.earliest, len(self.rows.codes), *self._window, index)
        else:
            index = self._indices(1)[:, 0]
        return self._shown(column, index)

    def _shown(self, column: Column, index: Ints) -> pl.Series:
        present: Mask = index >= 0
        units = np.append(column.values, 0)[np.where(present, index, -1)]
        return units_series(self.feature, units, present, column.texts)

    def _listed(self, column: Column) -> pl.Series:
        index = self._indices(self.feature.n)
        found = index >= 0
        flat = self._shown(column, index[found])
        frame = pl.DataFrame({"row": np.nonzero(found)[0], "value": flat})
        lists = frame.group_by("row", maintain_order=True).agg("value")
        rows = pl.DataFrame({"row": np.arange(len(index))})
        kind = result_type(self.feature)
        joined = rows.join(lists, on="row", how="left", maintain_order="left")["value"]
        return joined.cast(kind).fill_null(pl.Series([[]], dtype=kind).first())

    def _attribute(self) -> pl.Series:
        index = self._indices(1)[:, 0]
        value = self.feature.value
        if value is None:
            raise BadInput("an attribute", "of a field", None)
        frame = self.source.frame
        column = frame[value.args[0]] if value.op == "field" else pl.Series(list(by_row(value, frame)))
        kind = {REAL: pl.Float64, BOOL: pl.Boolean, TEXT: pl.String, INT: pl.Int64}.get(self.feature.kind)
        column = column if kind is None or column.dtype == pl.Int128 else column.cast(kind)
        places = pl.Series(np.append(self.segments.source, 0)[index]).set(pl.Series(index < 0), None)
        return column.gather(places)
