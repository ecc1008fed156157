"""Zones by name, and local times in them: repeated hours, skipped hours, zones that are none."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

import pytest

from flyball.core import BadInput, find_zone, local_days, parse_timestamp, with_zone

MICROSECOND = timedelta(microseconds=1)
BERLIN = find_zone("Europe/Berlin")


def utc(local: str, zone: tzinfo) -> str:
    return with_zone(datetime.fromisoformat(local), zone).astimezone(UTC).replace(tzinfo=None).isoformat()


def test_a_zone_is_found_by_its_name() -> None:
    assert find_zone("UTC") is UTC
    assert str(find_zone("Asia/Kolkata")) == "Asia/Kolkata"


@pytest.mark.parametrize(
    "name", ["", "Europe", "Europe/", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\0b", "UTC+2"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    """An unknown name, a folder of zones, a path, what no file can be called."""
    with pytest.raises(
        BadInput, match="zone must be one the system knows, such as UTC or Europe/Berlin, got"
    ) as caught:
        find_zone(name)
    assert caught.value.got == name


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("UTC", "2026-03-29T02:30:00", "2026-03-29T02:30:00"),
        ("Europe/Berlin", "2026-03-29T01:59:59.999999", "2026-03-29T00:59:59.999999"),
        ("Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00"),
        ("Europe/Berlin", "2026-10-25T01:59:59", "2026-10-24T23:59:59"),
        ("Europe/Berlin", "2026-10-25T02:00:00", "2026-10-25T00:00:00"),  # the first of two passes
        ("Europe/Berlin", "2026-10-25T02:59:59.999999", "2026-10-25T00:59:59.999999"),
        ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00"),
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:29:59", "2026-04-04T14:29:59"),  # half an hour of summer time
        ("Australia/Lord_Howe", "2026-04-05T01:30:00", "2026-04-04T14:30:00"),
        ("Australia/Lord_Howe", "2026-04-05T02:00:00", "2026-04-04T15:30:00"),
        ("Asia/Kolkata", "2026-07-01T05:30:00", "2026-07-01T00:00:00"),  # no summer time
    ],
)
def test_a_local_time_is_one_time(zone: str, local: str, expected: str) -> None:
    assert utc(local, find_zone(zone)) == expected


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Europe/Berlin", "2026-03-29T02:00:00", "2026-03-29T02:59:59.999999"),
        ("America/New_York", "2026-03-08T02:00:00", "2026-03-08T02:59:59.999999"),
        ("Australia/Lord_Howe", "2026-10-04T02:00:00", "2026-10-04T02:29:59.999999"),
        ("Pacific/Apia", "2011-12-30T00:00:00", "2011-12-30T23:59:59.999999"),  # a whole day
    ],
)
def test_times_that_clocks_skipped_are_refused_those_beside_them_are_not(zone: str, first: str, last: str) -> None:
    where, begins, ends = find_zone(zone), datetime.fromisoformat(first), datetime.fromisoformat(last)
    for local in (begins, ends):
        with pytest.raises(BadInput, match=f"time must be one that clocks in {zone} showed: they skipped this hour"):
            with_zone(local, where)
    before, after = with_zone(begins - MICROSECOND, where), with_zone(ends + MICROSECOND, where)
    assert after.astimezone(UTC) - before.astimezone(UTC) == MICROSECOND


def test_a_zone_of_a_fixed_offset_has_every_time_once() -> None:
    assert utc("2026-03-29T02:30:00", timezone(timedelta(hours=5, minutes=45))) == "2026-03-28T20:45:00"


@pytest.mark.parametrize(
    ("local", "timestamp"),
    [("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"), ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z")],
)
def test_the_second_pass_is_written_with_its_offset(local: str, timestamp: str) -> None:
    assert parse_timestamp(local, BERLIN) == parse_timestamp(timestamp)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"]
)
def test_a_day_ends_at_midnight_of_its_zone(name: str) -> None:
    """Every time of two years, some minutes apart, and those beside each midnight; looked up one by one."""
    zone = find_zone(name)
    start = int(datetime(2010, 12, 31, tzinfo=UTC).timestamp())
    times = [(start + second) * 1_000_000 + 999_999 for second in range(0, 731 * 86_400, 997)]
    edges = [start + day * 86_400 + quarter * 900 for day in range(731) for quarter in range(96)]
    times += [edge * 1_000_000 + change for edge in edges[::7] for change in (-1, 0)]
    days = [(datetime.fromtimestamp(at // 1_000_000, zone).date() - date(1970, 1, 1)).days for at in times]
    assert local_days(times, zone) == days
