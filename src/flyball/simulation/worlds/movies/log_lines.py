"""The movielog line: how it is written, and how it is corrupted in transit.

As measured in a real stream of 50,000 lines: 0.1 % are corrupted, three in five by one inserted character, the others
by a random film id; seconds of 00 are omitted; there is no order between two partitions.
"""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from flyball.core import format_timestamp

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# A third of the inserted characters of the real stream are blanks.
_INSERTED = _LETTERS + " " * 31
_WELL_FORMED = re.compile(
    r"\A\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?,(?P<user>\d+),GET /"
    r"(data/m/[A-Za-z0-9+._*-]+/(?P<minute>\d+)\.mpg|rate/[A-Za-z0-9+._*-]+=(?P<stars>\d+))\Z"
)
_FILM = re.compile(r"(?<=/data/m/)[^/]+|(?<=/rate/)[^=]+")


@cache
def _clock_texts() -> list[str]:
    """`T12:23:12` for each second of the day, without `:00`."""
    return [
        f"T{second // 3600:02}:{second // 60 % 60:02}" + (f":{second % 60:02}" if second % 60 else "")
        for second in range(86_400)
    ]


def write_times(at_us: np.ndarray) -> list[str]:
    """The texts of timestamps, int64 (n,) microseconds, rounded down to seconds; `:00` is omitted.

    >>> write_times(np.array([0, 61_500_000]))
    ['1970-01-01T00:00', '1970-01-01T00:01:01']
    """
    days, within = np.divmod(at_us // SECOND_US, 86_400)
    dates = {day: format_timestamp(day * DAY_US)[:10] for day in np.unique(days).tolist()}
    clock = _clock_texts()
    return [dates[day] + clock[second] for day, second in zip(days.tolist(), within.tolist(), strict=True)]


def write_time_ms(at_us: int) -> str:
    """The text of a timestamp in request lines: with milliseconds, or for a whole minute without seconds.

    >>> write_time_ms(61_500_000), write_time_ms(60_000_000)
    ('1970-01-01T00:01:01.500', '1970-01-01T00:01')
    """
    time_text = write_times(np.array([at_us]))[0]
    fraction = at_us // 1_000 % 1_000
    if not fraction:
        return time_text
    return f"{time_text}{'' if at_us // SECOND_US % 60 else ':00'}.{fraction:03}"


def watch_line(time: str, user: str, slug: str, minute: int) -> str:
    return f"{time},{user},GET /data/m/{slug}/{minute}.mpg"


def rate_line(time: str, user: str, slug: str, stars: int) -> str:
    return f"{time},{user},GET /rate/{slug}={stars}"


def account_line(time: str, user: str) -> str:
    return f"{time},{user},GET /create_account"


def request_line(time: str, user: str, server: str, slugs: Sequence[str], took_ms: int) -> str:
    return f"{time},{user},recommendation request {server}, status 200, result: {', '.join(slugs)}, {took_ms} ms"


def failed_request_line(time: str, user: str, server: str, took_ms: int) -> str:
    error = f"java.util.concurrent.TimeoutException: Request timeout to {server} after {took_ms} ms"
    return f"{time},{user},recommendation request {server}, status 0, result: {error}, {took_ms} ms"


def with_random_film(line: str, rng: np.random.Generator) -> str:
    """The line with its film id replaced by 10 to 60 random letters and digits; it stays well-formed."""
    letters = rng.integers(len(_LETTERS), size=int(rng.integers(10, 61))).tolist()
    return _FILM.sub("".join(_LETTERS[i] for i in letters), line, count=1)


def with_inserted_character(line: str, rng: np.random.Generator) -> tuple[str, bool]:
    """The line with one character inserted, and whether it is malformed now.

    Insertions that some parsers accept and others refuse (leading zeros, a minute of 1,000 or more, ten stars) are
    drawn again, so that the number of malformed lines is exact.
    """
    while True:
        position = int(rng.integers(1, len(line)))
        altered = line[:position] + _INSERTED[int(rng.integers(len(_INSERTED)))] + line[position:]
        matched = _WELL_FORMED.match(altered)
        if matched is None:
            return altered, True
        user, minute, stars = matched["user"], matched["minute"] or "1", matched["stars"] or "1"
        if user[0] != "0" and minute[0] != "0" and len(minute) < 4 and stars[0] != "0" and stars != "10":
            return altered, int(stars) > 10
