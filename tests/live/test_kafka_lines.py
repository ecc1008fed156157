"""Lines of a topic that someone else owns are ingested once each, whenever the command is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests import kafka_broker as kafka
from tests.processes import until

from flyball.app import load_app
from flyball.core import SystemClock
from flyball.events import Quarantined, open_line_stream
from flyball.runtime import Runtime, load_settings
from flyball.testing.log_contract import read_all

pytestmark = [pytest.mark.live, kafka.needs_kafka]


def line(number: int) -> bytes:
    """Every tenth line is bad."""
    if number % 10 == 3:
        return b"what is this, number %d" % number
    return b"2026-01-%02dT10:00:00,%d,GET /data/m/the+film+2010/%d.mpg" % (
        number % 28 + 1,
        number // 28 + 1,
        number % 90,
    )


def produce(topic: str, numbers: range) -> None:
    for part in (0, 1):
        values = [(None, line(number), None) for number in numbers if number % 2 == part]
        kafka.produce(topic, *values, partition=part)


def command(topic: str, home: Path, *options: str) -> list[str]:
    url = f"{kafka.GIVEN}/{topic}"
    code = "from flyball.cli import main; main()"
    return [sys.executable, "-c", code, "ingest", "movies", url, "--format", "movielog", "--home", str(home), *options]


def ingested(home: Path) -> tuple[int, list[Quarantined]]:
    """How many events the log of the home has, and what is in quarantine."""
    runtime = Runtime(load_app("movies"), load_settings(home), SystemClock())
    log = runtime.log
    records = read_all(log, (0,) * len(log.ends()), 1_000)
    return sum(map(len, records)), runtime.quarantine.list(state=None, limit=10_000)


def check(topic: str, home: Path, count: int) -> None:
    events, quarantined = ingested(home)
    assert events == count - count // 10
    where = {(entry.source, entry.position): entry.raw for entry in quarantined}
    expected = {
        (f"{kafka.GIVEN}/{topic}#{number % 2}", number // 2): line(number)
        for number in range(count)
        if number % 10 == 3
    }
    assert (where, len(quarantined)) == (expected, len(expected))


def test_each_line_is_ingested_once_whenever_the_command_is_killed(tmp_path: Path) -> None:
    topic, home = kafka.new_topic(), tmp_path / "home"
    kafka.make_topic(topic, 2)
    produce(topic, range(2_000))
    for life in range(3):
        produce(topic, range(2_000 + life * 4_000, 6_000 + life * 4_000))
        running = subprocess.Popen(command(topic, home, "--follow", "--keep-going"), stderr=subprocess.DEVNULL)
        before = (life + 1) * 800
        until(lambda: (home / "events.db").exists() and ingested(home)[0] > before)  # noqa: B023
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    running = subprocess.Popen(command(topic, home, "--follow"), stdout=subprocess.PIPE, text=True)
    until(lambda: ingested(home)[0] == 12_600)
    os.kill(running.pid, signal.SIGTERM)
    assert "read " in running.communicate(timeout=60)[0]
    assert running.returncode == 0
    check(topic, home, 14_000)
    stream = open_line_stream(f"{kafka.GIVEN}/{topic}", "flyball.movies", "committed", until_end=True)
    assert stream.read(10) == []  # everything is committed
