"""Windows of the same time of day, also across a change of the clock."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flyball.monitoring.watch.season import SeasonalWindow, earlier_windows, ends_day, like_window, weekday_of

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
BERLIN = ZoneInfo("Europe/Berlin")


def us(text: str, zone: ZoneInfo | None = None) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=zone or UTC)
    return int(moment.timestamp()) * 1_000_000


def test_earlier_windows_are_those_of_the_days_before_oldest_first() -> None:
    start_us = us("2026-01-12T09:00")
    windows = earlier_windows(start_us, HOUR_US, 7, UTC)
    assert [window.start_us for window in windows] == [start_us - day * DAY_US for day in range(7, 0, -1)]
    assert [window.weekday for window in windows] == [0, 1, 2, 3, 4, 5, 6]


def test_the_time_of_day_is_that_of_the_zone() -> None:
    """On 29 March 2026 clocks in Berlin went forward: nine o'clock was an hour later on the scale of UTC before."""
    windows = earlier_windows(us("2026-03-30T09:00", BERLIN), HOUR_US, 3, BERLIN)
    assert [window.start_us for window in windows] == [us(f"2026-03-{day}T09:00", BERLIN) for day in (27, 28, 29)]
    assert windows[2].start_us - windows[1].start_us == DAY_US - HOUR_US
    night = earlier_windows(us("2026-03-30T02:30", BERLIN), HOUR_US // 2, 1, BERLIN)  # 02:30 did not exist on the 29th
    assert night[0].start_us % (HOUR_US // 2) == 0


def test_windows_of_the_same_weekday_are_like_it_once_there_are_three() -> None:
    windows = [SeasonalWindow(day, day % 7) for day in range(20)]
    assert [window.start_us for window in like_window(windows, 2)] == [2, 9, 16]
    assert len(like_window(windows, 6)) == 20
    assert weekday_of(us("2026-01-11T23:30"), BERLIN) == 0
    assert weekday_of(us("2026-01-11T23:30"), UTC) == 6


def test_the_last_window_of_a_day_is_that_before_midnight_of_the_zone() -> None:
    assert ends_day(us("2026-01-12T00:00", BERLIN), HOUR_US, BERLIN)
    assert not ends_day(us("2026-01-12T00:00"), HOUR_US, BERLIN)
    assert ends_day(us("2026-01-12T00:00"), 6 * HOUR_US, UTC)
