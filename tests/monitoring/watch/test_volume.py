"""The forecast of volumes: usual hours, weekends and growth are no alarm; a lost half is seen within hours."""

import math
from datetime import UTC

import numpy as np
import pytest

from flyball.monitoring import MonitorState, decide_findings
from flyball.monitoring.watch.season import earlier_windows, like_window, weekday_of
from flyball.monitoring.watch.volume import forecast_volume, observe_volume

HOUR_US = 3_600_000_000
START_US = 1_767_571_200_000_000
"""A Monday, 0 h."""


def seasons(start_us: int) -> list[list[int]]:
    listed = []
    for back in range(49):
        own_us = start_us - back * HOUR_US
        earlier = earlier_windows(own_us, HOUR_US, 28, UTC)
        listed.append([own_us, *(window.start_us for window in like_window(earlier, weekday_of(own_us, UTC)))])
    return listed


def volumes(seed: int, days: int, growth: float = 0.0, lost: float = 0.0, since_hour: int = 10**9) -> dict[int, int]:
    """A shop with a daily and a weekly season, and 10 % of noise beside that of counting."""
    rng, counts = np.random.default_rng(seed), {}
    for hour in range(days * 24):
        weekend = 1.6 if hour // 24 % 7 >= 5 else 1.0
        rate = 60 * (1 + 0.8 * math.sin((hour % 24 - 9) / 12 * math.pi)) * weekend * (1 + growth) ** (hour / 24)
        rows = int(rng.poisson(rate * rng.lognormal(0, 0.1)))
        counts[START_US + hour * HOUR_US] = int(rng.binomial(rows, 1 - lost)) if hour >= since_hour else rows
    return counts


def findings(counts: dict[int, int], hours: range, monitors: int = 20) -> list[int]:
    """The hours at which a finding begins, where `monitors` others share the budget of one a month."""
    states: dict[str, MonitorState] = {}
    begun = []
    for hour in hours:
        start_us = START_US + hour * HOUR_US
        (suspected_us,) = [state.suspected_us for state in states.values()] or [None]
        usual = {
            at_us: rows
            for at_us, rows in counts.items()
            if at_us == start_us or (at_us < start_us and (suspected_us is None or at_us < suspected_us))
        }
        seen = observe_volume("events.Buy", usual, start_us, seasons(start_us))
        decision = decide_findings(
            states, [seen], since_us=start_us, at_us=start_us + HOUR_US, run_length=720 * monitors
        )
        states = decision.states
        begun += [hour] * len(decision.new)
    return begun


@pytest.mark.parametrize("growth", [0.0, 0.01])
def test_two_quiet_weeks_have_no_finding(growth: float) -> None:
    assert not findings(volumes(1, 42, growth), range(28 * 24, 42 * 24))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_lost_half_is_found_within_a_day_and_stays_found(seed: int) -> None:
    since = 40 * 24 + 6
    begun = findings(volumes(seed, 42, lost=0.5, since_hour=since), range(38 * 24, 42 * 24))
    assert len(begun) == 1
    assert since <= begun[0] < since + 24


def test_nothing_at_all_is_found_at_once() -> None:
    since = 40 * 24 + 12
    assert findings(volumes(4, 41, lost=1.0, since_hour=since), range(40 * 24, 41 * 24))[:1] == [since]


def test_the_forecast_covers_usual_windows() -> None:
    counts = volumes(5, 40)
    within = []
    for hour in range(30 * 24, 40 * 24, 5):
        start_us = START_US + hour * HOUR_US
        known = {at_us: rows for at_us, rows in counts.items() if at_us <= start_us}
        forecast = forecast_volume(known, start_us, seasons(start_us))
        within.append(forecast.low <= counts[start_us] <= forecast.high)
    assert np.mean(within) > 0.9


def test_rows_in_clusters_are_no_alarm_where_few_clusters_are_usual() -> None:
    """Films of 90 minutes, a row a minute: a night with two or three people who watch, an evening with dozens."""
    quiet, rng = 0, np.random.default_rng(7)
    for _ in range(2):
        counts = dict.fromkeys(range(START_US, START_US + 40 * 24 * HOUR_US, HOUR_US), 0)
        for start_us in list(counts):
            hour = (start_us - START_US) // HOUR_US % 24
            for _ in range(rng.poisson(0.6 if hour < 9 else 6.0)):
                minutes = range(int(rng.integers(60)), 150)
                for minute in minutes[:90]:
                    at_us = start_us + minute // 60 * HOUR_US
                    if at_us in counts:
                        counts[at_us] += 1
        quiet += len(findings(counts, range(33 * 24, 40 * 24)))
    assert not quiet
    since_us = START_US + (39 * 24 + 15) * HOUR_US
    lost = {start_us: rows for start_us, rows in counts.items() if start_us < since_us} | {
        start_us: 0 for start_us in counts if start_us >= since_us
    }
    (begun,) = findings(lost, range(39 * 24, 40 * 24))
    assert begun <= 39 * 24 + 18


def test_clusters_of_a_row_are_a_poisson_number() -> None:
    rng = np.random.default_rng(3)
    counts = {START_US + hour * HOUR_US: int(rng.poisson(4.0)) for hour in range(30 * 24)}
    start_us = max(counts)
    counts[start_us] = 0
    forecast = forecast_volume(counts, start_us, seasons(start_us))
    assert math.exp(-4.5) * 2 <= forecast.p <= 0.1


def test_a_forecast_without_a_past_says_nothing() -> None:
    counts = {START_US + hour * HOUR_US: 50 for hour in range(30)}
    assert forecast_volume(counts, START_US + 29 * HOUR_US, seasons(START_US + 29 * HOUR_US)).p == 1.0
    few = observe_volume("events.Buy", {START_US: 0}, START_US, [[START_US]])
    assert not few.matters
    assert few.e_value < 0.5
