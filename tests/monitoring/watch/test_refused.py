"""Refused lines: more than usual for hours is a finding, a few or fewer are none."""

from pathlib import Path

from tests.monitoring.watch.shops import DAY_US, DAYS, FAULT_HOUR, HOUR_US, START_US, found, shop

from flyball.events import Quarantined, open_quarantine
from flyball.monitoring import TableProfile, Watcher
from flyball.monitoring.watch.refused import observe_refused, quarantine_table


def refused(hour: int, count: int) -> list[Quarantined]:
    at_us = START_US + hour * HOUR_US
    return [
        Quarantined(at_us + place, "missing_field", "price must be given", b"{}", f"till-{hour}", place, "jsonl")
        for place in range(count)
    ]


def test_lines_that_are_refused_hour_after_hour_are_found(tmp_path: Path) -> None:
    runtime = shop(tmp_path, DAYS)
    for hour in range(DAYS * 24):
        runtime.quarantine.put(refused(hour, 8 if hour >= FAULT_HOUR else int(hour % 50 == 0)))
    rounds = Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + 22 * DAY_US)
    hours = found(rounds)
    assert set(hours) == {("volume", "quarantine")}
    assert 0 <= hours["volume", "quarantine"] <= 24
    (finding,) = rounds[-1].decision.findings
    assert (finding.severity, finding.origin) == ("high", "own")
    assert "48 lines were refused, expected " in finding.message
    assert "most for missing_field, from till-" in finding.message


def test_one_file_of_bad_lines_is_no_finding(tmp_path: Path) -> None:
    runtime = shop(tmp_path, DAYS)
    runtime.quarantine.put(refused(FAULT_HOUR, 500))
    rounds = Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + 22 * DAY_US)
    assert found(rounds) == {}


def test_fewer_than_usual_are_fine_and_few_are_of_low_severity(tmp_path: Path) -> None:
    quarantine = open_quarantine("memory://")
    quarantine.put([line for hour in range(20) for line in refused(hour, 400 if hour == 19 else 40 - hour)])
    counts = {hour: 40 - hour for hour in range(19)} | {19: 400}
    seasons = [[hour, *range(max(0, hour - 5), hour)] for hour in range(19, 5, -1)]
    many = TableProfile.of(quarantine_table(quarantine, START_US + 19 * HOUR_US, START_US + 20 * HOUR_US))
    assert many.rows == 400
    observed = observe_refused(many, 100_000, counts, 19, seasons)
    assert (observed.matters, observed.severity) == (True, "low")
    none = TableProfile.of(quarantine_table(quarantine, START_US - HOUR_US, START_US))
    assert not observe_refused(none, 100_000, counts | {19: 0}, 19, seasons).matters
