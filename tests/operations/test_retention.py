"""The schedule of retention: a round at a time, by the last report, also for a removal that was interrupted."""

from pathlib import Path

import msgspec
from tests.operations.fake_processes import FakeProcess

from flyball.core import FileLock
from flyball.home import HomeLayout
from flyball.operations import RETENTION, RetentionReport, write_report
from flyball.operations.retention import (
    DAY_US,
    FIRST_RETENTION_US,
    HOUR_US,
    RetentionSchedule,
    retention_every_us,
)

NOW_US = 1_700_000_000_000_000


class Rounds:
    """A schedule whose processes end when the test says so."""

    def __init__(self, home: Path, every_us: int = DAY_US) -> None:
        self.home, self.started = home, list[FakeProcess]()
        self.schedule = RetentionSchedule(HomeLayout(home), every_us, self._launch)

    def _launch(self) -> FakeProcess:
        self.started.append(FakeProcess())
        return self.started[-1]

    def ends(self, report: RetentionReport | None = None, code: int = 0) -> None:
        if report is not None:
            write_report(self.home, RETENTION, report)
        self.started[-1].code = code


def test_it_is_looked_for_a_tenth_of_the_shortest_retention() -> None:
    assert retention_every_us({}) == DAY_US
    assert retention_every_us({"watch": 400 * DAY_US, "predictions": 5 * DAY_US}) == DAY_US // 2
    assert retention_every_us({"watch": 2 * HOUR_US}) == HOUR_US


def test_a_round_starts_after_the_first_minutes_and_then_once_a_day(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path)
    assert rounds.schedule.step(NOW_US) == []
    rounds.schedule.step(NOW_US + FIRST_RETENTION_US - 1)
    assert not rounds.started
    at_us = NOW_US + FIRST_RETENTION_US
    rounds.schedule.step(at_us, busy=True)
    assert not rounds.started, "learning is waited for"
    rounds.schedule.step(at_us)
    rounds.schedule.step(at_us + 1)
    assert len(rounds.started) == 1
    rounds.ends(RetentionReport(at_us, {"events": 3, "predictions": 0, "quarantine": 1}))
    assert rounds.schedule.step(at_us + 2) == ["retention removed 3 events, 1 refused line"]
    assert rounds.started[0].killed
    other = Rounds(tmp_path)  # after a restart of the governor
    other.schedule.step(at_us + DAY_US - 1)
    assert not other.started
    other.schedule.step(at_us + DAY_US)
    assert len(other.started) == 1
    other.ends(RetentionReport(at_us + DAY_US, {"events": 0}))
    assert other.schedule.step(at_us + DAY_US + 1) == []


def test_one_that_failed_is_tried_again_after_an_hour(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path)
    write_report(tmp_path, RETENTION, RetentionReport(NOW_US - 1 - DAY_US))
    rounds.schedule.step(NOW_US)
    rounds.ends(RetentionReport(NOW_US, error="the log is away"))
    assert rounds.schedule.step(NOW_US + 1) == ["retention failed: the log is away"]
    rounds.schedule.step(NOW_US + HOUR_US - 1)
    assert len(rounds.started) == 1
    rounds.schedule.step(NOW_US + HOUR_US)
    assert len(rounds.started) == 2
    rounds.ends(code=1)
    assert rounds.schedule.step(NOW_US + HOUR_US + 1) == ["retention failed: code 1"]


def test_a_clock_that_was_set_back_does_not_end_it(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path)
    write_report(tmp_path, RETENTION, RetentionReport(NOW_US + 400 * DAY_US))
    rounds.schedule.step(NOW_US)
    assert len(rounds.started) == 1


def test_a_removal_by_retention_that_was_interrupted_is_completed_at_once(tmp_path: Path) -> None:
    layout = HomeLayout(tmp_path)
    layout.removal.mkdir(parents=True)
    layout.run.mkdir()
    for action, starts in (("erase", 0), ("retention", 1)):
        layout.removal_plan.write_bytes(msgspec.json.encode({"action": action, "subject": "s"}))
        rounds = Rounds(tmp_path)
        with FileLock(layout.removal_lock, "a removal"):
            rounds.schedule.step(NOW_US)
        assert not rounds.started, "something carries it out"
        rounds.schedule.step(NOW_US)
        assert len(rounds.started) == starts
    rounds.schedule.stop()
    assert rounds.started[0].killed
