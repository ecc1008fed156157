"""Rates as text: "200/s, burst 400"."""

import re
from functools import lru_cache

import msgspec

from flyball.core import BadInput

NO_LIMIT = "none"
"""Instead of a rate."""

LONGEST_BURST_S = 3_600
_PERIOD_NS = {"s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_RATE = re.compile(r"(\d{1,9})/(s|m|h)(?:, ?burst (\d{1,9}))?", re.ASCII)


class Rate(msgspec.Struct, frozen=True):
    """So many per period, and at most `burst` at once. `interval_ns`: between two at this rate."""

    interval_ns: int
    burst: int


@lru_cache(1_024)
def parse_rate(text: str) -> Rate | None:
    """The rate, or None for `NO_LIMIT`; without a burst, that is what comes in one second, at least 1.

    Raises `BadInput`. An interval is rounded up to whole nanoseconds, so that no more than the rate is admitted.

    >>> parse_rate("200/s, burst 400")
    Rate(interval_ns=5000000, burst=400)
    >>> parse_rate("90/m").burst
    1
    """
    if text == NO_LIMIT:
        return None
    match = _RATE.fullmatch(text)
    if match is None or not int(match[1]):
        raise BadInput("rate", 'a number by s, m or h, such as "200/s, burst 400", or "none"', text)
    count, period_ns = int(match[1]), _PERIOD_NS[match[2]]
    interval_ns = -(-period_ns // count)
    burst = int(match[3]) if match[3] else max(1, _PERIOD_NS["s"] // interval_ns)
    if not 1 <= burst <= LONGEST_BURST_S * _PERIOD_NS["s"] // interval_ns:
        raise BadInput("burst of a rate", "from 1 to what comes in an hour at the rate", text)
    return Rate(interval_ns, burst)
