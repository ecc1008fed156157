"""Times of the calendar against a search over all minutes, and the changes of summer time by name."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball as fb
from flyball.core import BadDeclaration, find_zone
from flyball.policy import Cron, cron, cron_times, next_cron_us

MINUTE_US = 60_000_000


def at(text: str) -> int:
    """Microseconds of a time with an offset."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def matches(expression: str, local: datetime) -> bool:
    """Whether a local time is one of the schedule: each field by looking at its parts, nothing shared with the code."""
    fields = expression.lower().split()
    values = (local.minute, local.hour, local.day, local.month, (local.weekday() + 1) % 7)
    hits = [_hit(field, value, number) for number, (field, value) in enumerate(zip(fields, values, strict=True))]
    days = hits[2] or hits[4] if fields[2][0] != "*" and fields[4][0] != "*" else hits[2] and hits[4]
    return hits[0] and hits[1] and days and hits[3]


@cache
def _hit(field: str, value: int, number: int) -> bool:
    names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    def plain(text: str) -> int:
        return names.index(text) + 1 if text in names else weekdays.index(text) if text in weekdays else int(text)

    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            if (value - (1 if number in (2, 3) else 0)) % int(step or 1) == 0:
                return True
            continue
        first, last = plain(low), plain(high or low)
        if number == 4 and high and last == 0:
            last = 7
        for candidate in {value, value + 7} if number == 4 and value == 0 else {value}:
            if first <= candidate <= last and (candidate - first) % int(step or 1) == 0:
                return True
    return False


