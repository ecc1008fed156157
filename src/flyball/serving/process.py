"""A serving process: uvicorn around the application, fed by the parent's dispatcher or by a listening socket."""

import asyncio
import contextlib
import gc
import os
import random
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flyball.app import AppSource
from flyball.core import SystemClock
from flyball.runtime import Runtime, Settings, open_runtime
from flyball.serving.connections import Receiver
from flyball.serving.http import make_app
from flyball.serving.problems import Problem, problem_body
from flyball.serving.service import Service

REPLACE_ME = 71
"""Exit code of a process whose scoring threads are all held: start another."""

KEEP_ALIVE_S = 75
STOP_S = 5


def serve(
    source: AppSource,
    settings: Settings,
    channel: socket.socket | None,
    name: str,
    listener: socket.socket | None = None,
) -> None:
    """Be a serving process until SIGTERM or SIGINT: finish what is in flight, write the predictions, return.

    `channel`: from `Dispatcher.add_worker`; or `listener`, a socket to accept from. `name` tells this process apart
    in figures and records. Ends the process with `REPLACE_ME` when versions hold its scoring threads.
    """
    run(open_runtime(source, settings, SystemClock()), name, channel=channel, listener=listener)


def run(
    runtime: Runtime, name: str, *, channel: socket.socket | None = None, listener: socket.socket | None = None
) -> None:
    """Serve an opened application; see `serve`."""
    service = Service(runtime, name, random.Random(int.from_bytes(os.urandom(16))))
    # what was loaded so far lives as long as the process: the collector need not look at it again and again
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        make_app(service),
        loop="uvloop",
        http=_Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config, service, channel)
    server.run(sockets=None if listener is None else [listener])
    if service.scorer.spent:
        sys.exit(REPLACE_ME)


class _Connection(HttpToolsProtocol):
    """Tells the parent when it is closed, and whoever does not speak HTTP what is wrong, as a problem document."""

    receiver: Receiver | None = None

    def send_400_response(self, msg: str) -> None:
        body = problem_body(Problem(400, "request must be well-formed HTTP/1.1 with an ASCII path"), "")
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.receiver is not None:
            self.receiver.closed_one()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service, channel: socket.socket | None) -> None:
        super().__init__(config)
        self._service, self._channel = service, channel
        self._receiver: Receiver | None = None
        self._watching: asyncio.Task[None] | None = None

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
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._receiver is not None:
            await self._receiver.drain()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._service.scorer.spent

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is not raised again afterwards: being asked to stop is a good end."""
        handlers = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _protocol(self) -> asyncio.Protocol:
        connection = _Connection(self.config, self.server_state, self.lifespan.state)
        connection.receiver = self._receiver
        return connection

    async def _leave_with_parent(self, receiver: Receiver) -> None:
        await receiver.wait_closed()
        self.should_exit = True
