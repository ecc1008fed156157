"""Events by the time at which they became known, read from the history a day at a time.

A window of an hour is a small part of what the history holds, and each read sorts all of it. Whoever looks at the
windows of weeks needs the same days again and again, so what was read of a day is kept, up to a number of rows, until
the history has more.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flyball.runtime import Runtime

if TYPE_CHECKING:
    import polars as pl

_DAY_US = 86_400_000_000
_MOST_ROWS = 2_000_000
"""Rows of all days that are kept."""


class KnownRows:
    """Reads what became known of an event type, as `History.events` gives it."""

    def __init__(self, runtime: Runtime, most_rows: int = _MOST_ROWS) -> None:
        self._runtime, self._most_rows = runtime, most_rows
        self._offsets: tuple[int, ...] | None = None
        self._days: dict[tuple[str, int], pl.DataFrame] = {}

    def rows(self, name: str, since_us: int, until_us: int) -> "pl.DataFrame":
        """The events of type `name` that became known in `[since_us, until_us)`, by event time."""
        import polars as pl

        offsets = tuple(self._runtime.history.offsets())
        if offsets != self._offsets:
            self._offsets = offsets
            self._days.clear()
        parts = [self._day(name, day) for day in _days(since_us, until_us)]
        rows = parts[0] if len(parts) == 1 else pl.concat(parts).sort("at", "partition", "offset")
        known_us = pl.col("known_at").cast(pl.Int64)
        return rows.filter((known_us >= since_us) & (known_us < until_us))

    def _day(self, name: str, day: int) -> "pl.DataFrame":
        key = (name, day)
        if key not in self._days:
            since_us = day * _DAY_US
            read = self._runtime.history.events(name, as_of_us=since_us + _DAY_US - 1, known_since_us=since_us)
            self._days[key] = read
            while len(self._days) > 1 and sum(rows.height for rows in self._days.values()) > self._most_rows:
                del self._days[next(iter(self._days))]
            return read
        return self._days[key]


def _days(since_us: int, until_us: int) -> Iterator[int]:
    yield from range(since_us // _DAY_US, max(since_us, until_us - 1) // _DAY_US + 1)
