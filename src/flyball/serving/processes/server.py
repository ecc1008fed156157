"""A serving process: uvicorn around the application, fed by the parent's dispatcher or by a listening socket."""

import asyncio
import contextlib
import gc
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from http import HTTPStatus

import uvicorn

from flyball.access import Pass
from flyball.app import AppSource
from flyball.core import SystemClock
from flyball.outcomes import Prediction
from flyball.runtime import Runtime, open_runtime
from flyball.serving.http.app import make_app
from flyball.serving.http.limiting import COUNTED
from flyball.serving.http.problems import Problem, problem_body
from flyball.serving.http.short import ShortPath, ShortPaths
from flyball.serving.processes.chunked import Chunked
from flyball.serving.processes.receiver import Receiver
from flyball.serving.processes.request_time import TAKE_S, RequestTime
from flyball.serving.service import Service
from flyball.settings import Settings
from flyball.tasks import Request

REPLACE_ME = 71
"""Exit code of a process whose scoring threads are all stuck, to be replaced."""

KEEP_ALIVE_S = 75
MAX_HEAD = 1 << 16
GARBAGE = 20_000
"""Objects more before the collector looks for cycles: few answers make any, and at Python's 700 it took a seventh of
the time of an answer."""
_LOOK_S = 0.005
LAST_S = 0.25
"""How long a process that stops still answers requests, each with `connection: close`: a client that keeps a connection
learns so that it must not send into one that is closing."""
STOP_S = 5


def serve(
    source: AppSource,
    settings: Settings,
    channel: socket.socket | None,
    name: str,
    listener: socket.socket | None = None,
) -> None:
    """Run a serving process until SIGTERM or SIGINT; then finish requests in flight, write the predictions, and return.

    `channel`: from `Dispatcher.add_worker`; or `listener`, a socket to accept from. `name` tells this process apart
    in metrics and records. Ends the process with `REPLACE_ME` when versions hold its scoring threads.
    """
    run(open_runtime(source, settings, SystemClock()), name, channel=channel, listener=listener)


def run(
    runtime: Runtime, name: str, *, channel: socket.socket | None = None, listener: socket.socket | None = None
) -> None:
    """Serve an opened application; see `serve`."""
    service = Service(runtime, name, random.Random(int.from_bytes(os.urandom(16))))
    _allow_connections()
    # loaded objects live as long as the process, so the garbage collector need not traverse them
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    connection = _connections(ShortPaths(service))
    config = uvicorn.Config(
        make_app(service),
        loop="uvloop",
        http=connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # which proxies are believed is a setting; uvicorn would believe any on this machine
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config, service, channel, connection)
    server.run(sockets=None if listener is None else [listener])
    if service.scorer.spent:
        sys.exit(REPLACE_ME)


def _allow_connections() -> None:
    """As many open connections as the system lets this process have: the usual soft limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _ShortCycle:
    """What uvicorn's connection needs of a request in flight, for one on a short path."""

    __slots__ = ("disconnected", "keep_alive", "response_complete", "response_started")
    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self) -> None:
        self.disconnected, self.keep_alive = False, True
        self.response_started, self.response_complete = False, False


