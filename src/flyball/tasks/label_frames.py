"""Computes the labels of requests from history, for training."""

from collections.abc import Mapping, Sequence

import polars as pl

from flyball.core import BadInput
from flyball.events import Schema
from flyball.features import holds_column, number_column
from flyball.policy import together
from flyball.tasks.about import Label
from flyball.tasks.labels import LabelPlan, label_plans

_OTHER = ("other_offset", "other_partition")
_ORDER = ("at", "offset", "partition", *_OTHER)
"""The order of events: by time, then by position in the log; joined ones after the side whose time they have."""

HELD, OTHERWISE, CENSORED, OPEN = "held", "otherwise", "censored", "open"
"""States of a label: it holds; its window has closed without it; it is censored, since something else ended the wait or
its absence says nothing; its window is still open."""


def label_requests(
    requests: pl.DataFrame, labels: Sequence[Label], events: Mapping[str, pl.DataFrame], schema: Schema, as_of_us: int
) -> pl.DataFrame:
    """The label of each request, in their order, as known at `as_of_us`: `value` (null unless known), `state`, and
    `held_at` and `ended_at`, when it first held and when something else ended the wait (null for never).

    `labels`: of one name, and of whole requests. `requests`: `at` and a column for each name they join by, as
    `joining_names` gives them. `events`: {type: frame} as a snapshot gives them, joined types too. It equals what
    `OutcomeConsumer` finds after responses to these requests and the events known by then.
    """
    if len({label.name for label in labels}) != 1:
        raise BadInput("labels of a column", "one or more of one name", [label.name for label in labels])
    plans = label_plans(labels, schema)
    names = plans[0].by
    rows = requests.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("_row"),
        pl.col("at").alias("_requested"),
        *[pl.col(name).cast(pl.String).alias(f"_by{index}") for index, name in enumerate(names)],
    )
    touches = [_touches(rows, plan, labels, events[plan.type], as_of_us) for plan in plans if plan.type in events]
    window_us = max(label.within_us for label in labels)
    if not touches:
        return _states(rows.with_columns(**_nothing()), labels[0].otherwise, window_us, as_of_us)
    joined = pl.concat(touches)
    holding = pl.concat([_held_times(joined, number, label) for number, label in enumerate(labels)])
    labeled = (
        rows.join(holding.group_by("_row").agg(pl.col("held_at").min()), on="_row", how="left")
        .join(_values(joined, holding, labels), on="_row", how="left")
        .join(_ended(joined), on="_row", how="left")
        .sort("_row")
    )
    if labels[0].elapsed_unit_us:
        elapsed_us = (labeled["held_at"] - labeled["_requested"]).cast(pl.Float64).to_numpy()
        # not by polars: it multiplies by the reciprocal of a constant, which differs in the last bit
        labeled = labeled.with_columns(pl.Series("number", elapsed_us / labels[0].elapsed_unit_us, pl.Float64))
    return _states(labeled, labels[0].otherwise, window_us, as_of_us)


def _nothing() -> dict[str, pl.Expr]:
    return {
        "held_at": pl.lit(None, pl.Int64),
        "number": pl.lit(None, pl.Float64),
        "ended_at": pl.lit(None, pl.Int64),
    }


