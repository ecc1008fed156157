"""How long a request has waited, from the lateness of a timer. Time is moved by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from flyball.core import ManualStopwatch
from flyball.serving.waiting_time import BULK_SHARE, TICK_S, WaitingTime


class Loop:
    """A loop whose timer goes off when the test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], Any]] = []

    def call_later(self, after_s: float, call: Callable[[], Any]) -> None:
        assert after_s == TICK_S
        self.due.append(call)


class Floor:
    def __init__(self) -> None:
        self.stopwatch, self.loop = ManualStopwatch(), Loop()
        self.waiting = WaitingTime(self.stopwatch, 0.3)
        self.waiting.start(self.loop)  # type: ignore[arg-type]

    def work(self, seconds: float) -> None:
        self.stopwatch.advance_s(seconds)

    def tick(self) -> None:
        self.loop.due.pop()()


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_in_a_quiet_loop_nothing_waits(floor: Floor) -> None:
    for _ in range(100):
        assert floor.waiting.waited_s() == 0.0
        for _ in range(2):
            floor.work(TICK_S)
            floor.tick()
        assert floor.loop.due == []
        floor.work(10.0)


def test_what_is_read_in_a_busy_loop_has_waited_for_what_was_before_it(floor: Floor) -> None:
    floor.waiting.waited_s()
    floor.work(0.2)
    assert floor.waiting.waited_s() == pytest.approx(0.2 - TICK_S)
    assert floor.waiting.is_over(of_events=True)
    assert not floor.waiting.is_over()
    floor.tick()  # late: what is read after it may have waited as long
    floor.work(0.15)
    assert floor.waiting.waited_s() == pytest.approx(0.35 - 2 * TICK_S)
    assert floor.waiting.is_over()


def test_an_overload_that_is_over_is_forgotten_at_once(floor: Floor) -> None:
    floor.waiting.waited_s()
    floor.work(5.0)
    assert floor.waiting.is_over()
    floor.tick()
    floor.work(TICK_S)
    floor.waiting.waited_s()
    floor.tick()
    assert floor.waiting.waited_s() == 0.0
    assert not floor.waiting.is_over(of_events=True)


def test_the_timer_stops_when_nobody_asks(floor: Floor) -> None:
    floor.waiting.waited_s()
    floor.work(TICK_S)
    floor.tick()
    floor.work(TICK_S)
    floor.tick()
    assert floor.loop.due == []
    assert 0 < BULK_SHARE < 1


def test_those_who_load_in_bulk_know_while_requests_or_answers_are_late() -> None:
    floor, late = Floor(), list[float]()
    floor.waiting = WaitingTime(floor.stopwatch, 0.4, late.append)
    floor.waiting.start(floor.loop)  # type: ignore[arg-type]
    floor.waiting.took(0.1)
    assert late == []
    floor.waiting.took(0.11)
    assert late == [floor.stopwatch.read_s()]
    floor.waiting.waited_s()
    floor.work(TICK_S + 0.09)
    floor.tick()
    assert len(late) == 1
    floor.waiting.waited_s()
    floor.work(TICK_S + 0.2)
    floor.tick()
    assert late[1:] == [floor.stopwatch.read_s()]
