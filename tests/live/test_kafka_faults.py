"""The event log on Kafka when the broker or a writer is killed or frozen: calls end in time, and nothing is lost,
doubled or reordered."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import kafka_broker as kafka
from tests.processes import until

from flyball.core import StoreUnavailable
from flyball.events import EventLog, open_log
from flyball.testing.log_contract import read_all, record

pytestmark = [pytest.mark.live, kafka.needs_kafka]

KEYS = 3
DEADLINE_S = 0.6
SLACK_S = 2.0
"""What a busy machine may add to a deadline."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka.Broker]:
    broker = kafka.Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.kill()


def opened(broker: kafka.Broker, folder: Path, topic: str) -> EventLog:
    return open_log(kafka.log_url(folder, f"partitions=2&timeout_ms={DEADLINE_S * 1_000:.0f}", topic, broker.url))


def numbers_by_key(log: EventLog) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {str(key): [] for key in range(KEYS)}
    for part in read_all(log, (0, 0), 500):
        for kept in part:
            numbers[kept.key].append(int.from_bytes(kept.id))
    return numbers


def expected(until_number: int) -> dict[str, list[int]]:
    return {str(key): list(range(key, until_number, KEYS)) for key in range(KEYS)}


def batch(first: int, size: int = 30) -> list[object]:
    return [record(number, str(number % KEYS)) for number in range(first, first + size)]


def ends_in_time(call: object) -> None:
    began_s = time.monotonic()
    with pytest.raises(StoreUnavailable, match="must answer within"):
        call()  # type: ignore[operator]
    assert time.monotonic() - began_s < DEADLINE_S + SLACK_S


def test_a_killed_broker_costs_nothing_but_time(broker: kafka.Broker, tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = opened(broker, tmp_path, topic)
    until(lambda: appended(log, 0))
    assert numbers_by_key(log) == expected(30)
    writer = Writing(kafka.log_url(tmp_path / "writer", "timeout_ms=600", topic, broker.url), 30)
    assert writer.until(90) >= 90
    broker.kill()
    ends_in_time(lambda: log.append(batch(0)))
    ends_in_time(lambda: log.read((0, 0), 10))
    ends_in_time(lambda: log.groups.commit("readers", (1, 1)))
    ends_in_time(lambda: opened(broker, tmp_path / "other", topic))
    broker.start()
    acknowledged = writer.kill_at(writer.acknowledged + 60)
    until(lambda: appended(log, acknowledged))
    kept = numbers_by_key(log)
    assert kept == expected(sum(map(len, kept.values())))
    assert sum(map(len, kept.values())) >= acknowledged + 30
    assert numbers_by_key(opened(broker, tmp_path / "new", topic)) == kept


def appended(log: EventLog, first: int) -> bool:
    try:
        log.append(batch(first))
    except StoreUnavailable:
        return False
    return True


def test_what_a_frozen_broker_writes_later_is_no_event_twice(broker: kafka.Broker, tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = opened(broker, tmp_path, topic)
    until(lambda: appended(log, 0))
    broker.freeze()
    try:
        ends_in_time(lambda: log._writer.write(messages(log, 30)))  # type: ignore[attr-defined]
        ends_in_time(lambda: log.append(batch(30)))
        ends_in_time(log.ends)
    finally:
        broker.thaw()
    until(lambda: appended(log, 30))
    assert numbers_by_key(log) == expected(60)
    assert numbers_by_key(opened(broker, tmp_path / "new", topic)) == expected(60)


def test_what_is_sent_again_to_a_broker_that_did_not_answer_is_written_once(
    broker: kafka.Broker, tmp_path: Path
) -> None:
    """Where nothing looks for duplicates: the log of answers."""
    topic = kafka.new_topic()
    options = f"partitions=2&unique=0&timeout_ms={DEADLINE_S * 1_000:.0f}"
    log = open_log(kafka.log_url(tmp_path, options, topic, broker.url))
    until(lambda: appended(log, 0))
    for first in (30, 90):
        broker.freeze()
        try:
            for _ in range(2):
                ends_in_time(lambda first=first: log.append(batch(first)))
                ends_in_time(lambda first=first: log.append(batch(first + 30)))
        finally:
            broker.thaw()
        until(lambda first=first: appended(log, first))
        until(lambda first=first: appended(log, first + 30))
    kept = {key: sorted(numbers) for key, numbers in numbers_by_key(log).items()}
    assert kept == expected(150)


def messages(log: EventLog, first: int) -> list[object]:
    """Messages that are on their way when the broker stops."""
    from flyball.events import partition

    return [log._message(kept, partition(kept.key, 2)) for kept in batch(first)]  # type: ignore[attr-defined]


WRITE = """
import sys
from flyball.core import StoreUnavailable
from flyball.events import open_log
from flyball.testing.log_contract import record
log, first = open_log(sys.argv[1]), int(sys.argv[2])
while True:
    try:
        log.append([record(number, str(number % 3)) for number in range(first, first + 30)])
    except StoreUnavailable:
        continue
    first += 30
    print(first, flush=True)
"""


class Writing:
    """A process that appends batches, one after the other, each until it is acknowledged."""

    def __init__(self, url: str, first: int) -> None:
        self.acknowledged = first
        command = [sys.executable, "-c", WRITE, url, str(first)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.lines = self.process.stdout

    def until(self, number: int) -> int:
        while self.acknowledged < number:
            self.acknowledged = int(self.lines.readline())
        return self.acknowledged

    def kill_at(self, number: int) -> int:
        """Kill it once so much is acknowledged; returns what was."""
        self.until(number)
        os.kill(self.process.pid, signal.SIGKILL)
        self.acknowledged = max([self.acknowledged, *map(int, self.lines)])
        self.process.wait()
        self.lines.close()
        return self.acknowledged


def test_killed_writers_lose_and_double_nothing(broker: kafka.Broker, tmp_path: Path) -> None:
    topic = kafka.new_topic()
    url = kafka.log_url(tmp_path, "partitions=2", topic, broker.url)
    acknowledged = 0
    for life in range(4):  # what was not acknowledged is sent again, after the last thing that was
        acknowledged = Writing(url, acknowledged).kill_at((life + 1) * 150)
    log = opened(broker, tmp_path, topic)
    until(lambda: appended(log, acknowledged))
    kept = numbers_by_key(log)
    assert kept == expected(sum(map(len, kept.values())))
    assert sum(map(len, kept.values())) >= acknowledged
    assert numbers_by_key(opened(broker, tmp_path / "new", topic)) == kept


def test_a_server_that_is_not_there_is_reported_in_time(tmp_path: Path) -> None:
    ends_in_time(lambda: open_log(kafka.log_url(tmp_path, "timeout_ms=1000", base="kafka://127.0.0.1:1")))


def test_the_library_says_nothing_on_standard_error(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom flyball.core import StoreUnavailable\nfrom flyball.events import open_log\n"
        "try: open_log(sys.argv[1])\nexcept StoreUnavailable: print('unavailable')"
    )
    url = kafka.log_url(tmp_path, "timeout_ms=500", base="kafka://127.0.0.1:1")
    ended = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.stdout, ended.stderr) == ("unavailable\n", "")