def _touches(
    rows: pl.DataFrame, plan: LabelPlan, labels: Sequence[Label], frame: pl.DataFrame, as_of_us: int
) -> pl.DataFrame:
    """(_row, _clause, at, offset, partition, number, ends, voids) of each event in the window of a request, by
    clause."""
    known = frame.filter(pl.col("known_at") <= as_of_us)
    at = pl.col("at") + pl.col("elapsed_us") if plan.from_first else pl.col("at")
    values = dict(plan.values)
    parts = []
    for clause in dict.fromkeys([number for number, _ in plan.tests] + list(plan.censors)):
        qualifies = dict(plan.tests)
        where = holds_column(qualifies[clause], known) if clause in qualifies else pl.Series([False] * known.height)
        number = number_column(values[clause], known) if clause in values else pl.lit(None, pl.Float64)
        counted = pl.Series("_counted", where, dtype=pl.Boolean)
        part = known.select(
            *[pl.col(field).cast(pl.String).alias(f"_by{index}") for index, field in enumerate(plan.fields)],
            at.cast(pl.Int64).alias("at"),
            pl.col("offset").cast(pl.Int64),
            pl.col("partition").cast(pl.Int64),
            *[(pl.col(name) if plan.joined else pl.lit(-1)).cast(pl.Int64).alias(name) for name in _OTHER],
            number.alias("number"),
            counted,
            pl.lit(clause in plan.censors).alias("ends"),
            pl.lit(clause in qualifies and labels[clause].latest).alias("voids"),
            pl.lit(clause).alias("_clause"),
        )
        if clause in values:
            part = part.with_columns(pl.col("_counted") & pl.col("number").is_not_null())
        within_us = labels[clause].within_us
        keys = [f"_by{index}" for index in range(len(plan.fields))]
        pairs = rows.join(part, on=keys, how="inner") if keys else rows.join(part, how="cross")
        parts.append(
            pairs.filter(
                (pl.col("at") >= pl.col("_requested"))
                & together(pl.col("_requested"), pl.col("at"), within_us)
                & (pl.col("_counted") | pl.col("ends") | pl.col("voids"))
            ).select("_row", "_clause", *_ORDER, "number", "_counted", "ends", pl.col("voids") & ~pl.col("_counted"))
        )
    return pl.concat(parts)


def _held_times(joined: pl.DataFrame, number: int, label: Label) -> pl.DataFrame:
    """(_row, _clause, held_at): when the `at_least`-th event came; all of one window are within one span."""
    own = joined.filter(pl.col("_clause") == number).sort(*_ORDER)
    if label.latest:  # what was said before the last event that takes it back does not stand
        own = own.filter(pl.col("voids").cast(pl.Int64).cum_sum(reverse=True).over("_row") == 0)
    counted = own.filter(pl.col("_counted"))
    return (
        counted.group_by("_row")
        .agg(pl.col("at").get(label.at_least - 1, null_on_oob=True).alias("held_at"))
        .filter(pl.col("held_at").is_not_null())
        .select("_row", pl.lit(number).alias("_clause"), "held_at")
    )


def _values(joined: pl.DataFrame, holding: pl.DataFrame, labels: Sequence[Label]) -> pl.DataFrame:
    """(_row, number): the number of the latest event of the clauses that hold, 1 for labels without numbers."""
    if labels[0].value is None:
        return holding.select("_row").unique().with_columns(number=pl.lit(1.0))
    return (
        joined.filter(pl.col("_counted"))
        .join(holding.select("_row", "_clause"), on=["_row", "_clause"], how="inner")
        .sort(*_ORDER)
        .group_by("_row")
        .agg(pl.col("number").last())
    )


def _ended(joined: pl.DataFrame) -> pl.DataFrame:
    return joined.filter(pl.col("ends")).group_by("_row").agg(pl.col("at").min().alias("ended_at"))


def _states(labeled: pl.DataFrame, otherwise: float | None, window_us: int, as_of_us: int) -> pl.DataFrame:
    ended = pl.col("ended_at").is_not_null()
    holds = pl.col("held_at").is_not_null() & (~ended | (pl.col("ended_at") >= pl.col("held_at")))
    absent = OTHERWISE if otherwise is not None else CENSORED
    state = (
        pl.when(holds)
        .then(pl.lit(HELD))
        .when(ended)
        .then(pl.lit(CENSORED))
        .when(pl.col("_requested") + window_us >= as_of_us)
        .then(pl.lit(OPEN))
        .otherwise(pl.lit(absent))
    )
    value = pl.when(holds).then(pl.col("number")).when(state == OTHERWISE).then(pl.lit(otherwise, pl.Float64))
    return labeled.select(
        value.cast(pl.Float64).alias("value"),
        state.alias("state"),
        pl.col("held_at").cast(pl.Int64),
        pl.col("ended_at").cast(pl.Int64),
    )
