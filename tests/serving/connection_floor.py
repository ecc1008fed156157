"""A connection of a serving process without a network: its loop runs by turns, its transport counts."""

from collections import deque
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from flyball.serving.processes.server import _Connection


class Loop:
    """Takes timers and tasks, and runs nothing but what is called soon."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], object]] = deque()
        self.tasks = 0
        self.later: list[float] = []

    def call_soon(self, call: Callable[[], object]) -> None:
        self.soon.append(call)

    def call_later(self, after_s: float, call: Callable[[], object]) -> "Loop":
        self.later.append(after_s)
        return self

    def cancel(self) -> None:
        pass

    def create_task(self, work: Any, **more: Any) -> "Loop":
        work.close()
        self.tasks += 1
        return self

    def add_done_callback(self, call: object) -> None:
        pass

    def turn(self) -> None:
        for _ in range(len(self.soon)):
            self.soon.popleft()()


class Transport:
    """Counts what is read."""

    def __init__(self) -> None:
        self.paused = self.closed = self.ended = False
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.written.append(data)

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Floor:
    """A connection without a network, whose requests `answer` answers."""

    def __init__(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError("no request is answered here")

        self.loop, self.transport = Loop(), Transport()
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        self.connection = _Connection(config, ServerState(), {}, _loop=self.loop)  # type: ignore[arg-type]
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    def answer(self) -> None:
        cycle = self.connection.cycle
        cycle.response_started = cycle.response_complete = True
        self.connection.on_response_complete()

    def answer_refusing(self) -> None:
        """Answer as an application does that reads no body."""
        cycle = self.connection.cycle
        cycle.response_started = cycle.response_complete = True
        assert not cycle.keep_alive
        cycle.transport.close()
        self.connection.on_response_complete()
