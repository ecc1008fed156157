"""Reads event times: ISO 8601, numbers in a unit, or text of a declared pattern, in a zone."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from flyball.core import BadDeclaration, BadInput, format_timestamp, microseconds_of, parse_timestamp, with_zone
from flyball.events.schema import FIRST_US, LAST_US

UNIT_NS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "ns": 1}
"""{unit of times that are numbers: nanoseconds}."""

UNIT_WORDS = {"us": "microseconds", "ms": "milliseconds", "s": "seconds", "ns": "nanoseconds"}
_RECENT_US = parse_timestamp("1980-01-01")
"""Earlier times are taken for a wrong unit, unless a unit is declared."""

_NUMBER = re.compile(r"-?[0-9]{1,19}\Z")
_ISO = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(\Z|[T ])")
_PATTERN = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<mark>[./-])(?P<b>[0-9]{1,2})(?P=mark)(?P<c>[0-9]{1,4})"
    r"(?:(?P<gap>[ T]|, )[0-9]{1,2}:[0-9]{2}(?P<seconds>:[0-9]{2}(?P<fraction>\.[0-9]{1,6})?)?)?\Z"
)
_PROBE = datetime(2026, 8, 30, 1, 12, 5)


def check_pattern(pattern: str) -> None:
    """Raise `BadDeclaration` for a pattern from which a formatted day cannot be read back."""
    try:
        read = datetime.strptime(_PROBE.replace(tzinfo=UTC).strftime(pattern), pattern)
    except (ValueError, re.error):
        read = None
    if read is None or read.date() != _PROBE.date():
        must = 'a pattern with year, month and day, such as "%d.%m.%Y %H:%M"'
        raise BadDeclaration("at_format of fb.columns", must, pattern)


class TimeReader:
    """Reads the times of one source's events.

    `pattern`: of text that is not ISO 8601, as for `strptime`. `unit`: of numbers; "": microseconds, with an error for
    a number that is before 1980 but not in another unit. `read`: applied to a value first; it may return text, a
    number, a date or a datetime.
    """

    def __init__(self, zone: tzinfo, unit: str, pattern: str, read: Callable[[Any], Any] | None = None) -> None:
        self._zone, self._unit, self._pattern, self._read = zone, unit, pattern, read
        self._unit_ns = UNIT_NS[unit or "us"]

    def timestamp_us(self, value: Any) -> int | None:
        """The time in microseconds since 1970 UTC; None for a missing one. Raises `BadInput`."""
        if self._read is not None and value is not None:
            value = self._applied(value)
        if type(value) is str:
            return self._of_text(value) if value else None
        if value is None:
            return None
        if type(value) is int:
            return self._of_number(value)
        if type(value) is float:
            return self._of_float(value)
        if isinstance(value, datetime):
            return microseconds_of(with_zone(value, self._zone) if value.tzinfo is None else value)
        if isinstance(value, date):
            return microseconds_of(with_zone(datetime.combine(value, time()), self._zone))
        raise BadInput("time", "text or a number", value)

    def _applied(self, value: Any) -> Any:
        try:
            return self._read(value)  # type: ignore[misc]
        except Exception as error:
            raise BadInput("time", f"readable ({type(error).__name__}: {error})", value) from None

    def _of_number(self, number: int) -> int:
        at_us = number * self._unit_ns // 1_000
        if _RECENT_US <= at_us < LAST_US or (self._unit and FIRST_US <= at_us < LAST_US):
            return at_us
        likely = likely_unit(number)
        if likely and likely != self._unit:
            raise self._of_another_unit(likely, number)
        return at_us

    def _of_float(self, value: float) -> int:
        likely = likely_unit(value)
        if self._unit in ("", "us"):
            if likely in ("s", "ms"):
                raise self._of_another_unit(likely, value)
            raise BadInput("time", "ISO 8601 or whole microseconds, unless fb.columns(unit=...) says otherwise", value)
        if not abs(value) < 1e19:
            raise BadInput("time", "a number within 1970..2099", value)
        at_us = round(value * (self._unit_ns / 1_000))
        if likely and likely != self._unit and not FIRST_US <= at_us < LAST_US:
            raise self._of_another_unit(likely, value)
        return at_us

    def _of_another_unit(self, likely: str, number: float) -> BadInput:
        shown = format_timestamp(int(number * UNIT_NS[likely] // 1_000))[:19]
        declared = f"in {UNIT_WORDS[self._unit]} as declared" if self._unit else "in microseconds unless declared"
        unit_text = "" if self._unit else ', or unit="us" where it is microseconds'
        likely_text = f'{UNIT_WORDS[likely]}, {shown}Z: formats=fb.columns(unit="{likely}")'
        return BadInput("time", f"{declared} (this looks like {likely_text}{unit_text})", number)

    def _of_text(self, text: str) -> int:
        if self._pattern:
            return self._of_pattern(text)
        if _NUMBER.match(text):
            return self._of_number(int(text))
        try:
            return parse_timestamp(text, self._zone)
        except BadInput as error:
            likely = likely_pattern(text)
            if not likely or _ISO.match(text):
                raise
            must = f'ISO 8601, or declared: fb.columns(at_format="{likely}")'
            raise BadInput(error.what, must, text) from None

    def _of_pattern(self, text: str) -> int:
        try:
            moment = datetime.strptime(text, self._pattern)
        except ValueError:
            if _ISO.match(text):
                return parse_timestamp(text, self._zone)
            raise BadInput("time", f"as at_format {self._pattern!r} says", text) from None
        return microseconds_of(with_zone(moment, self._zone) if moment.tzinfo is None else moment)


def likely_unit(number: float) -> str:
    """The unit, other than microseconds, in which a number is a time from 1980 to 2099, or "".

    >>> likely_unit(1_793_986_789), likely_unit(1_793_986_789_000), likely_unit(1_793_986_789_000_000_000)
    ('s', 'ms', 'ns')
    >>> likely_unit(1_793_986_789_000_000)
    ''
    """
    for unit, unit_ns in UNIT_NS.items():
        if unit != "us" and _RECENT_US <= number * unit_ns // 1_000 < LAST_US:
            return unit
    return ""


def likely_pattern(text: str) -> str:
    """The likely `strptime` pattern of a time, or "".

    >>> likely_pattern("30.08.2026 01:12")
    '%d.%m.%Y %H:%M'
    >>> likely_pattern("08/30/2026")
    '%m/%d/%Y'
    """
    match = _PATTERN.match(text)
    if match is None:
        return ""
    first, second, mark = match["a"], match["b"], match["mark"]
    if len(first) == 4:
        order = ("%Y", "%m", "%d")
    else:
        is_month_first = int(second) > 12 or (mark == "/" and int(first) <= 12)
        year = "%Y" if len(match["c"]) == 4 else "%y"
        order = ("%m", "%d", year) if is_month_first else ("%d", "%m", year)
    if match["gap"] is None:
        clock = ""
    else:
        clock = match["gap"] + "%H:%M" + (":%S" if match["seconds"] else "") + (".%f" if match["fraction"] else "")
    return mark.join(order) + clock
