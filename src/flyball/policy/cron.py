"""Times of the calendar, written as crontab writes them, in a time zone with its summer time.

Sources: IEEE Std 1003.1, crontab (the five fields, and that of day of the month and day of the week either may match
where both are restricted); PEP 495 (times that clocks skip or show twice).
"""

import calendar
import re
from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from flyball.core import BadDeclaration, BadInput, find_zone

_MONTHS = tuple(name.lower() for name in calendar.month_abbr[1:])
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {"month": _MONTHS, "day of the week": _WEEKDAYS}
_FIRST_NAMED = {"month": 1, "day of the week": 0}
_PART = re.compile(r"(?:(?P<star>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d{1,4}))?", re.ASCII)
_MOST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_HORIZON_DAYS = 366 * 41
"""The longest pause of a schedule that has a time: 29 February on given weekdays, across 2100."""


class CronTimes(msgspec.Struct, frozen=True):
    """What each field of a schedule matches. `either`: whether one of the two kinds of day is enough."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def has_day(self, day: date) -> bool:
        """Whether the schedule has times on this day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either else of_month and of_week


def cron_times(text: Any) -> CronTimes:
    """The times of `text`, five fields separated by spaces; raises `BadDeclaration` naming the field.

    A field is `*`, a number, a name of a month or weekday, a range `9-17`, either with a step (`*/15`, `9-17/2`), or a
    list of these. Sunday is 0 and 7.

    >>> cron_times("0 9-17/4 * * mon-fri").hours
    (9, 13, 17)
    """
    fields = text.split() if isinstance(text, str) else []
    if len(fields) != 5:
        must = 'five fields: minute, hour, day of the month, month, day of the week, such as "0 3 * * *"'
        raise BadDeclaration("times of cron(...)", must, text)
    minutes, hours, days, months, weekdays = (_values(index, field) for index, field in enumerate(fields))
    restricted = not fields[2].startswith("*") and not fields[4].startswith("*")
    times = CronTimes(
        tuple(sorted(minutes)), tuple(sorted(hours)), days, months, frozenset(day % 7 for day in weekdays), restricted
    )
    if not restricted and all(min(days) > _MOST_DAYS[month - 1] for month in months):
        raise BadDeclaration("times of cron(...)", "on a day that its months have", text)
    return times


def next_cron_us(times: CronTimes, zone: tzinfo, after_us: int) -> int | None:
    """The first time of the schedule after `after_us`; None where there is none in forty years.

    A local time that clocks skip when summer time begins becomes the next time that exists; of one that they show twice
    when it ends, only the first counts.

    >>> berlin, start = find_zone("Europe/Berlin"), datetime(2026, 3, 28, 12, tzinfo=UTC)
    >>> due_us = next_cron_us(cron_times("30 2 * * *"), berlin, int(start.timestamp() * 1e6))
    >>> print(datetime.fromtimestamp(due_us / 1e6, berlin))
    2026-03-29 03:00:00+02:00
    """
    # a time that a zone skipped may be of a day before: Samoa had no 30 December in 2011
    first = datetime.fromtimestamp(after_us // 1_000_000, zone).date() - timedelta(days=2)
    for number in range(_HORIZON_DAYS):
        day = first + timedelta(days=number)
        if not times.has_day(day):
            continue
        shown = [time(hour, minute) for hour in times.hours for minute in times.minutes]
        # a later local time is never shown before an earlier one
        later = bisect_right(shown, after_us, key=lambda local: _existing_us(datetime.combine(day, local), zone))
        if later < len(shown):
            return _existing_us(datetime.combine(day, shown[later]), zone)
    return None


def _existing_us(local: datetime, zone: tzinfo) -> int:
    """The time when clocks in `zone` first show `local`, or that at which they skip it."""
    before, after = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    plain_s = int((local.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    at_s = plain_s - int(before.total_seconds())
    if before >= after:
        return at_s * 1_000_000
    low_s, high_s = plain_s - int(after.total_seconds()), at_s  # the clocks change in (low_s, high_s]
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        changed = datetime.fromtimestamp(middle_s, zone).utcoffset() != before
        low_s, high_s = (low_s, middle_s) if changed else (middle_s, high_s)
    return high_s * 1_000_000


def _values(index: int, field: str) -> frozenset[int]:
    """What a field matches."""
    name, (least, most) = _FIELDS[index], _BOUNDS[index]
    values = set[int]()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            _refuse(name, field)
        step = 1 if match["step"] is None else int(match["step"])
        if match["star"]:
            low, high = least, 6 if name == "day of the week" else most
        else:
            low = _number(name, field, match["low"])
            high = low if match["high"] is None else _number(name, field, match["high"])
            if match["high"] is None and match["step"] is not None:
                must = f"with a step after * or a range, such as {low}-{most}/{step}"
                raise BadDeclaration(f"{name} of cron(...)", must, field)
            if name == "day of the week" and match["high"] is not None and high == 0:
                high = 7  # sat-sun
        if step < 1 or not least <= low <= high <= most:
            _refuse(name, field)
        values.update(range(low, high + 1, step))
    return frozenset(values)


def _number(name: str, field: str, text: str) -> int:
    names = _NAMES.get(name, ())
    if text.lower() in names:
        return names.index(text.lower()) + _FIRST_NAMED[name]
    if not text.isdecimal() or len(text) > 4:
        _refuse(name, field)
    return int(text)


def _refuse(name: str, field: str) -> NoReturn:
    least, most = _BOUNDS[_FIELDS.index(name)]
    names = _NAMES.get(name, ())
    words = f" or {names[0]}-{names[-1]}" if names else ""
    must = f"*, numbers from {least} to {most}{words}, ranges from low to high, or a list of these, with a step from 1"
    raise BadDeclaration(f"{name} of cron(...)", must, field)


class Cron(msgspec.Struct, frozen=True, tag="cron"):
    """Learn at times of the calendar: `times` as crontab writes them, in the time zone `zone`."""

    times: str
    zone: str = "UTC"

    def next_us(self, after_us: int) -> int | None:
        """Its first time after `after_us`."""
        return next_cron_us(_cached_times(self.times), find_zone(self.zone), after_us)


_cached_times = lru_cache(maxsize=64)(cron_times)


def cron(times: str, *, zone: str = "UTC") -> Cron:
    """Learn at times of the calendar: `fb.cron("0 3 * * mon", zone="Europe/Berlin")`, Mondays at three in the morning.

    `times`: minute, hour, day of the month, month, day of the week, see `cron_times`. Raises `BadDeclaration`.
    """
    cron_times(times)
    try:
        find_zone(zone if isinstance(zone, str) else "")
    except BadInput:
        raise BadDeclaration("zone of cron(...)", "one the system knows, such as UTC or Europe/Berlin", zone) from None
    return Cron(times, zone)
