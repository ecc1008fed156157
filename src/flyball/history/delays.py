"""Delays of events: from event time to ingestion time, and from ingestion to being applied."""

from typing import TYPE_CHECKING

import msgspec

from flyball.events import IMPORTED

if TYPE_CHECKING:
    import polars as pl


class Delay(msgspec.Struct, frozen=True):
    """The median and 99th percentile of the delays of `events` events, in microseconds."""

    events: int
    p50_us: int
    p99_us: int


class Lags(msgspec.Struct, frozen=True):
    """The lags from `at` to `known_at` of one type: as declared for imported events, as measured for live ones."""

    declared: Delay | None = None
    live: Delay | None = None


def lags_of(frame: "pl.DataFrame") -> Lags:
    """The lags of a history frame; None where there are no such events."""
    import polars as pl

    lag = pl.col("known_at") - pl.col("at")
    imported = (pl.col("flags") & IMPORTED) != 0
    return Lags(delay_of(frame.filter(imported).select(lag)), delay_of(frame.filter(~imported).select(lag)))


def delay_of(delays_us: "pl.DataFrame") -> Delay | None:
    """The percentiles of a column of delays, without interpolation; negative delays count as 0. None without rows."""
    column = delays_us.to_series().clip(lower_bound=0).sort()
    if column.is_empty():
        return None
    p50, p99 = (int(column[-(-len(column) * percent // 100) - 1]) for percent in (50, 99))
    return Delay(len(column), p50, p99)
