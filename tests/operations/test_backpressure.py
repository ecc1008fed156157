"""A bulk load waits for the online state, but not for ever and not without an instance."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flyball.core import ManualStopwatch
from flyball.events import ConsumerLag, WorkerReport
from flyball.home import HomeLayout
from flyball.limits import LateAnswers
from flyball.operations import backpressure, between_appends
from flyball.operations.backpressure import GIVE_WAY_S, RECENT_S
from flyball.operations.process_specs import UpReport, write_report


class Home:
    """A log of 20,000 events and a state that gains `a_look` of them during each wait."""

    def __init__(self, home: Path, a_look: int) -> None:
        self.applied, self.waits, self._a_look = 0, 0, a_look
        self.watch = ManualStopwatch(0.0)
        log = SimpleNamespace(ends=lambda: (15_000, 5_000))
        state = SimpleNamespace(offsets=lambda: (self.applied,) if self.applied else ())
        clock = SimpleNamespace(now_us=lambda: 100_000_000)
        self.runtime: Any = SimpleNamespace(home=home, log=log, state=state, clock=clock)
        self.said: list[str] = []
        self._hold = backpressure(self.runtime, 4_000, self.wait, self.watch, self.said.append)

    def wait(self, seconds: float) -> None:
        self.waits += 1
        self.applied += self._a_look
        self.watch.advance_s(seconds)

    def breathe(self) -> None:
        self._hold()


@pytest.fixture
def up_home(tmp_path: Path) -> Path:
    write_report(tmp_path, "up", UpReport(0, os.getpid(), 1, 0, []))
    return tmp_path


def test_waits_until_the_state_is_near(up_home: Path) -> None:
    home = Home(up_home, 1_000)
    home.breathe()
    assert home.applied == 16_000
    home.breathe()
    assert home.waits == 16


def test_gives_up_on_a_state_that_stands_still(up_home: Path) -> None:
    home = Home(up_home, 0)
    home.breathe()
    assert 5 < home.watch.read_s() < 6
    assert home.said[0] == "waiting for the online state, 20,000 events behind, so that live events stay fresh"
    assert (
        "loading without waiting for the online state, 20,000 events behind: no log worker has reported yet"
        in home.said[1]
    )


def test_a_state_that_stands_still_is_waited_for_once_and_the_reason_is_said(up_home: Path) -> None:
    lags = {"state": ConsumerLag(20_000, 0, "IndexError: list index out of range", 88_000_000)}
    write_report(up_home, "worker", WorkerReport(99_000_000, {}, lags))
    home = Home(up_home, 0)
    for _ in range(100):
        home.breathe()
    assert 5 < home.watch.read_s() < 6
    assert home.said[1:] == [
        "loading without waiting for the online state, 20,000 events behind: consumer state has been failing for 12s: "
        "IndexError: list index out of range"
    ]
    home.applied = 10_000
    home.breathe()
    assert home.watch.read_s() > 10, "it has moved, so it is waited for again"


def test_without_an_instance_it_never_waits(tmp_path: Path) -> None:
    home = Home(tmp_path, 0)
    home.breathe()
    assert home.waits == 0


def test_an_instance_that_stopped_is_not_running(tmp_path: Path) -> None:
    write_report(tmp_path, "up", UpReport(0, 0, 1, 0, []))
    home = Home(tmp_path, 0)
    home.breathe()
    assert home.waits == 0


def test_a_load_gives_way_to_answers_that_are_late_for_two_seconds_at_most(up_home: Path) -> None:
    home = Home(up_home, 0)
    home.applied = 20_000
    late = LateAnswers(HomeLayout(up_home).late_answers)
    home.watch.advance_s(1_000)
    late.note(home.watch.read_s())
    began_s = home.watch.read_s()
    home.breathe()
    assert RECENT_S <= home.watch.read_s() - began_s < RECENT_S + 0.05, "until they are in time again"
    home.breathe()
    assert home.watch.read_s() - began_s < RECENT_S + 0.05

    class AlwaysLate(Home):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            late.note(self.watch.read_s())

    busy = AlwaysLate(up_home, 0)
    busy.applied = 20_000
    busy.watch.advance_s(2_000)
    late.note(busy.watch.read_s())
    began_s = busy.watch.read_s()
    for append in range(1, 4):
        busy.breathe()
        assert GIVE_WAY_S * append <= busy.watch.read_s() - began_s < (GIVE_WAY_S + 0.05) * append
    assert busy.said == ["loading more slowly while answers are late"]


def test_without_an_instance_nobody_is_late(tmp_path: Path) -> None:
    home = Home(tmp_path, 0)
    LateAnswers(HomeLayout(tmp_path).late_answers).note(home.watch.read_s())
    home.breathe()
    assert home.waits == 0


def test_a_load_sees_once_a_second_whom_another_machine_has_erased(up_home: Path) -> None:
    home, looks = Home(up_home, 0), list[float]()
    home.applied = 20_000
    home.runtime.shares_registry = True
    home.runtime.learn_erasures = lambda: looks.append(home.watch.read_s())
    between = between_appends(home.runtime, home.said.append, home.watch)
    for _ in range(30):
        home.watch.advance_s(0.25)
        between()
    assert looks == [float(second) for second in range(8)], "before the first append, and then once a second"
    home.runtime.shares_registry = False
    between_appends(home.runtime, home.said.append, home.watch)()
    assert len(looks) == 8
