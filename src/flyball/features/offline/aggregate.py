"""The values of one aggregate for query rows."""

from typing import Any

import numpy as np
import polars as pl

from flyball.core import BadInput, Ints
from flyball.features.declaration.aggregates import (
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
)
from flyball.features.declaration.formulas import decayed_value
from flyball.features.declaration.values import BOOL, INT, REAL, TEXT
from flyball.features.declaration.windows import EXACT
from flyball.features.offline.encode import by_row
from flyball.features.offline.events import EventSource
from flyball.features.offline.finalize import Mask, added_series, added_wide, masked, result_type, units_series
from flyball.features.offline.kernels import aggregate as aggregate
from flyball.features.offline.query_rows import QueryRows
from flyball.features.offline.segments import LIMB_BITS, Blocks, Column
from flyball.features.offline.threads import over_rows

_NONE = -(1 << 62)
_FITS_SUM, _FITS_SQUARES, _FITS_EVENTS = 1 << 60, 1 << 62, 1 << 24


class Aggregation:
    """The value of `feature` over the events of `source` for each row."""

    def __init__(self, rows: QueryRows, source: EventSource, feature: Aggregate) -> None:
        self.rows, self.feature = rows, feature
        self.source = source
        self.column = None if feature.op in (COUNT, ATTRIBUTE) else source.column(feature)
        self.segments, self.reach = source.segments_of(feature), source.reach(feature)

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
            over_rows(aggregate.counts, len(self.rows.codes), *self._window, out)
            self.source.kept[name] = out
        counts: Ints = self.source.kept[name]
        return counts

    def _sum(self, column: Column, values: Ints, prefix: Ints) -> Ints:
        out = self._empty()
        over_rows(aggregate.sums, len(self.rows.codes), self.rows.codes, *self._window, prefix, values, out)
        return out

    def _added(self, column: Column) -> pl.Series:
        most, longest, squared = column.largest, self.segments.longest, self.feature.op == STD
        fits = most * longest < _FITS_SUM and longest < _FITS_EVENTS
        if not fits or (squared and most * most * longest >= _FITS_SQUARES):
            return self._added_wide(column)
        total, squares = self._sum(column, column.values, column.prefix), None
        if squared:
            own_square = column.wide * column.wide
            squares = self._sum(column, own_square, column.prefix_of(own_square))
        return added_series(self.feature, self._count(), total, squares)

    def _added_wide(self, column: Column) -> pl.Series:
        limbs = column.limbs
        zero = np.zeros(len(self.rows.codes), dtype=object)
        total, squares = zero, zero
        for i, limb in enumerate(limbs):
            total = total + self._python(column, limb) * (1 << LIMB_BITS * i)
            if self.feature.op == STD:
                for j, other in enumerate(limbs):
                    squares = squares + self._python(column, limb * other) * (1 << LIMB_BITS * (i + j))
        return added_wide(self.feature, self._count(), total.tolist(), squares.tolist())

    def _python(self, column: Column, values: Ints) -> Any:
        return self._sum(column, values, column.prefix_of(values)).astype(object)

    def _extreme(self, column: Column) -> pl.Series:
        blocks: Blocks = column.rising if self.feature.op == MAX else column.falling
        out = self._empty()
        over_rows(
            aggregate.greatest,
            len(self.rows.codes),
            *self._window,
            blocks.values,
            blocks.upper,
            blocks.level_starts,
            _NONE,
            out,
        )
        present = out != _NONE
        units = np.where(present, out if self.feature.op == MAX else -out, 0)
        return units_series(self.feature, units, present, None)

    def _distinct(self, column: Column) -> pl.Series:
        out = self._empty()
        order = np.lexsort((self.reach.sure, self.rows.codes))
        codes, starts = self.rows.codes, self.segments.starts
        over_rows(
            aggregate.different,
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
            aggregate.decay,
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
        over_rows(aggregate.latest, len(self.rows.codes), *self._window, out)
        return out

    def _single(self, column: Column) -> pl.Series:
        if self.feature.op == FIRST:
            index = self._empty()
            over_rows(aggregate.earliest, len(self.rows.codes), *self._window, index)
        else:
            index = self._indices(1)[:, 0]
        return self._shown(column, index)

    def _shown(self, column: Column, index: Ints) -> pl.Series:
        present: Mask = index >= 0
        units = np.append(column.values, 0)[np.where(present, index, -1)]
        return units_series(self.feature, units, present, column.texts)

    def _listed(self, column: Column) -> pl.Series:
        index = self._indices(self.feature.n)
        is_listed = index >= 0
        flat = self._shown(column, index[is_listed])
        frame = pl.DataFrame({"row": np.nonzero(is_listed)[0], "value": flat})
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
        source_rows = pl.Series(np.append(self.segments.source, 0)[index]).set(pl.Series(index < 0), None)
        return column.gather(source_rows)
