"""The popular list after given events, computed in one pass."""

from collections.abc import Mapping

import polars as pl

from flyball.stores import MemoryStore
from flyball.tasks.recommend.state.interactions import held_frame
from flyball.tasks.recommend.state.popularity import Deltas, Popularity, PopularList, popular_in
from flyball.tasks.recommend.state.signals import Signals
from flyball.tasks.recommend.state.user_item import DAY_US, POSITIVE_UNITS, WEAK_POSITIVE_UNITS


def popular_of(events: Mapping[str, pl.DataFrame], signals: Signals) -> PopularList:
    """The list of all users, equal to that of `UserItemsView` after the same records, bit for bit.

    `events` as in `interactions_frame`.
    """
    holding = held_frame(events, signals)
    if holding is None:
        return PopularList([], [])
    at = pl.coalesce("positive_at", "weak_positive_at")
    units = pl.when(pl.col("positive_at").is_not_null()).then(POSITIVE_UNITS).otherwise(WEAK_POSITIVE_UNITS)
    counted = (
        holding.filter(pl.col("negative_at").is_null() & at.is_not_null())
        .select("item", (at // DAY_US).alias("day"), units.cast(pl.Int64).alias("units"))
        .group_by("item", "day")
        .agg(pl.col("units").sum())
    )
    deltas: Deltas = {}
    for item, day, added in counted.sort("item", "day").iter_rows():
        deltas.setdefault(("", item), {})[day] = added
    store = MemoryStore()
    store.write(Popularity(signals.half_life_days).apply(deltas, store), ())
    return popular_in(store)
