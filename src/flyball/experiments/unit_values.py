"""Aggregates the events in each unit's window: one row for each unit, from events read piece by piece.

Totals are integers in millionths, so they do not depend on the order of events or on how they are cut into pieces.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np
import polars as pl

from flyball.core import BadDeclaration, BadInput, Doubles, SignedInts
from flyball.events import Event, Schema, join_of, logged_types
from flyball.features import holds_column, number_column
from flyball.policy import EventTotal, ExperimentMetric
from flyball.tasks import references

MICRO = 1_000_000
_LARGEST = float(1 << 50)


class EventFrames(Protocol):
    """A source of events, such as a `History`; see `LoggedEvents`."""

    def frames(self, name: str, since_us: int, until_us: int, as_of_us: int) -> Iterator[pl.DataFrame]:
        """The events of a type with `since_us <= at < until_us` and `known_at <= as_of_us`, each once, in pieces."""
        ...


class UnitRows(Protocol):
    """The rows that a metric adds up: pieces with the columns `unit`, `at`, `number` and, unless each row counts once,
    `weight` (none is null)."""

    def pieces(self, total: EventTotal, since_us: int, until_us: int, as_of_us: int) -> Iterator[pl.DataFrame]: ...


class EventRows:
    """Rows of events. `entity`: the entity of the units, such as "user"; the field of an event that refers to it names
    the unit. `by`: the field that names the unit, if the metric declares it."""

    def __init__(self, frames: EventFrames, schema: Schema, entity: str, by: str = "") -> None:
        self._frames, self._schema, self._entity, self._by = frames, schema, entity, by

    def pieces(self, total: EventTotal, since_us: int, until_us: int, as_of_us: int) -> Iterator[pl.DataFrame]:
        declared = self._schema.type_of(total.event)
        if declared is None:
            raise BadDeclaration("event of a metric", "among the declared events", total.event.__name__)
        field = unit_field(total.event, self._entity, self._by)
        join = join_of(total.event)
        completed = join is not None and join.at == "first"
        since_us -= join.within_us if join is not None and completed else 0
        for frame in self._frames.frames(declared.name, since_us, until_us, as_of_us):
            if not frame.height:
                continue
            chosen_rows = frame.filter(holds_column(total.where, frame))
            numbers = pl.repeat(1.0, chosen_rows.height, dtype=pl.Float64, eager=True)
            if total.value is not None and chosen_rows.height:
                valued = number_column(total.value, chosen_rows)
                numbers = numbers.zip_with(valued.is_not_null(), pl.Series([None], dtype=pl.Float64))
                numbers = numbers if total.counted else valued
            at = chosen_rows["at"] + chosen_rows["elapsed_us"] if completed else chosen_rows["at"]
            unit = chosen_rows[field].cast(pl.String)
            yield pl.DataFrame({"unit": unit, "at": at, "number": numbers}).drop_nulls()


def unit_field(event: type[Event], entity: str, by: str = "") -> str:
    """The field of an event that names the unit; raises `BadDeclaration` if there is none."""
    fields: Sequence[str] = event.__struct_fields__
    named = by or next((field for field, of in references(event).items() if of == entity), entity)
    if named not in fields:
        kinds = " or ".join(kind.__name__ for kind in logged_types([event]))
        must = f"naming the {entity} that is exposed, by a field with Ref or by the metric's by="
        raise BadDeclaration(f"event {kinds} of a metric", must, list(fields))
    return named


class UnitValues(msgspec.Struct, frozen=True):
    """Values of units, each (units,).

    `value`; `per`: the denominator of a ratio, else None; the same from before the first exposure, None without
    adjustment. `closed`: whether the unit's window has closed. `missing`: what must happen before units can be
    compared, "" if nothing is known to be missing.
    """

    closed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    value: Doubles
    per: Doubles | None = None
    value_before: Doubles | None = None
    per_before: Doubles | None = None
    missing: str = ""

    def columns(self, adjusted: bool = True) -> Doubles:
        """(units, 1, 2 or 4): value, [per], [both from before], in the order that contrasts expect."""
        parts = [self.value, self.per]
        if adjusted:
            parts += [self.value_before, self.per_before]
        return np.column_stack([part for part in parts if part is not None])

    @property
    def adjusted(self) -> bool:
        """Whether there are values from before the exposure to adjust by."""
        return self.value_before is not None


def unit_values(
    metric: ExperimentMetric, units: pl.DataFrame, rows: UnitRows, as_of_us: int, label_within_us: int = 0
) -> UnitValues:
    """The values of `units` (columns `unit`, `at`), in their order, as known at `as_of_us`.

    A time span that begins with an exposure includes both ends, as everywhere in Flyball; the span before it excludes
    the exposure. `label_within_us`: the time until labels of predictions are final.
    """
    exposed = units["at"].to_numpy()
    closed = exposed + metric.within_us + metric.late_us + label_within_us <= as_of_us
    is_of_answers = metric.kind in ("model", "label")
    numerator = EventTotal(Event, counted=False) if is_of_answers else metric.numerator
    if numerator is None:
        raise BadDeclaration("metric", "made by a function of fb.metric", metric)
    after, before, rows_after, rows_before = _totals(metric, numerator, units, rows, as_of_us)
    if metric.is_share:
        least = metric.at_least * MICRO
        after, before = (np.where(total >= least, MICRO, 0) for total in (after, before))
    value, value_before = (_capped(total / MICRO, metric.cap) for total in (after, before))
    per, per_before = None, None
    if is_of_answers:  # the mean over the answers: their weights come from the same rows
        per, per_before = rows_after / MICRO, rows_before / MICRO
    elif metric.denominator is not None:
        per_after, per_earlier, _, _ = _totals(metric, metric.denominator, units, rows, as_of_us)
        per, per_before = per_after / MICRO, per_earlier / MICRO
    if not metric.before_us:
        return UnitValues(closed, value, per)
    return UnitValues(closed, value, per, value_before, per_before)


def _totals(
    metric: ExperimentMetric, total: EventTotal, units: pl.DataFrame, rows: UnitRows, as_of_us: int
) -> tuple[SignedInts, SignedInts, SignedInts, SignedInts]:
    """(totals within the window, the same before the exposure, weights of the rows of each), in millionths, int64
    (units,)."""
    sums = np.zeros((4, units.height), dtype=np.int64)
    if not units.height:
        return sums[0], sums[1], sums[2], sums[3]
    exposed = units.select("unit", pl.col("at").alias("exposed"), pl.int_range(pl.len()).alias("index"))
    first, last = int(exposed["exposed"].min()), int(exposed["exposed"].max())  # type: ignore[arg-type]
    for piece in rows.pieces(total, first - metric.before_us, last + metric.within_us + 1, as_of_us):
        joined = piece.join(exposed, on="unit", how="inner")
        elapsed = joined["at"] - joined["exposed"]
        inside = (
            (elapsed >= metric.after_us) & (elapsed <= metric.within_us),
            (elapsed >= -metric.before_us) & (elapsed < 0),
        )
        weights = joined["weight"].to_numpy() if "weight" in joined.columns else np.ones(joined.height)
        numbers = joined["number"].to_numpy() * weights
        if len(numbers) and np.abs(numbers).max() >= _LARGEST / MICRO:
            raise BadInput("numbers of a metric", f"below {_LARGEST / MICRO:g} in size", float(np.abs(numbers).max()))
        millionths, index = np.rint(numbers * MICRO).astype(np.int64), joined["index"].to_numpy()
        parts = np.rint(weights * MICRO).astype(np.int64)
        for row, chosen in enumerate(inside):
            chosen_rows = chosen.to_numpy()
            np.add.at(sums[row], index[chosen_rows], millionths[chosen_rows])
            np.add.at(sums[row + 2], index[chosen_rows], parts[chosen_rows])
    return sums[0], sums[1], sums[2], sums[3]


def _capped(values: Doubles, cap: float | None) -> Doubles:
    return values if cap is None else np.clip(values, -cap, cap)
