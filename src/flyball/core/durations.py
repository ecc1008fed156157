"""Durations as text: "90d", "1h30m", "300ms"."""

import re
from typing import Any

from flyball.core.errors import BadDeclaration, BadInput

_UNIT_US = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_LONGEST_US = 365_000 * _UNIT_US["d"]
_PART = re.compile(r"([0-9]+)(ms|us|w|d|h|m|s)")


def parse_duration(text: str, what: str = "duration", *, is_limited: bool = True) -> int:
    """Whole microseconds of a duration; raises `BadInput`, naming `what`, for anything but number-unit pairs, and, if
    `is_limited`, for more than a thousand years, behind which a time has no date.

    >>> parse_duration("1h30m")
    5400000000
    >>> parse_duration("300ms")
    300000
    """
    parts = _PART.findall(text) if isinstance(text, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadInput(what, "numbers with units w, d, h, m, s, ms or us, such as 1h30m", text)
    duration_us = sum(int(number) * _UNIT_US[unit] for number, unit in parts)
    if is_limited and duration_us > _LONGEST_US:
        raise BadInput(what, "at most 365000d, a thousand years", text)
    return duration_us


def declared_duration(what: str, text: Any, least: str = "") -> int:
    """Whole microseconds of a duration in a declaration; raises `BadDeclaration` for what is none, or below `least`.

    >>> declared_duration("within of outcome(Buy)", "7d", least="1ms")
    604800000000
    """
    least_us = parse_duration(least) if least else 0
    try:
        duration_us = parse_duration(text)
    except BadInput:
        duration_us = -1
    if duration_us < least_us:
        bound = f" and {least} or longer" if least else ""
        raise BadDeclaration(what, f"a duration as text, such as '7d', '1h30m' or '300ms'{bound}", text)
    return duration_us


def format_duration(duration_us: int) -> str:
    """A duration as text, exact. Days are the largest unit: 30d is written 30d, not 4w2d.

    >>> format_duration(5_400_000_000)
    '1h30m'
    >>> format_duration(30 * 86_400_000_000)
    '30d'
    """
    if duration_us == 0:
        return "0s"
    words, remaining = [], duration_us
    for unit, size in _UNIT_US.items():
        if unit == "w":
            continue
        count, remaining = divmod(remaining, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words)
