"""Serving processes of `up` are killed with -9 between append and reply; clients send again under the same key, and
each event is in the log once, on SQLite and on Kafka."""

import http.client
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests import kafka_broker as kafka
from tests.cinema import CINEMA
from tests.live.instance import REFUSED, Instance, until

pytestmark = pytest.mark.live

APP = (
    CINEMA
    + """
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(fb.Entity("user"), fb.Entity("film"), positive=fb.outcome(Watch, within="1d"), k=8),
    candidates={"popular": fb.Popular()},
    retrain=[],
)
"""
)
KILLS = 6


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=kafka.needs_kafka)])
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Instance]:
    (tmp_path / "cinema.py").write_text(APP)
    if request.param == "kafka":
        (tmp_path / "home").mkdir()
        url = kafka.log_url(tmp_path / "index", "partitions=2")
        (tmp_path / "home" / "settings.toml").write_text(f'events = "{url}"\n')
    instance = Instance(tmp_path)
    try:
        until(lambda: len(instance.children()) == 4 and instance.get("/healthz")[0] == 200)
        yield instance
    finally:
        instance.end()


def send(port: int, key: str) -> list[str] | None:
    """The verdicts on two equal events without a time; None where no answer came."""
    body = msgspec.json.encode([{"type": "watch", "user": 7, "film": "f1", "minute": 1}] * 2)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/events", body, {"content-type": "application/json", "Idempotency-Key": key})
        answer = connection.getresponse()
        document = msgspec.json.decode(answer.read())
    except REFUSED:
        return None
    finally:
        connection.close()
    return [event["verdict"] for event in document["events"]] if answer.status == 200 else None


def test_each_event_is_in_the_log_once_whatever_was_killed(instance: Instance) -> None:
    rng, port, log = random.Random(1), instance.port, instance.runtime().log
    sent, unanswered, duplicates = 0, 0, 0
    stop = threading.Event()

    def kill() -> None:
        for _ in range(KILLS):
            if stop.wait(rng.uniform(0.2, 0.6)):
                return
            before = sum(log.ends())
            while sum(log.ends()) == before and not stop.is_set():  # as soon as something was appended
                stop.wait(0.0005)
            for name, (pid, _) in instance.children().items():
                if name.startswith("serve"):
                    os.kill(pid, signal.SIGKILL)
        stop.set()

    killer = threading.Thread(target=kill)
    killer.start()
    while not stop.is_set():
        sent += 1
        verdicts = send(port, f"key-{sent}")
        while verdicts is None:
            unanswered += 1
            stop.wait(0.02)
            verdicts = send(port, f"key-{sent}")
        assert len(set(verdicts)) == 1, verdicts
        duplicates += verdicts[0] == "duplicate"
    killer.join()
    assert sum(len(piece.records) for piece in log.read((0,) * len(log.ends()), 10**6)) == 2 * sent
    assert unanswered > 0
    assert duplicates > 0, "no process was killed between append and reply"
