"""Computes features point-in-time for rows of keys and times, from history."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from flyball.core import BadInput
from flyball.features.declaration.aggregates import Aggregate
from flyball.features.declaration.groups import Definition, Entity, Features, Group
from flyball.features.offline.aggregate import Aggregation
from flyball.features.offline.events import EventSource
from flyball.features.offline.query_rows import QueryRows
from flyball.features.offline.visibility import Visibility, visibilities_of
from flyball.history import with_joined


def point_in_time(
    groups: Sequence[Entity | Features | Group],
    events: Mapping[str, pl.DataFrame],
    rows: pl.DataFrame,
    *,
    apply_delay_us: int = 0,
) -> pl.DataFrame:
    """`rows` with a column for each feature of `groups`, such as "user.watched", in the order of declaration.

    `events`: {type: frame} with the fields and `at, known_at, partition, offset` (a `Snapshot.frame`); an absent type
    has no events; a joined type is computed from its two sides. `rows`: one column for each key (named like the entity
    or field; text or integers) and `at`, microseconds. For a row with a list in the column `offsets`, the events before
    these offsets are visible, for any other row those with `known_at + apply_delay_us <= at`. Missing values are null.
    Raises `BadInput` for missing columns.
    """
    bound = [group if isinstance(group, Group) else group.features for group in groups]
    events = with_joined(events, dict.fromkeys(event for group in bound for event in group.event_types))
    _check(bound, events, rows)
    parts = []
    for seen in visibilities_of(rows, apply_delay_us):
        chosen = rows if seen.rows is None else rows[seen.rows]
        computed = [series for group in bound for series in _Computed(group, chosen, seen).series(events)]
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


class _Computed:
    """Computes the features of one group for its rows."""

    def __init__(self, group: Group, rows: pl.DataFrame, seen: Visibility) -> None:
        self.group, self.rows = group, QueryRows(group.keys, rows, seen)
        self._sources: dict[Any, EventSource] = {}

    def series(self, events: Mapping[str, pl.DataFrame]) -> list[pl.Series]:
        """One column for each definition, in the order of the rows given."""
        return [self._definition(definition, events).alias(definition.name) for definition in self.group.definitions]

    def _definition(self, definition: Definition, events: Mapping[str, pl.DataFrame]) -> pl.Series:
        parts = [self._aggregate(part, fields, events) for part, fields in definition.aggregates]
        if len(parts) == 1:
            return parts[0]
        top, bottom = (part.cast(pl.Float64) for part in parts)
        return pl.select(pl.when(bottom != 0).then(top / bottom)).to_series()

    def _aggregate(self, feature: Aggregate, fields: tuple[str, ...], events: Mapping[str, pl.DataFrame]) -> pl.Series:
        name = _source_name(feature, fields)
        if name not in self._sources:
            parts = [part for definition in self.group.definitions for part in definition.aggregates]
            sharing = [part for part, its_fields in parts if _source_name(part, its_fields) == name]
            frame = events.get(feature.event.__name__.lower())
            self._sources[name] = EventSource(
                self.rows, sharing, fields, _no_events(feature) if frame is None else frame
            )
        return Aggregation(self.rows, self._sources[name], feature).series()


def _source_name(feature: Aggregate, fields: tuple[str, ...]) -> tuple[Any, ...]:
    return feature.event.__name__, fields, None if feature.where is None else feature.where.text()


def _no_events(feature: Aggregate) -> pl.DataFrame:
    columns = dict.fromkeys(feature.event.__struct_fields__, pl.Null)
    return pl.DataFrame(schema=columns | dict.fromkeys(("at", "known_at", "partition", "offset"), pl.Int64))
