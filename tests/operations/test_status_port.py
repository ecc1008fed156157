"""What a machine without serving processes says of itself."""

import logging
import random
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.access import create_key
from flyball.apps import movies
from flyball.core import ManualClock, ManualStopwatch
from flyball.events import ConsumerLag, WorkerReport
from flyball.operations import status_port
from flyball.operations.instance import bind
from flyball.operations.process_specs import write_report
from flyball.operations.status_port import MAX_OF_ADDRESS, OPEN_S, READ_S, StatusPort
from flyball.operations.supervisor import Child
from flyball.runtime import Runtime, load_settings

OWN = [(b"host", b"127.0.0.1:80")]


def opened(folder: Path, children: list[Child]) -> StatusPort:
    runtime = Runtime(movies.make_app(), load_settings(folder), ManualClock(1_000_000))
    with bind("127.0.0.1", 0) as listener:
        return StatusPort(listener, lambda: runtime, lambda: children)


def test_it_is_ready_while_all_runs_and_nothing_is_about_to_stop(tmp_path: Path) -> None:
    children = [Child("worker", "running", 7, 0, 0)]
    port = opened(tmp_path, children)
    assert port.answer("/healthz") == (200, "text/plain; charset=utf-8", b"ok\n")
    assert port.answer("/readyz?verbose")[0] == 200
    children[0] = Child("worker", "waiting", None, 0, 1)
    status, _, body = port.answer("/readyz")
    assert (status, msgspec.json.decode(body)["reasons"]) == (503, ["worker is waiting"])
    children[0] = Child("worker", "running", 8, 0, 1)
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "draining").touch()
    assert b"it is about to stop" in port.answer("/readyz")[2]
    assert port.answer("/recommend/1")[0] == 404


def test_a_consumer_that_fails_is_seen_in_readiness_and_metrics(tmp_path: Path) -> None:
    port = opened(tmp_path, [Child("worker", "running", 7, 0, 0)])
    lags = {"state": ConsumerLag(5, 2_000_000, "StoreUnavailable: away", 0, partitions=(1, 4))}
    write_report(tmp_path, "worker", WorkerReport(1_000_000, {"state": 3}, lags))
    status, _, body = port.answer("/readyz")
    document = msgspec.json.decode(body)
    assert (status, document["ready"], document["degraded"]) == (200, True, True)
    assert "away" in document["reasons"][0]
    metrics = port.answer("/metrics")[2].decode()
    assert 'flyball_consumer_behind{consumer="state"} 5.0' in metrics
    assert 'flyball_consumer_failing{consumer="state"} 1.0' in metrics
    assert 'flyball_consumer_partition_behind{consumer="state",partition="1"} 4.0' in metrics


def test_metrics_take_a_key_where_one_was_made(tmp_path: Path) -> None:
    runtime = Runtime(movies.make_app(), load_settings(tmp_path), ManualClock(1_000_000))
    with bind("127.0.0.1", 0) as listener:
        port = StatusPort(listener, lambda: runtime, list, stopwatch := ManualStopwatch())
    client = ("127.0.0.1", 1)
    assert port.refusal("/metrics", OWN, client) is None
    texts = {}
    for role in ("read", "serve"):
        _, text = create_key(runtime.registry, [role], random.Random(role), name=role, by="ann", now_us=1)
        stopwatch.advance_s(READ_S)
        texts[role] = [(b"authorization", b"Bearer " + text.text.encode())]
    assert port.refusal("/metrics", texts["read"], client) is None
    refusals = [port.refusal("/metrics", head, client) for head in ([], texts["serve"])]
    assert [refused and refused[0] for refused in refusals] == [401, 403]
    assert port.refusal("/healthz", [], client) is None
    assert port.refusal("/readyz", [], client) is None


def test_a_page_whose_name_was_pointed_here_reads_no_metrics_without_a_key(tmp_path: Path) -> None:
    port, client = opened(tmp_path, []), ("127.0.0.1", 1)
    for host in (b"evil.example", b""):
        refused = port.refusal("/metrics", [(b"host", host)], client)
        assert refused is not None
        assert (refused[0], b"host of a request without a key must be localhost" in refused[2]) == (403, True)
    assert port.refusal("/healthz", [(b"host", b"evil.example")], client) is None


def test_an_identity_header_that_is_sent_twice_is_refused(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        load_settings(tmp_path), identity_header="x-user", trusted_proxies=("10.0.0.0/8",), access="keys"
    )
    runtime = Runtime(movies.make_app(), settings, ManualClock(1_000_000))
    with bind("127.0.0.1", 0) as listener:
        port = StatusPort(listener, lambda: runtime, list)
    user = (b"x-user", b"ann")
    assert port.refusal("/metrics", [user], ("10.0.0.1", 1)) is None
    refused = port.refusal("/metrics", [(b"x-user", b"root"), user], ("10.0.0.1", 1))
    assert refused is not None
    assert refused[0] == 400


def test_refusals_are_logged_once_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "flyball.limits")
    port = opened(tmp_path, [])
    for _ in range(20):
        port.refusal("/metrics", [(b"host", b"evil.example")], ("10.0.0.\x1b[2J", 1))
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "not let in, refused since the last such line: 1 not-allowed of 10.0.0.\\u001b[2J"


def test_the_registry_is_read_twice_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []

    def read(registry: Any) -> list[Any]:
        reads.append(registry)
        return []

    monkeypatch.setattr(status_port, "access_keys", read)
    runtime, stopwatch = Runtime(movies.make_app(), load_settings(tmp_path), ManualClock(1_000_000)), ManualStopwatch()
    with bind("127.0.0.1", 0) as listener:
        port = StatusPort(listener, lambda: runtime, list, stopwatch)
    for _ in range(30):
        port.refusal("/metrics", OWN, ("127.0.0.1", 1))
    assert len(reads) == 1
    stopwatch.advance_s(READ_S)
    port.refusal("/metrics", OWN, ("127.0.0.1", 1))
    assert len(reads) == 2


def test_half_sent_heads_are_few_and_end(tmp_path: Path) -> None:
    runtime, stopwatch = Runtime(movies.make_app(), load_settings(tmp_path), ManualClock(1_000_000)), ManualStopwatch()
    listener = bind("127.0.0.1", 0)
    address, before = listener.getsockname(), threading.active_count()
    port = StatusPort(listener, lambda: runtime, list, stopwatch)
    port.start()
    try:
        halves = [socket.create_connection(address, timeout=10) for _ in range(3 * MAX_OF_ADDRESS)]
        for half in halves[:MAX_OF_ADDRESS]:
            half.sendall(b"GET /healthz HT")
        assert all(half.recv(1) == b"" for half in halves[MAX_OF_ADDRESS:]), "further ones are closed"
        assert threading.active_count() <= before + 1 + MAX_OF_ADDRESS
        stopwatch.advance_s(OPEN_S)
        assert all(half.recv(1) == b"" for half in halves[:MAX_OF_ADDRESS]), "and those that are open for too long"
        with socket.create_connection(address, timeout=10) as probe:
            probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert probe.makefile("rb").read().endswith(b"ok\n")
    finally:
        for half in halves:
            half.close()
        port.close_listener()
        port.stop()
