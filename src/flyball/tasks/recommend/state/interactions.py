"""The interactions of all users, point-in-time, computed from the whole history in one pass."""

from collections.abc import Mapping

import polars as pl

from flyball.features import holds_column, number_column
from flyball.policy import together
from flyball.tasks.recommend.state.signals import (
    NEGATIVE,
    POSITIVE,
    POSITIVE_WEIGHT,
    WEAK_POSITIVE,
    WEAK_POSITIVE_WEIGHT,
    Plan,
    Signals,
)

_PAIR = ["user", "item"]
_SCHEMA = {
    "user": pl.String,
    "item": pl.String,
    "at_us": pl.Int64,
    "weight": pl.Float32,
    "rating": pl.Float32,
    "positive": pl.Boolean,
    "weak_positive": pl.Boolean,
    "negative": pl.Boolean,
    "seen_at": pl.Int64,
    "last_at": pl.Int64,
    "positive_at": pl.Int64,
}


def interactions_frame(events: Mapping[str, pl.DataFrame], signals: Signals, as_of_us: int) -> pl.DataFrame:
    """One row for each (user, item) of an event with `known_at <= as_of_us`, ordered by user and item.

    `events`: {type: frame} with the fields and `at, known_at, partition, offset` (a `Snapshot.frame`); a type that is
    absent has no events. Columns: `user, item, at_us` (when it became positive, else the last event), `weight`,
    `rating` (NaN for none), `positive, weak_positive, negative, seen_at, last_at, positive_at` (null if not positive).
    It equals the state of `UserItemsView` after the same records, bit for bit, except that the view keeps the oldest
    items of a user beyond `HISTORY_CAP` only as seen.
    """
    known = {name: frame.filter(pl.col("known_at") <= as_of_us) for name, frame in events.items()}
    observed = _observed(known, signals)
    if observed is None:
        return pl.DataFrame(schema=_SCHEMA)
    return _finish(_pairs(observed, signals).join(_ratings(observed), on="pair", how="left"), signals)


def interactions_at(observed: pl.DataFrame, signals: Signals, questions: pl.DataFrame) -> pl.DataFrame:
    """The interactions of the user of each question, as known before its `before_us`, see `interactions_frame`.

    `observed`: see `observed_frame`. `questions`: `question` (text, distinct), `user`, `before_us`. In the result the
    column `user` holds the question.
    """
    own = observed.join(questions, on="user", how="inner").filter(pl.col("known_at") < pl.col("before_us"))
    own_events = _with_pair(own.drop("user", "before_us").rename({"question": "user"}))
    return _finish(_pairs(own_events, signals).join(_ratings(own_events), on="pair", how="left"), signals)


def observed_frame(events: Mapping[str, pl.DataFrame], signals: Signals) -> pl.DataFrame | None:
    """A row for each event that names a user and an item: `user, item, at, known_at, offset, partition`, `slot0`...

    The `slot` columns say for which outcomes the event qualifies; `number` is its rating, null for none. The result is
    None if there are no events of the types that the signals read.
    """
    rows = [_rows(events[plan.type], plan, signals) for plan in signals.plans.values() if plan.type in events]
    return pl.concat(rows) if rows else None


def held_frame(events: Mapping[str, pl.DataFrame], signals: Signals) -> pl.DataFrame | None:
    """(item, positive_at, weak_positive_at, negative_at): when the first outcome of each kind held, or null."""
    observed = _observed(events, signals)
    return None if observed is None else _pairs(observed, signals).select("item", *_first_times(signals))


def _observed(events: Mapping[str, pl.DataFrame], signals: Signals) -> pl.DataFrame | None:
    observed = observed_frame(events, signals)
    return None if observed is None else _with_pair(observed)


def _pairs(observed: pl.DataFrame, signals: Signals) -> pl.DataFrame:
    """One row for each pair, with `hit0`, `hit1`...: when the outcome of the slot first held."""
    pairs = observed.group_by("pair").agg(
        pl.col("user").first(), pl.col("item").first(), seen_at=pl.col("at").min(), last_at=pl.col("at").max()
    )
    for slot, outcome in enumerate(signals.outcomes):
        hits = _hits(observed.filter(pl.col(f"slot{slot}")), f"hit{slot}", outcome.at_least, outcome.within_us)
        pairs = pairs.join(hits, on="pair", how="left")
    return pairs


