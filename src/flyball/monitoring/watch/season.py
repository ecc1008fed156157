"""Which earlier windows are like a window: those at the same time of day, and of the same weekday."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

FEWEST_DAYS = 7
_FEWEST_OF_WEEKDAY = 3


class SeasonalWindow(Struct, frozen=True):
    """The start of an earlier window, microseconds since 1970, and its weekday, 0 for Monday."""

    start_us: int
    weekday: int


def earlier_windows(start_us: int, every_us: int, days: int, zone: tzinfo) -> list[SeasonalWindow]:
    """The windows at the same time of day on the `days` days before, oldest first; weekdays and times are of `zone`.

    Windows begin at multiples of `every_us`; where a change of the clock moves one between two of them it is the
    earlier one.
    """
    local = datetime.fromtimestamp(start_us // 1_000_000, UTC).astimezone(zone)
    windows = []
    for day in range(days, 0, -1):
        then = (local.replace(tzinfo=None) - timedelta(days=day)).replace(tzinfo=zone)
        at_us = int(then.timestamp()) * 1_000_000
        windows.append(SeasonalWindow(at_us // every_us * every_us, then.weekday()))
    return windows


def like_window(windows: Sequence[SeasonalWindow], weekday: int) -> list[SeasonalWindow]:
    """Those of `windows` that show what is usual on `weekday`: of that weekday if there are 3 or more, else all."""
    same = [window for window in windows if window.weekday == weekday]
    return same if len(same) >= _FEWEST_OF_WEEKDAY else list(windows)


def weekday_of(at_us: int, zone: tzinfo) -> int:
    """The weekday of a time, 0 for Monday.

    >>> weekday_of(1_767_571_200_000_000, UTC)
    0
    """
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(zone).weekday()


def ends_day(until_us: int, every_us: int, zone: tzinfo) -> bool:
    """Whether the window that ends at `until_us` is the last one of a day."""
    last, following = (
        datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(zone).date()
        for at_us in (until_us - every_us, until_us)
    )
    return last != following
