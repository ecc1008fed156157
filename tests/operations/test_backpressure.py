"""A bulk load waits for the online state, but not for ever and not without an instance."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flyball.core import ManualStopwatch
from flyball.operations import backpressure
from flyball.operations.process_specs import UpReport, write_report


class Home:
    """A log of 20,000 events and a state that gains `a_look` of them during each wait."""

    def __init__(self, home: Path, a_look: int) -> None:
        self.applied, self.waits, self._a_look = 0, 0, a_look
        self.watch = ManualStopwatch(0.0)
        log = SimpleNamespace(ends=lambda: (15_000, 5_000))
        state = SimpleNamespace(offsets=lambda: (self.applied,) if self.applied else ())
        self.runtime: Any = SimpleNamespace(home=home, log=log, state=state)

    def wait(self, seconds: float) -> None:
        self.waits += 1
        self.applied += self._a_look
        self.watch.advance_s(seconds)

    def breathe(self) -> None:
        backpressure(self.runtime, 4_000, self.wait, self.watch)()


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


def test_without_an_instance_it_never_waits(tmp_path: Path) -> None:
    home = Home(tmp_path, 0)
    home.breathe()
    assert home.waits == 0


def test_an_instance_that_stopped_is_not_running(tmp_path: Path) -> None:
    write_report(tmp_path, "up", UpReport(0, 0, 1, 0, []))
    home = Home(tmp_path, 0)
    home.breathe()
    assert home.waits == 0
