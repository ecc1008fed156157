"""Refusals are logged once a minute."""

import logging
import threading
from collections.abc import Callable

import pytest

from flyball.core import ManualStopwatch
from flyball.limits import RefusalLog
from flyball.limits.refusal_log import KEPT, call_after


def test_a_flood_of_refusals_is_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "flyball.limits")
    stopwatch = ManualStopwatch()
    log = RefusalLog(stopwatch, after=lambda seconds, work: None)
    log.note("answers", "key \x1b[2J")
    for number in range(3 * KEPT):
        log.note("events", "10.0.0.1")
        log.note("answers", f"address {number}")
    assert [record.getMessage() for record in caplog.records] == [
        "over a limit, refused since the last such line: 1 answer of key \\u001b[2J"
    ]
    assert len(log._counts) == KEPT
    stopwatch.advance_s(60)
    log.note("events", "10.0.0.1")
    (line,) = [record.getMessage() for record in caplog.records[1:]]
    assert "769 events of 10.0.0.1; 1 answer of address 0;" in line
    assert line.endswith("764 of others")
    assert not log._counts


def test_a_burst_under_a_minute_is_logged_when_the_minute_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "flyball.limits")
    stopwatch, waiting = ManualStopwatch(), list[tuple[float, Callable[[], None]]]()
    log = RefusalLog(stopwatch, after=lambda seconds, work: waiting.append((seconds, work)))
    log.note("answers", "front")
    stopwatch.advance_s(20)
    for _ in range(500):
        log.note("answers", "front")
    ((seconds, work),) = waiting
    assert seconds == 40
    stopwatch.advance_s(39.9)
    work()  # a little early: it waits again
    assert (len(caplog.records), len(waiting)) == (1, 2)
    stopwatch.advance_s(0.2)
    waiting[1][1]()
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "1 answer of front",
        "500 answers of front",
    ]
    stopwatch.advance_s(60)
    waiting[1][1]()
    assert len(caplog.records) == 2


def test_the_timer_calls_in_another_thread() -> None:
    called = threading.Event()
    call_after(0.0, called.set)
    assert called.wait(5)
