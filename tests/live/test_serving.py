"""Real serving processes behind one socket: releases under load, kills, stops, first answers."""

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.processes import LONG_S, until

from flyball import ItemKNN
from flyball.capacity import Load, closed_loop, open_loop
from flyball.core import Counters, SystemClock
from flyball.runtime import Runtime
from flyball.serving import Dispatcher
from flyball.serving.processes.dispatcher import PATIENCE_S
from flyball.testing import faulty
from flyball.testing.faulty import Faulty

pytestmark = pytest.mark.live

WORKER = """
import socket, sys, msgspec
from flyball.settings import Settings
from flyball.serving import serve
from flyball.testing.faulty import SOURCE
settings = msgspec.json.decode(sys.argv[1], type=Settings)
serve(SOURCE, settings, socket.socket(fileno=int(sys.argv[2])), sys.argv[3])
"""


class Floor:
    """A home, a dispatcher and its serving processes."""

    def __init__(self, folder: Path) -> None:
        self.runtime = faulty.open_home(folder, SystemClock())
        faulty.fill(self.runtime)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.dispatcher = Dispatcher(self.listener)
        self.dispatcher.start()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def worker(self, name: str) -> "subprocess.Popen[bytes]":
        settings = msgspec.json.encode(self.runtime.settings).decode()
        with self.dispatcher.add_worker(name) as channel:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-c", WORKER, settings, str(channel.fileno()), name], pass_fds=[channel.fileno()]
            )
        return self.workers[name]

    def release(self, model: Any) -> str:
        return faulty.release(self.runtime, model, self.runtime.clock.now_us()).id

    def get(self, path: str) -> tuple[str, dict[str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read().decode(), {name.lower(): value for name, value in answer.headers.items()}

    def ready(self) -> set[str]:
        """The processes that have message the dispatcher that they answer well: all new connections go to them."""
        return {worker.name for worker in self.dispatcher._ready()}

    def close(self) -> None:
        for worker in self.workers.values():
            worker.terminate()
        for worker in self.workers.values():
            try:
                worker.wait(LONG_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait(LONG_S)
        self.dispatcher.stop()
        self.listener.close()
        self.runtime.state.close()


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    floor = Floor(tmp_path / "home")
    yield floor
    floor.close()


def path(request: int) -> str:
    return f"/recommend/{request % 30 + 1}"


def recorded(runtime: Runtime) -> int:
    return sum(runtime.predictions.ends())


def answered(floor: Floor) -> int:
    """The number of answers given so far, by all processes."""
    return sum(answers_of(counts) for counts in Counters.per_process(floor.runtime.counters_folder).values())


def answers_of(counts: dict[str, int]) -> int:
    return sum(count for name, count in counts.items() if name.startswith("answers|"))


class Loading(threading.Thread):
    """Load in the background until its end is asked for, two seconds of it at a time."""

    def __init__(self, floor: Floor, rate: float) -> None:
        super().__init__(daemon=True)
        self.floor, self.rate, self.parts = floor, rate, list[Load]()
        self.ending = threading.Event()

    def run(self) -> None:
        last = False
        while not last:
            last = self.ending.is_set()
            self.parts.append(open_loop(self.floor.port, self.rate, 2.0, 64, path, "x-flyball-version"))

    def end(self) -> list[Load]:
        """Returns all parts; the last one began after this was called."""
        self.ending.set()
        self.join()
        return self.parts


def test_a_release_under_load_takes_over_in_all_processes_and_fails_no_request(floor: Floor) -> None:
    floor.release(ItemKNN())
    for name in ("serve-1", "serve-2"):
        floor.worker(name)
    until(lambda: floor.ready() == {"serve-1", "serve-2"})
    loading = Loading(floor, rate=100.0)
    loading.start()
    until(lambda: recorded(floor.runtime) > 100)
    began_s = time.monotonic()
    assert floor.release(Faulty()) == "v2"

    def everywhere() -> bool:
        load = closed_loop(floor.port, 2, 0.05, path, "x-flyball-version")
        counts = Counters.per_process(floor.runtime.counters_folder)
        return set(load.headers) == {"v2"} and all(each["reloads"] > 1 for each in counts.values())

    until(everywhere)
    assert time.monotonic() - began_s < 20.0  # half a second as a rule
    parts = loading.end()
    assert [part.statuses for part in parts] == [{200: 200}] * len(parts)
    assert sum(part.errors for part in parts) == 0
    assert parts[0].headers["v1"]
    assert parts[-1].headers == {"v2": 200}


def test_few_connections_are_shared_evenly_by_the_processes(floor: Floor) -> None:
    floor.release(ItemKNN())
    for name in ("serve-1", "serve-2"):
        floor.worker(name)
    until(lambda: floor.ready() == {"serve-1", "serve-2"})
    load = closed_loop(floor.port, 4, 1.0, path)
    assert set(load.statuses) == {200}
    assert {name: given for name, (given, _) in floor.dispatcher.shares().items()} == {"serve-1": 2, "serve-2": 2}
    counts = Counters.per_process(floor.runtime.counters_folder)
    assert all(answers_of(counts[name]) for name in ("serve-1", "serve-2"))


def test_a_first_answer_comes_within_moments_of_the_start(floor: Floor) -> None:
    floor.release(ItemKNN())
    floor.worker("serve-1")
    began_s = time.monotonic()
    _, headers = floor.get("/recommend/1")  # the connection waits in the backlog until the process takes it
    took_s = time.monotonic() - began_s
    assert took_s < 25.0  # a second as a rule
    assert headers["x-flyball-level"] == "champion" or took_s > PATIENCE_S
    until(lambda: floor.get("/recommend/1")[1]["x-flyball-level"] == "champion")
    assert len(floor.get("/recommend/1")[0].split(",")) == 5


def test_what_is_no_http_is_reported_so_in_a_problem_document(floor: Floor) -> None:
    floor.worker("serve-1")
    for raw in (
        "GET /recommend/é HTTP/1.1\r\n\r\n".encode(),
        b"GET /recommend/\xff HTTP/1.1\r\n\r\n",
        b"\0\1\2\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", floor.port), timeout=60) as client:
            client.sendall(raw)
            answer = b""
            while more := client.recv(4_096):
                answer += more
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer
        assert msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["status"] == 400
    assert floor.get("/healthz")[0] == "ok\n"


def test_sigterm_finishes_what_is_in_flight_and_writes_every_prediction(floor: Floor) -> None:
    floor.release(ItemKNN())
    worker = floor.worker("serve-1")
    until(lambda: floor.get("/recommend/1")[1]["x-flyball-level"] == "champion")
    before = recorded_all(floor)
    load = closed_loop(floor.port, 8, 0.5, path)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(LONG_S) == 0
    assert recorded(floor.runtime) >= before + len(load.times_s)


def recorded_all(floor: Floor) -> int:
    """The number of records once all answers so far are in."""
    so_far = answered(floor)
    until(lambda: recorded(floor.runtime) >= so_far)
    return recorded(floor.runtime)


def test_a_kill_loses_at_most_the_records_of_the_last_moments(floor: Floor) -> None:
    floor.release(ItemKNN())
    worker = floor.worker("serve-1")
    until(lambda: floor.get("/recommend/1")[1]["x-flyball-level"] == "champion")
    recorded_all(floor)
    loading = Loading(floor, rate=200.0)
    loading.start()
    until(lambda: answered(floor) > 300)  # whatever was written by then: a kill just after a write loses nothing
    worker.kill()
    worker.wait(LONG_S)
    given = answered(floor)
    assert given - recorded(floor.runtime) <= 100  # 40 are 0.2 s of answers; the rest is for a loaded machine
    floor.worker("serve-2")
    until(lambda: floor.get("/recommend/1")[1]["x-flyball-level"] == "champion")
    parts = loading.end()
    assert {status for part in parts for status in part.statuses} == {200}
    assert answered(floor) > given


def test_while_one_process_is_killed_the_other_answers(floor: Floor) -> None:
    floor.release(ItemKNN())
    first = floor.worker("serve-1")
    floor.worker("serve-2")
    until(lambda: floor.ready() == {"serve-1", "serve-2"})
    first.kill()
    first.wait(10)
    for user in range(1, 20):
        assert floor.get(f"/recommend/{user}")[0]
    assert floor.dispatcher.shares()["serve-1"][1] == 0


def test_a_version_that_holds_its_thread_is_tripped_and_every_answer_is_in_time(floor: Floor) -> None:
    floor.release(ItemKNN())
    floor.worker("serve-1")
    until(lambda: floor.get("/recommend/1")[1]["x-flyball-version"] == "v1")
    floor.release(Faulty(mode="hold", hold_s=6.0))
    load = open_loop(floor.port, 100.0, 4.0, 64, path)
    assert load.statuses == {200: 400}
    assert load.times_s[-1] < 3.0  # none waits for the thread; the deadline is 0.3 s, the rest for a loaded machine
    until(lambda: floor.get("/recommend/1")[1]["x-flyball-level"] == "previous")
    assert "held the scoring thread" in floor.get("/readyz")[0]
    assert floor.workers["serve-1"].poll() is None