class _Connection(Chunked):
    """A connection that reports its closing to the parent, and answers invalid HTTP with a problem document.

    A request must come in time, see `RequestTime`, and its head must fit `MAX_HEAD` bytes, so that slow clients and
    endless headers hold neither connections nor memory.
    """

    receiver: Receiver | None = None
    short: ShortPaths | None = None
    _path: ShortPath | None = None  # of the request that is coming in
    _body = b""
    _sender: tuple[Pass | None, str] = (None, "")
    _message = b""  # what came when nothing was begun, for as long as it may be a whole request
    _head = 0
    _complete = False  # whether all that was begun is in
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._time = RequestTime(self.loop, self._give_up, lambda: self.flow.read_paused)
        self._time.expect_head()

    def _take(self, data: bytes) -> None:
        self._message = b"" if self._begun else data
        if not self._recalled(data):
            super()._take(data)

    def part_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._refuse(Problem(431, f"head of a request must be at most {MAX_HEAD} bytes"))
                return
        else:
            self._time.came(len(data))
        super().part_received(data)
        if self._is_over or self.transport.is_closing():
            return
        if self._begun and not self._in_head:
            if not self._time.is_of_body:
                self._time.expect_body()
        elif not self._time.runs and self.timeout_keep_alive_task is None and not self._complete:
            self._time.expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun, self._complete = True, False

    def on_headers_complete(self) -> None:
        self.check_head()
        if self.is_set_aside():
            self._message = b""
            return
        self._in_head, self._head = False, 0
        self._path = self._short_path()
        if self._path is None:
            self._pass_on()
        elif self.short is not None:
            self._note_length()
            self._body, self._sender = b"", self.short.sender

    def _pass_on(self, counted: bool = False) -> None:
        """Have the routes answer the request whose head is in. `counted`: whether it was, for its sender's limit."""
        super().on_headers_complete()
        if counted:
            self.scope[COUNTED] = True  # type: ignore[literal-required]
        if self.stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if self._path is None:
            super().on_body(body)
        else:
            self._left -= len(body)
            self._body += body

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():  # it is parsed a second time
            return
        self._in_head, self._complete, self._begun = True, True, False
        self._time.end()
        path, self._path = self._path, None
        if path is not None and self.short is not None:
            problem = self.short.refusal(*self._sender)
            if problem is not None:
                self._turn_down(problem)
                return
            try:
                request = path.read(self._body)
            except Exception:  # the routes parse it again and report the error
                self._pass_on(counted=True)
                super().on_body(self._body)
            else:
                self.short.remember(self._message, path, self._body)
                self._answer(path, request)
                return
        super().on_message_complete()

    def _recalled(self, data: bytes) -> bool:
        """Whether `data` is a request with a head that was parsed before, and is being answered."""
        if self._begun or self.short is None or not self._may_answer():
            return False
        recalled = self.short.recall(data)
        if recalled is None:
            return False
        path, body, passed = recalled
        try:
            request = path.read(body)
        except Exception:  # it is parsed after all, for the routes to say what is wrong
            return False
        self._unset_keepalive_if_required()
        self._time.end()
        self._complete = True
        problem = self.short.refusal(passed, self.client[0] if self.client else "")
        if problem is None:
            self._answer(path, request)
        else:
            self._turn_down(problem)
        return True

    def _turn_down(self, problem: Problem) -> None:
        """Answer a whole request on a short path without working for it."""
        cycle = self.cycle = _ShortCycle()  # type: ignore[assignment]
        cycle.keep_alive = not self.stopping
        cycle.response_started = cycle.response_complete = True
        if self.short is not None:
            self.transport.write(self.short.refused(problem, self.server_state.default_headers, self.stopping))
        if self.stopping:
            self.transport.close()
        self.on_response_complete()

    def _answer(self, path: "ShortPath", request: Request) -> None:
        cycle = self.cycle = _ShortCycle()  # type: ignore[assignment]
        cycle.keep_alive = not self.stopping
        if self.short is not None:
            self.short.answer(request, lambda prediction: self._reply(path, cycle, prediction))

    def _may_answer(self) -> bool:
        """Whether nothing is still to be sent before an answer."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _short_path(self) -> "ShortPath | None":
        """The short path of the request whose head is in, when nothing is still to be sent before it."""
        if self.short is None or not self._may_answer():
            return None
        parser = self.parser
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive() or parser.should_upgrade():
            return None
        return self.short.find(parser.get_method(), self.url, self.headers, self.client)

    def _reply(self, path: "ShortPath", cycle: "_ShortCycle", prediction: Prediction) -> None:
        cycle.response_started = cycle.response_complete = True
        if self.short is None or cycle.disconnected or self.transport.is_closing():
            return
        closing = not cycle.keep_alive
        try:
            response = self.short.response(path, prediction, self.server_state.default_headers, closing)
        except Exception:
            self.transport.close()  # the reply cannot be made, and the client must not wait
            raise
        self.transport.write(response)
        if closing:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._complete = False

    def send_400_response(self, msg: str) -> None:
        self._refuse(self.problem or Problem(400, "request must be well-formed HTTP/1.1 with an ASCII path"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._time.end()
        if self._untaken is not None:
            self._untaken.cancel()
        super().connection_lost(exc)
        if self.receiver is not None:
            self.receiver.closed_one(self)

    def _give_up(self, reason: str) -> None:
        self._refuse(Problem(408, reason))

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._untaken = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _refuse(self, problem: Problem) -> None:
        """Send the problem, unless the request has an answer or one is being sent, and close the connection."""
        if not self.transport.is_closing():
            of_request = self._begun and not self._in_head and self._path is None  # the cycle is that of the request
            cycle = self.cycle
            if cycle is None or not cycle.response_started or (cycle.response_complete and not of_request):
                body = problem_body(problem, "")
                head = (
                    f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
                    "content-type: application/problem+json\r\n"
                    f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
                )
                self.transport.write(head.encode() + body)
            self.end_answers(in_request=self._begun or problem.status != HTTPStatus.REQUEST_TIMEOUT)


def _connections(paths: ShortPaths) -> type[_Connection]:
    """Connections to one service."""

    class Connection(_Connection):
        short = paths

    return Connection


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        channel: socket.socket | None,
        connection: type[_Connection],
    ) -> None:
        super().__init__(config)
        self._service, self._channel, self._connection = service, channel, connection
        self._receiver: Receiver | None = None
        self._watching: asyncio.Task[None] | None = None
        self._announcing: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._channel is None:
            await super().startup(sockets)
            return
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(1)
        self.servers = []
        self._receiver = Receiver(self._channel, self._protocol)
        self._receiver.start(asyncio.get_running_loop())
        self._watching = asyncio.create_task(self._leave_with_parent(self._receiver))
        self._announcing = asyncio.create_task(self._announce(self._receiver))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._connection.stopping = True
        if self._receiver is not None:
            await self._receiver.drain()
            await asyncio.sleep(_LOOK_S)  # a connection closed with a request unread is reset: read what has come
        looks = round(LAST_S / _LOOK_S)
        while self.server_state.connections and looks > 0 and not self.force_exit:
            await asyncio.sleep(_LOOK_S)
            looks -= 1
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._service.scorer.spent

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is not raised again afterwards, so that the exit code is 0."""
        handlers = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _protocol(self) -> asyncio.Protocol:
        connection = self._connection(self.config, self.server_state, self.lifespan.state)
        connection.receiver = self._receiver
        return connection

    async def _announce(self, receiver: Receiver) -> None:
        """Tell the parent once the champion is in service, or once it is known that there is none."""
        while not self._service.refresher.settled:
            await asyncio.sleep(_LOOK_S)
        receiver.announce()

    async def _leave_with_parent(self, receiver: Receiver) -> None:
        await receiver.wait_closed()
        self.should_exit = True
