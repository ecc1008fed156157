"""Event times as sources write them: ISO 8601, numbers in a unit, or a declared pattern, in a zone."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from flyball.core import BadDeclaration, BadInput, microseconds_of, parse_timestamp, with_zone

UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000}

_NUMBER = re.compile(r"-?[0-9]{1,18}\Z")
_ISO = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(\Z|[T ])")
_PATTERN = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<mark>[./-])(?P<b>[0-9]{1,2})(?P=mark)(?P<c>[0-9]{1,4})"
    r"(?:(?P<gap>[ T]|, )[0-9]{1,2}:[0-9]{2}(?P<seconds>:[0-9]{2}(?P<fraction>\.[0-9]{1,6})?)?)?\Z"
)
_PROBE = datetime(2026, 8, 30, 1, 12, 5)


def check_pattern(pattern: str) -> None:
    """Raises `BadDeclaration` for a pattern that does not give back the day it wrote."""
    try:
        read = datetime.strptime(_PROBE.replace(tzinfo=UTC).strftime(pattern), pattern)
    except (ValueError, re.error):
        read = None
    if read is None or read.date() != _PROBE.date():
        must = 'a pattern with year, month and day, such as "%d.%m.%Y %H:%M"'
        raise BadDeclaration("at_format of fb.columns", must, pattern)


class TimeReader:
    """Reads the time of one source's events. `pattern`: of text, beside ISO 8601, which is always read; as strptime's.

    `read`: applied to a value first; it may give text, a number, a date or a datetime.
    """

    def __init__(self, zone: tzinfo, unit: str, pattern: str, read: Callable[[Any], Any] | None = None) -> None:
        self._zone, self._factor, self._pattern, self._read = zone, UNIT_US[unit], pattern, read

    def timestamp_us(self, value: Any) -> int | None:
        """Microseconds since 1970 UTC; None when there is no time. Raises `BadInput`."""
        if self._read is not None and value is not None:
            value = self._applied(value)
        if type(value) is str:
            return self._of_text(value) if value else None
        if value is None:
            return None
        if type(value) is int:
            return value * self._factor
        if type(value) is float and self._factor != 1:
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

    def _of_float(self, value: float) -> int:
        if not abs(value) < 1e15:
            raise BadInput("time", "a number within 1970..2099", value)
        return round(value * self._factor)

    def _of_text(self, text: str) -> int:
        if self._pattern:
            return self._of_pattern(text)
        if _NUMBER.match(text):
            return int(text) * self._factor
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


def likely_pattern(text: str) -> str:
    """The pattern that a time looks like it was written by, or "".

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
