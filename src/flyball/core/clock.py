"""Time as an argument: timestamps are integer microseconds since 1970-01-01T00:00:00 UTC."""

import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from flyball.core.errors import BadInput
from flyball.core.zones import with_zone

_LONG_YEAR = re.compile(r"\d{5,}-")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Gives the time now; the only source of "now"."""

    def now_us(self) -> int: ...


class SystemClock:
    """The machine's clock, UTC."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000


class ManualClock:
    """A clock moved by hand, for tests and virtual time. It never runs backwards."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        return self._now_us

    def advance_us(self, by_us: int) -> None:
        if by_us < 0:
            raise BadInput("by_us", "0 or more", by_us)
        self._now_us += by_us

    def move_to_us(self, timestamp_us: int) -> None:
        """Move to `timestamp_us`. Raises `BadInput` for a time before the present one."""
        self.advance_us(timestamp_us - self._now_us)


class Stopwatch(Protocol):
    """Measures elapsed real time, in seconds, from an arbitrary start."""

    def read_s(self) -> float: ...


class SystemStopwatch:
    """The machine's monotonic counter."""

    def read_s(self) -> float:
        return time.perf_counter()


class ManualStopwatch:
    """A stopwatch moved by hand, for tests."""

    def __init__(self, start_s: float = 1.0) -> None:
        self._now_s = start_s

    def read_s(self) -> float:
        return self._now_s

    def advance_s(self, by_s: float) -> None:
        if by_s < 0:
            raise BadInput("by_s", "0 or more", by_s)
        self._now_s += by_s


def parse_timestamp(text: str, zone: tzinfo = UTC) -> int:
    """ISO 8601 date or date-time to microseconds since 1970 UTC; without an offset it is read in `zone`.

    See `with_zone` for the hours at which summer time begins and ends.

    >>> parse_timestamp("1970-01-02")
    86400000000
    >>> parse_timestamp("1970-01-01T00:00:01.5Z")
    1500000
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        year = ", with a year of four digits" if _LONG_YEAR.match(text) else ""
        raise BadInput("time", f"ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z{year}", text) from None
    if moment.tzinfo is None:
        moment = with_zone(moment, zone)
    return microseconds_of(moment)


def microseconds_of(moment: datetime) -> int:
    """A time with an offset as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def format_timestamp(timestamp_us: int) -> str:
    """Microseconds since 1970 as ISO 8601 UTC; a fraction is written only where it is not zero.

    >>> format_timestamp(86_400_000_000)
    '1970-01-02T00:00:00Z'
    """
    moment = _EPOCH + timedelta(microseconds=timestamp_us)
    return moment.isoformat().replace("+00:00", "Z")


def format_second(timestamp_us: int) -> str:
    """Microseconds since 1970 as ISO 8601 UTC, rounded down to the second.

    >>> format_second(1_999_999)
    '1970-01-01T00:00:01Z'
    """
    return format_timestamp(timestamp_us // 1_000_000 * 1_000_000)
