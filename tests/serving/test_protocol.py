"""What a connection does with requests that never end: message what is wrong, then closed. Time is moved by hand."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import uvicorn
from uvicorn.server import ServerState

from flyball.serving.processes import server as process
from flyball.serving.processes.chunked import LINGER_S
from flyball.serving.processes.request_time import HEAD_S, LEAST_RATE, LOOK_S, REQUEST_S, TAKE_S
from flyball.serving.processes.server import MAX_HEAD, _Connection


class Loop:
    """Timers that go off when message; tasks that are never run."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_soon(self, call: Callable[[], object]) -> None:
        """No other connection has its turn."""
        call()

    def call_later(self, after_s: float, call: Callable[[], None]) -> "Timer":
        self.timers.append(Timer(after_s, call))
        return self.timers[-1]

    def create_task(self, work: Any, **more: Any) -> "Loop":
        work.close()
        return self

    def add_done_callback(self, call: object) -> None:
        pass

    def pass_s(self, seconds: float) -> None:
        for timer in [timer for timer in self.timers if timer.after_s <= seconds]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.call()


class Timer:
    def __init__(self, after_s: float, call: Callable[[], None]) -> None:
        self.after_s, self.call, self.cancelled = after_s, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Transport:
    def __init__(self) -> None:
        self.written, self.closed, self.ended = b"", False, False

    def write_eof(self) -> None:
        self.ended = True

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Floor:
    def __init__(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError("no request is answered here")

        self.loop, self.transport = Loop(), Transport()
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_keep_alive=75)
        self.connection = _Connection(config, ServerState(), {}, _loop=self.loop)  # type: ignore[arg-type]
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def refusal(self) -> int:
        """The status of the problem document written, after which the client has some time to end, too."""
        if self.transport.ended:
            self.loop.pass_s(LINGER_S)
        assert self.transport.closed
        head, _, body = self.transport.written.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        status = int(msgspec.json.decode(body)["status"])
        assert head.startswith(b"HTTP/1.1 %d " % status)
        return status


@pytest.fixture
def floor() -> Floor:
    return Floor()


WHOLE = b"GET /recommend/7 HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("begun", "within_s"),
    [
        (b"", HEAD_S),
        (b"G", HEAD_S),
        (b"GET /recommend/7 HTTP/1.1\r\nhost: x\r\n", HEAD_S),
        (b"POST /v1/events HTTP/1.1\r\ncontent-length: 9\r\n\r\n{", LOOK_S),
    ],
)
def test_a_request_that_is_not_in_whole_in_time_is_a_408(floor: Floor, begun: bytes, within_s: float) -> None:
    for place in range(len(begun)):
        floor.send(begun[place : place + 1])
    floor.loop.pass_s(within_s - 1)
    assert not floor.transport.closed
    floor.loop.pass_s(within_s)
    assert floor.refusal() == 408


def test_a_slow_body_is_a_408_and_one_that_comes_fast_enough_has_its_time(floor: Floor) -> None:
    floor.send(b"POST /v1/events HTTP/1.1\r\ncontent-length: 900000\r\n\r\n")
    for _ in range(round((REQUEST_S - HEAD_S) / LOOK_S) - 1):
        floor.send(b" " * int(LEAST_RATE * LOOK_S))
        floor.connection.flow.resume_reading()  # as the application does when it takes what has come
        floor.loop.pass_s(LOOK_S)
        assert not floor.transport.closed
    floor.send(b" " * int(LEAST_RATE * LOOK_S))
    floor.connection.flow.resume_reading()
    floor.loop.pass_s(LOOK_S)
    assert floor.refusal() == 408
    assert b"in whole within 30 s" in floor.transport.written


def test_a_body_that_is_not_read_is_not_slow(floor: Floor) -> None:
    floor.send(b"POST /v1/events HTTP/1.1\r\ncontent-length: 900000\r\n\r\n" + b" " * 100_000)
    assert floor.connection.flow.read_paused
    floor.loop.pass_s(LOOK_S)
    assert not floor.transport.closed


def test_a_client_that_does_not_take_its_answers_is_cut_off(floor: Floor) -> None:
    floor.send(WHOLE)
    floor.connection.pause_writing()
    floor.connection.resume_writing()
    floor.loop.pass_s(TAKE_S)
    assert not floor.transport.closed
    floor.connection.pause_writing()
    floor.loop.pass_s(TAKE_S)
    assert floor.transport.closed


def test_a_whole_request_waits_for_its_answer_and_the_next_has_its_own_time(floor: Floor) -> None:
    floor.send(WHOLE)
    floor.loop.pass_s(REQUEST_S)
    assert not floor.transport.closed
    floor.connection.cycle.response_started = floor.connection.cycle.response_complete = True
    floor.connection.on_response_complete()
    floor.loop.pass_s(REQUEST_S)
    assert not floor.transport.closed
    floor.send(b"\r\n")  # ends the time to keep the connection alive, but begins no request
    floor.loop.pass_s(REQUEST_S)
    assert floor.refusal() == 408


@pytest.mark.parametrize("begun", [b"GET /recommend/7?", b"GET /recommend/7 HTTP/1.1\r\nx: "])
def test_a_head_without_end_is_a_431(floor: Floor, begun: bytes) -> None:
    floor.send(begun)
    for _ in range(MAX_HEAD // 1_024):
        floor.send(b"a" * 1_024)
    assert floor.refusal() == 431


def test_many_small_requests_over_one_connection_are_no_long_head(floor: Floor) -> None:
    for _ in range(2 * MAX_HEAD // len(WHOLE)):
        floor.send(WHOLE)
    assert not floor.transport.closed


def test_what_is_no_http_is_a_400(floor: Floor) -> None:
    floor.send(b"\0\1\2\r\n\r\n")
    assert floor.refusal() == 400


def test_a_process_may_have_as_many_connections_as_the_system_allows(monkeypatch: Any) -> None:
    limits = {}
    monkeypatch.setattr(process.resource, "getrlimit", lambda which: (1_024, 9_999))
    monkeypatch.setattr(process.resource, "setrlimit", lambda which, pair: limits.update({which: pair}))
    process._allow_connections()
    assert limits == {process.resource.RLIMIT_NOFILE: (9_999, 9_999)}


def test_what_comes_behind_a_chunked_body_is_no_header(floor: Floor) -> None:
    floor.send(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n")
    floor.send(b"0\r\nauthorization: Bearer x\r\norigin: http://localhost\r\nx-forwarded-user: boss\r\n\r\n")
    assert floor.connection.cycle is not None
    names = [name for name, _ in floor.connection.cycle.scope["headers"]]
    assert names == [b"host", b"transfer-encoding"]
