"""Bounds the work for a body in chunks, whose length nobody knows and whose chunks may be one byte each.

A request with such a body that is answered before it is in, since it was refused by its head, is the last of its
connection. Behind the last answer of any connection, what else comes of a request is not parsed, only dropped for a
while, so that the client can read the answer. A body has little more framing than content.
"""

import asyncio

from httptools import HttpParserError

from flyball.serving.http.problems import Problem
from flyball.serving.processes.heads import MAX_LINES, fault_of_head, too_many_lines
from flyball.serving.processes.pipelined import OneAtATime
from flyball.serving.processes.request_time import RequestTime

MAX_FRAMING = 1 << 12
"""Bytes of sizes, extensions, line ends and trailers of chunks, beyond as many as the body has."""
LINGER_S, MAX_DROPPED = 2.0, 1 << 20
"""For how long, and how many bytes, what comes behind the last answer is dropped before the connection is closed: a
connection that is closed with bytes unread is reset, and the client may lose the answer."""


class _LastAnswer:
    """What the answer to a request with a body is written to: the transport, but closing waits for the client."""

    __slots__ = ("_connection", "_transport")

    def __init__(self, transport: asyncio.Transport, connection: "Chunked") -> None:
        self._transport, self._connection = transport, connection

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._connection.end_answers()


class Chunked(OneAtATime):
    """A connection whose `problem` says what `send_400_response` refuses the request with."""

    stopping = False  # of all connections of a server: each reply is the last of its connection
    problem: Problem | None = None
    _excess = 0  # bytes of framing, less those of the body
    _kept_alive = True
    _dropped = 0  # bytes, since the last answer was sent
    _lingering: asyncio.TimerHandle | None = None
    _time: RequestTime

    def data_received(self, data: bytes) -> None:
        if not self._is_over:
            super().data_received(data)
            return
        self._dropped += len(data)
        if self._dropped > MAX_DROPPED:
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        return not self._is_over and super().eof_received()

    def part_received(self, data: bytes) -> None:
        if self._is_in_chunks():
            self._excess += len(data)
        super().part_received(data)
        if self._is_in_chunks() and self._excess > MAX_FRAMING and not self._is_over:
            must = f"chunks of a body must have at most {MAX_FRAMING} bytes of framing more than of content"
            self.problem = Problem(400, f"{must}: send larger chunks")
            self.send_400_response("")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. What comes behind a chunked body is none: a sender could replace what a proxy had checked."""
        if self._in_head:
            if len(self.headers) == MAX_LINES:
                self._stop(too_many_lines())
            super().on_header(name, value)

    def check_head(self) -> None:
        """Stop at a head that is refused, whatever it asks for."""
        problem = fault_of_head(self.parser.get_http_version(), self.headers)
        if problem is not None:
            self._stop(problem)

    def _stop(self, problem: Problem) -> None:
        """Stop the parser, upon which the request is refused."""
        self.problem = problem
        raise HttpParserError(problem.detail)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._excess = 0
        if self.cycle is None or not (self._is_chunked or self._left > 0):
            return
        self.cycle.transport = _LastAnswer(self.transport, self)  # type: ignore[assignment]
        if self._is_chunked:
            self._kept_alive, self.cycle.keep_alive = self.cycle.keep_alive, False  # until the body is in

    def on_body(self, body: bytes) -> None:
        self._excess -= 2 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_chunked and not self.cycle.response_started:
            self.cycle.keep_alive = self._kept_alive and not self.stopping
        super().on_message_complete()

    def shutdown(self) -> None:
        self._kept_alive = False
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    def end_answers(self, in_request: bool = False) -> None:
        """Close the connection: at once, or once the client, which still sends of a request, had time for the answer.
        `in_request`: whether it does, also where no body is coming in."""
        self._time.end()
        in_body = self._begun and not self._in_head and (self._is_chunked or self._left > 0)
        if self._is_ended or not (in_request or in_body):
            self.transport.close()
        elif not self._is_over and not self.transport.is_closing():
            self._is_over, self._unread, self.flow.has_unread = True, b"", False
            if self.cycle is not None and not self.cycle.response_complete:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.flow.resume_reading()
            self.transport.write_eof()
            self._lingering = self.loop.call_later(LINGER_S, self.transport.close)