def _rows(frame: pl.DataFrame, plan: Plan, signals: Signals) -> pl.DataFrame:
    tests = {slot: holds_column(where, frame) for slot, where in plan.tests}
    nothing = pl.lit(False)
    rating = pl.lit(None, pl.Float64) if plan.rating is None else number_column(plan.rating, frame)
    return frame.select(
        pl.col(plan.user_field).cast(pl.String).alias("user"),
        pl.col(plan.item_field).cast(pl.String).alias("item"),
        (pl.col("at") + pl.col("elapsed_us") if plan.from_first else pl.col("at")).cast(pl.Int64).alias("at"),
        pl.col("known_at").cast(pl.Int64),
        pl.col("offset").cast(pl.Int64),
        pl.col("partition").cast(pl.Int64),
        *[
            pl.Series(tests[slot]).alias(f"slot{slot}") if slot in tests else nothing.alias(f"slot{slot}")
            for slot in range(len(signals.outcomes))
        ],
        rating.alias("number"),
    ).filter(pl.col("user").is_not_null() & pl.col("item").is_not_null())


def _with_pair(observed: pl.DataFrame) -> pl.DataFrame:
    """A number for each (user, item), so that later steps compare one integer."""
    coded = observed
    for name in _PAIR:
        codes = observed.select(pl.col(name).unique()).with_row_index(f"{name}_code")
        coded = coded.join(codes, on=name, how="left", maintain_order="left")
    code = (pl.col("user_code").cast(pl.UInt64) * (1 << 32)) + pl.col("item_code").cast(pl.UInt64)
    return coded.with_columns(code.alias("pair")).drop("user_code", "item_code")


def _hits(qualifying: pl.DataFrame, name: str, at_least: int, within_us: int) -> pl.DataFrame:
    """(pair, first timestamp with at least `at_least` qualifying events within the span)."""
    if at_least > 1:
        reach = at_least - 1
        qualifying = (
            qualifying.select("pair", "at")
            .sort("pair", "at")
            .filter(
                (pl.col("pair").shift(reach) == pl.col("pair"))
                & together(pl.col("at").shift(reach), pl.col("at"), within_us)
            )
        )
    return qualifying.group_by("pair").agg(pl.col("at").min().alias(name))


def _ratings(observed: pl.DataFrame) -> pl.DataFrame:
    return (
        observed.filter(pl.col("number").is_not_null())
        .sort("at", "offset", "partition", "number")
        .group_by("pair", maintain_order=True)
        .agg(pl.col("number").last().cast(pl.Float32).alias("rating"))
    )


def _first_times(signals: Signals) -> list[pl.Expr]:
    """`positive_at`, `weak_positive_at`, `negative_at`."""
    names = {POSITIVE: "positive_at", WEAK_POSITIVE: "weak_positive_at", NEGATIVE: "negative_at"}
    return [
        pl.min_horizontal([pl.lit(None, pl.Int64), *[pl.col(f"hit{slot}") for slot in signals.slots_of[flag]]]).alias(
            name
        )
        for flag, name in names.items()
    ]


def _finish(pairs: pl.DataFrame, signals: Signals) -> pl.DataFrame:
    flagged = pairs.with_columns(*_first_times(signals)).with_columns(
        pl.col("positive_at").is_not_null().alias("positive"),
        pl.col("weak_positive_at").is_not_null().alias("weak_positive"),
        pl.col("negative_at").is_not_null().alias("negative"),
        pl.col("rating").fill_null(float("nan")),
    )
    weight = (
        pl.when("negative")
        .then(0.0)
        .when("positive")
        .then(POSITIVE_WEIGHT)
        .when("weak_positive")
        .then(WEAK_POSITIVE_WEIGHT)
        .otherwise(0.0)
    )
    return flagged.select(
        "user",
        "item",
        pl.coalesce("positive_at", "last_at").alias("at_us"),
        weight.cast(pl.Float32).alias("weight"),
        *list(_SCHEMA)[4:],
    ).sort(_PAIR)
