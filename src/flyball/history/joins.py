"""Joins frames of two event types: the same pairs that `events.Joiner` makes from a stream."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from flyball.core import BadInput
from flyball.events import LATE_US, Event, join_of

if TYPE_CHECKING:
    import polars as pl


def join_frames(event: type[Event], first: "pl.DataFrame", second: "pl.DataFrame") -> "pl.DataFrame":
    """The rows of a joined type from the rows of its two sides, ordered by at, partition, offset.

    Columns: the fields, `at`, `known_at` (the later one), `partition` and `offset` (of the side whose `at` it has), and
    `other_partition`, `other_offset`: the joined event is before given offsets when both sides are.
    """
    import polars as pl

    join = join_of(event)
    if join is None:
        raise BadInput("event type to join", "one made by joined()", event)
    own = [name for name in join.first.__struct_fields__ if name != "at"]
    further = [name for name in join.second.__struct_fields__ if name != "at" and name not in own]
    meta = ["at", "known_at", "partition", "offset"]
    left = first.select(
        pl.col(join.first_key).cast(pl.String).alias("_key"), *own, *[pl.col(m).alias(f"_1{m}") for m in meta]
    )
    right = second.select(
        pl.col(join.second_key).cast(pl.String).alias("_key"), *further, *[pl.col(m).alias(f"_2{m}") for m in meta]
    )
    anchor, other = ("_1", "_2") if join.at == "first" else ("_2", "_1")
    elapsed = pl.col("_2at") - pl.col("_1at")
    known = pl.max_horizontal("_1known_at", "_2known_at")
    pairs = left.filter(pl.col("_key").is_not_null()).join(right, on="_key", how="inner")
    return (
        pairs.filter(
            (elapsed >= 0) & (elapsed <= join.within_us) & (known <= pl.col("_1at") + join.within_us + LATE_US)
        )
        .select(
            *own,
            *further,
            elapsed.cast(pl.Int64).alias("elapsed_us"),
            pl.col(f"{anchor}at").alias("at"),
            known.cast(pl.Int64).alias("known_at"),
            pl.col(f"{anchor}partition").alias("partition"),
            pl.col(f"{anchor}offset").alias("offset"),
            pl.col(f"{other}partition").alias("other_partition"),
            pl.col(f"{other}offset").alias("other_offset"),
        )
        .sort("at", "partition", "offset", "other_partition", "other_offset")
    )


def with_joined(frames: "Mapping[str, pl.DataFrame]", event_types: Iterable[type[Event]]) -> "dict[str, pl.DataFrame]":
    """`frames`, with those of the joined types among `event_types` whose two sides are there."""
    complete = dict(frames)
    for event in event_types:
        name = event.__name__.lower()
        if join_of(event) is not None and name not in complete:
            first, second = (frames.get(side) for side in sides_of(event))
            if first is not None and second is not None:
                complete[name] = join_frames(event, first, second)
    return complete


def sides_of(event: type[Event]) -> tuple[str, str]:
    """The names of the two types behind a joined one."""
    join = join_of(event)
    if join is None:
        raise BadInput("event type to join", "one made by joined()", event)
    return join.first.__name__.lower(), join.second.__name__.lower()
