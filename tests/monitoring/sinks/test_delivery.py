"""Delivery: each message at least once, in order, whatever fails when; a failing sink is seen and stops only itself."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, MINUTE, START, finding, home
from tests.monitoring.sinks.servers import Posts, running

from flyball.core import StoreUnavailable
from flyball.monitoring import Notification, open_sinks, record_findings
from flyball.monitoring.sinks.delivery import deliver, failing_words, sink_statuses, try_sink
from flyball.monitoring.sinks.sink import NamedSink, SinkAddress
from flyball.runtime import Runtime

SECOND = 1_000_000


class Kept:
    """A sink that keeps what it got, and fails while `error` is set."""

    def __init__(self) -> None:
        self.got: list[Notification] = []
        self.attempts = 0
        self.error: Exception | None = None

    def send(self, notification: Notification) -> None:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.got.append(notification)

    @property
    def incidents(self) -> list[str]:
        return [notification.incident for notification in self.got]


def named(sink: Kept, name: str = "kept", severity: str = "low") -> NamedSink:
    return NamedSink(SinkAddress(scheme="log", name=name, severity=severity), sink, "log://")


@pytest.fixture
def three(runtime: Runtime) -> Runtime:
    """Three messages, of which the second is severe."""
    severities = ("low", "high", "low")
    findings = [finding(f"events.T{index}.x", severity=severity) for index, severity in enumerate(severities)]
    record_findings(runtime, findings, START)
    return runtime


def test_each_is_delivered_once_in_order(three: Runtime) -> None:
    sink = Kept()
    assert deliver(three.registry, [named(sink)], START) == []
    assert deliver(three.registry, [named(sink)], START + SECOND) == []
    assert sink.incidents == ["inc1", "inc2", "inc3"]
    assert [notification.number for notification in sink.got] == [1, 2, 3]


def test_a_failing_sink_is_tried_after_growing_pauses_and_stops_no_other(three: Runtime) -> None:
    broken, good = Kept(), Kept()
    broken.error = StoreUnavailable("hooks must answer, got a timeout")
    sinks = [named(broken, "slack"), named(good, "mail")]
    assert deliver(three.registry, sinks, START) == ["sink slack fails: hooks must answer, got a timeout"]
    assert (broken.attempts, len(good.got)) == (1, 3)
    at_us, due = START, []
    while len(due) < 10:
        at_us += SECOND
        before = broken.attempts
        assert deliver(three.registry, sinks, at_us) == []
        if broken.attempts > before:
            due.append((at_us - START) // SECOND)
    assert due == [1, 3, 7, 15, 31, 63, 127, 255, 511, 811]
    (status,) = sink_statuses(three.registry, ["slack"])
    assert failing_words(status) == (
        "sink slack fails since 2026-01-05T00:00:00Z, 3 messages wait: hooks must answer, got a timeout"
    )
    broken.error = None
    assert deliver(three.registry, sinks, at_us + HOUR) == ["sink slack works again"]
    assert broken.incidents == ["inc1", "inc2", "inc3"]
    assert [failing_words(status) for status in sink_statuses(three.registry)] == ["", ""]


def test_a_message_that_is_never_taken_is_given_up_after_days(three: Runtime) -> None:
    sink = Kept()
    sink.error = ValueError("bad form")
    lines = [
        line
        for minutes in range(0, 4 * 24 * 60, 5)
        for line in deliver(three.registry, [named(sink)], START + minutes * MINUTE)
    ]
    assert lines[0] == "sink kept fails: ValueError: bad form"
    assert next(line for line in lines if "gave up" in line) == "sink kept gave up on message 1: ValueError: bad form"
    (status,) = sink_statuses(three.registry)
    assert (status.skipped, status.waiting) == (3, 0)


def test_a_sink_of_severe_messages_gets_no_others(three: Runtime) -> None:
    sink = Kept()
    deliver(three.registry, [named(sink, severity="high")], START)
    assert sink.incidents == ["inc2"]
    assert sink_statuses(three.registry)[0].waiting == 0


def test_a_new_sink_gets_the_messages_of_the_last_day_only(three: Runtime) -> None:
    record_findings(three, [finding("events.New.x", START + 2 * DAY)], START + 2 * DAY)
    sink = Kept()
    deliver(three.registry, [named(sink)], START + 2 * DAY)
    assert sink.incidents == ["inc4"]


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("seed", range(10))
def test_whatever_crashes_when_each_message_arrives(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, runtime, sink = random.Random(seed), home(tmp_path), Kept()

    class Crashing(Kept):
        def send(self, notification: Notification) -> None:
            if rng.random() < 0.3:
                raise Crash
            if rng.random() < 0.2:
                raise StoreUnavailable("not now")
            sink.send(notification)
            if rng.random() < 0.3:
                raise Crash  # it was sent, and that is not stored

    at_us = START
    for number in range(12):
        at_us += HOUR
        record_findings(runtime, [finding(f"events.T{number}.x", at_us)], at_us)
        try:
            deliver(runtime.registry, [named(Crashing())], at_us)
        except Crash:
            runtime = home(tmp_path)
    while sink_statuses(runtime.registry, ["kept"])[0].waiting:
        at_us += HOUR
        try:
            deliver(runtime.registry, [named(Crashing())], at_us)
        except Crash:
            runtime = home(tmp_path)
    numbers = [notification.number for notification in sink.got]
    assert sorted(set(numbers)) == list(range(1, 13))
    assert numbers == sorted(numbers)


def test_a_test_message_says_what_is_wrong(runtime: Runtime) -> None:
    sink = Kept()
    assert try_sink(named(sink), "shop", START) == ""
    assert sink.got[0].title == "test of shop: this sink works"
    sink.error = StoreUnavailable("refused")
    assert try_sink(named(sink), "shop", START) == "refused"


DELIVERS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.monitoring.incidents.world import HOUR, START, finding, home
from flyball.monitoring import deliver, open_sinks, record_findings
runtime, sinks = home(Path(sys.argv[1])), open_sinks([sys.argv[3]])
for hour in range(10_000):
    at_us = START + hour * HOUR
    record_findings(runtime, [finding(f"events.T{hour}.x", at_us)], at_us)
    print(hour, flush=True)
    deliver(runtime.registry, sinks, at_us)
"""


@pytest.mark.live
@pytest.mark.parametrize("lines", [1, 2, 9])
def test_a_killed_process_loses_no_message(lines: int, tmp_path: Path) -> None:
    server = Posts()
    with running(server):
        url = f"slack+http://127.0.0.1:{server.port}/x"
        words = [sys.executable, "-c", DELIVERS, str(tmp_path), str(Path(__file__).parents[3]), url]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        runtime = home(tmp_path)
        deliver(runtime.registry, open_sinks([url]), START + lines * HOUR)
    numbers = [int(headers["x-flyball-notification"].rpartition("-")[2]) for _, _, headers in server.posts]
    last = sink_statuses(runtime.registry)[0].delivered
    assert sorted(set(numbers)) == list(range(1, last + 1))
    assert last >= lines
    assert len(numbers) - len(set(numbers)) <= 1