@lru_cache
def shown_by_minute(zone: str, start_us: int, days: int) -> list[tuple[int, list[datetime]]]:
    """(minute, the local times that are shown for the first time or skipped then), of every minute with any."""
    info, step = ZoneInfo(zone), timedelta(minutes=1)
    before = datetime.fromtimestamp(start_us // 1_000_000 - 60, UTC).astimezone(info).replace(tzinfo=None)
    latest, rows = before, []
    for minute in range(days * 1440):
        now_us = start_us + minute * MINUTE_US
        local = datetime.fromtimestamp(now_us // 1_000_000, UTC).astimezone(info).replace(tzinfo=None)
        shown = [local]
        while shown[-1] - step > before and local > before:
            shown.append(shown[-1] - step)
        if fresh := [each for each in shown if each > latest]:
            rows.append((now_us, fresh))
        before, latest = local, max(latest, local)
    return rows


def minutes_of(expression: str, zone: str, start_us: int, days: int) -> Iterator[int]:
    """The times of a schedule by a search over all minutes: a doubled local time the first time it is shown, a skipped
    one at the minute to which clocks jump."""
    for now_us, fresh in shown_by_minute(zone, start_us, days):
        if any(matches(expression, each) for each in fresh):
            yield now_us


EXPRESSIONS = [
    "0 3 * * *",
    "30 2 * * *",
    "*/15 * * * *",
    "0,30 1-3 * * *",
    "5-50/15 2 * * sun",
    "0 0 1 * mon",
    "15 2 29-31 MAR,oct *",
    "0 12 */10 * */2",
    "0 22 * * fri-sun",
    "59 23 31 dec 7",
    "0 0 13 * 5",
]
CHANGES = [
    ("Europe/Berlin", "2026-03-27T00:00:00+00:00"),
    ("Europe/Berlin", "2026-10-23T00:00:00+00:00"),
    ("America/New_York", "2026-03-06T00:00:00+00:00"),
    ("America/New_York", "2026-10-30T00:00:00+00:00"),
    ("Australia/Lord_Howe", "2026-10-02T00:00:00+00:00"),  # half an hour
    ("Australia/Lord_Howe", "2026-04-03T00:00:00+00:00"),
    ("Pacific/Apia", "2011-12-28T00:00:00+00:00"),  # a day that was skipped
    ("America/Sao_Paulo", "2018-11-02T00:00:00+00:00"),  # midnight was skipped
    ("Asia/Kathmandu", "2026-02-26T00:00:00+00:00"),
    ("UTC", "2028-02-27T00:00:00+00:00"),
]


@pytest.mark.parametrize(("zone", "start"), CHANGES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_times_are_those_of_a_search_over_all_minutes(expression: str, zone: str, start: str) -> None:
    start_us, days = at(start), 5
    expected = list(minutes_of(expression, zone, start_us, days))
    got, after_us, rule = [], start_us - 1, Cron(expression, zone)
    while (due_us := rule.next_us(after_us)) is not None and due_us < start_us + days * 1440 * MINUTE_US:
        got.append(due_us)
        after_us = due_us
    assert got == expected


_MINUTES = st.sampled_from(["*", "0", "7,23", "*/20", "10-40/7"])
_HOURS = st.sampled_from(["*", "2", "1-3", "0,12", "*/5"])
_DAYS = st.sampled_from(["*", "1", "28-31", "*/9", "13"])
_MONTHS = st.sampled_from(["*", "3", "oct-nov", "*/2", "mar,oct"])
_WEEKDAYS = st.sampled_from(["*", "sun", "1-5", "0", "fri-sun", "7"])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(_MINUTES, _HOURS, _DAYS, _MONTHS, _WEEKDAYS).map(" ".join),
    st.sampled_from(CHANGES),
    st.integers(0, 2 * 1440),
)
def test_any_schedule_at_any_time_is_the_next_of_all_minutes(
    expression: str, change: tuple[str, str], minute: int
) -> None:
    zone, start_us = change[0], at(change[1])
    after_us = start_us + minute * MINUTE_US
    later = (due_us for due_us in minutes_of(expression, zone, start_us, 5) if due_us > after_us)
    expected, due_us = next(later, None), Cron(expression, zone).next_us(after_us)
    if expected is None:
        assert due_us is None or due_us >= start_us + 5 * 1440 * MINUTE_US
    else:
        assert due_us == expected


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 2 * * *", "2026-03-29T00:59:00+00:00", "2026-03-29T03:00:00+02:00"),  # 02:30 is skipped
        ("30 2 * * *", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"),
        ("30 2 * * *", "2026-10-24T12:00:00+00:00", "2026-10-25T02:30:00+02:00"),  # shown twice
        ("30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
        ("0 3 29 2 *", "2096-03-01T00:00:00+00:00", "2104-02-29T03:00:00+01:00"),  # 2100 is no leap year
        ("0 3 * * *", "2026-06-01T00:59:59+00:00", "2026-06-01T03:00:00+02:00"),
        ("0 3 * * *", "2026-06-01T01:00:00+00:00", "2026-06-02T03:00:00+02:00"),  # after is not at
    ],
)
def test_times_by_name(expression: str, after: str, expected: str) -> None:
    assert next_cron_us(cron_times(expression), find_zone("Europe/Berlin"), at(after)) == at(expected)


def test_one_of_two_days_is_enough_where_both_are_restricted() -> None:
    times = cron_times("0 0 13 * fri")
    assert times.has_day(datetime(2026, 3, 13).date())
    assert times.has_day(datetime(2026, 3, 6).date())
    assert not times.has_day(datetime(2026, 3, 12).date())
    assert not cron_times("0 0 */13 * fri").has_day(datetime(2026, 3, 14).date())


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("0 3 * *", "times of cron.* must be five fields: minute, hour"),
        (3, "times of cron.* must be five fields"),
        ("60 3 * * *", "minute of cron.* must be .* numbers from 0 to 59, ranges"),
        ("0 24 * * *", "hour of cron"),
        ("0 3 0 * *", "day of the month of cron"),
        ("0 3 * 13 *", "month of cron.* or jan-dec"),
        ("0 3 * * 8", "day of the week of cron.* from 0 to 7 or sun-sat"),
        ("0 3 * * fri-mon", "day of the week of cron.* from low to high"),
        ("0 3 * * monday", "day of the week of cron"),
        ("*/0 3 * * *", "minute of cron.* with a step from 1"),
        ("5/10 3 * * *", "minute of cron.* with a step after \\* or a range, such as 5-59/10"),
        ("1,,2 3 * * *", "minute of cron"),
        ("٣ 3 * * *", "minute of cron"),
        ("0 3 30 feb *", "times of cron.* must be on a day that its months have"),
        ("0 3 31 2,4,6 *", "on a day that its months have"),
    ],
)
def test_what_is_no_schedule_is_refused_naming_the_field(times: str, message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        cron(times)


def test_a_zone_must_be_known() -> None:
    with pytest.raises(BadDeclaration, match="zone of cron.* such as UTC or Europe/Berlin, got 'Berlin'"):
        fb.cron("0 3 * * *", zone="Berlin")
    assert fb.cron("0 3 * * *") == Cron("0 3 * * *", "UTC")
