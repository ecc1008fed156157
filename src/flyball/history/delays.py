"""How long events took: from happening to being known, from being known to being applied."""

from typing import TYPE_CHECKING

import msgspec

from flyball.events import IMPORTED

if TYPE_CHECKING:
    import polars as pl


class Delay(msgspec.Struct, frozen=True):
    """Delays of `events` events, microseconds: half took up to `p50_us`, 99 of 100 up to `p99_us`."""

    events: int
    p50_us: int
    p99_us: int


class Lags(msgspec.Struct, frozen=True):
    """From `at` to `known_at` of one type: as it was declared for what was imported, as it was measured live."""

    declared: Delay | None = None
    live: Delay | None = None


def lags_of(frame: "pl.DataFrame") -> Lags:
    """The lags of a history frame; None where there are no such events."""
    import polars as pl

    lag = pl.col("known_at") - pl.col("at")
    imported = (pl.col("flags") & IMPORTED) != 0
    return Lags(delay_of(frame.filter(imported).select(lag)), delay_of(frame.filter(~imported).select(lag)))


def delay_of(delays_us: "pl.DataFrame") -> Delay | None:
    """The percentiles of one column of delays, the smallest values that so many do not exceed; below zero is zero."""
    column = delays_us.to_series().clip(lower_bound=0).sort()
    if column.is_empty():
        return None
    p50, p99 = (int(column[-(-len(column) * percent // 100) - 1]) for percent in (50, 99))
    return Delay(len(column), p50, p99)
