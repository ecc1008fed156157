"""Takes one request of a connection at a time, however many a client sends before it has read the answers.

The next request is read when the one before was answered and the client takes its answers, and after the other
connections had their turn. So a client that sends thousands in a write neither delays the others nor fills memory:
uvicorn alone parses all that has come, and keeps an object of several kilobytes for each.
"""

from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

from flyball.serving.processes.upgrades import IgnoringUpgrade

HEAD_PART, CHUNK_PART = 4_096, 1_024
"""Bytes that are parsed at a time where the end of the request is not known: of a head without an end, and of a body in
chunks. More than one small request may be in them. A chunk may be one byte, and each costs a call: other connections
have their turn after so many bytes of chunks."""

_END = b"\r\n\r\n"


class _Flow(FlowControl):
    """Reads no more while something is unread, also where an application waits for more of a body."""

    has_unread = False

    def resume_reading(self) -> None:
        if not self.has_unread:
            super().resume_reading()


class OneAtATime(IgnoringUpgrade):
    """A connection that calls `part_received` with what belongs to one request."""

    _unread = b""  # what came behind a request that is not answered yet
    _begun = False  # whether a part of a request is in
    _in_head = True
    _left = 0  # bytes of a body whose length is known
    _is_chunked = False  # whether the body is in chunks
    _is_over = False  # whether the last answer was sent, and nothing more is parsed
    flow: _Flow
    _is_due = False  # whether what is unread will be looked at in the next turn
    _is_ended = False  # whether the client sends no more

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = _Flow(transport)

    def data_received(self, data: bytes) -> None:
        if self._unread or self._waits():
            self._keep_unread(self._unread + data)
        else:
            self._take(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more: it may still wait for the answers to what it sent."""
        self._is_ended = True
        return self._is_owing()

    def part_received(self, data: bytes) -> None:
        """Parse a part."""
        self.feed(data)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._note_length()

    def on_body(self, body: bytes) -> None:
        self._left -= len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look_again()
        self._close_if_done()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look_again()

    def _note_length(self) -> None:
        """How long the body is that begins."""
        self._is_chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        self._left = int(length) if length.isdigit() else 0

    def _waits(self) -> bool:
        """Whether an answer must be sent before another request is read."""
        if self._begun:
            return False
        return self.flow.write_paused or (self.cycle is not None and not self.cycle.response_complete)

    def _take(self, data: bytes) -> None:
        while data and not self._is_over and not self.transport.is_closing():
            part = data[: self._part_of(data)]
            data = data[len(part) :]
            self.part_received(part)
            if data and (not self._begun or self._is_in_chunks()):
                self._keep_unread(data)
                return

    def _is_in_chunks(self) -> bool:
        """Whether the next byte is of a body in chunks."""
        return self._is_chunked and self._begun and not self._in_head

    def _part_of(self, data: bytes) -> int:
        """How many bytes belong to one request, as far as is known."""
        if not self._in_head:
            return self._left if self._left > 0 else CHUNK_PART
        end = data.find(_END)
        return HEAD_PART if end < 0 else end + len(_END)

    def _keep_unread(self, data: bytes) -> None:
        self._unread = b"" if self._is_over else data
        self._look_again()

    def _look_again(self) -> None:
        """Read no more meanwhile, and look at what is unread after the other connections had their turn, unless an
        answer is still to be sent: then that looks again."""
        if not self._unread or self.transport.is_closing():
            return
        self.flow.pause_reading()
        self.flow.has_unread = True
        if not self._is_due and not self._waits():
            self._is_due = True
            self.loop.call_soon(self._take_unread)

    def _take_unread(self) -> None:
        self._is_due = False
        if self.transport.is_closing() or self._waits():
            return
        data, self._unread = self._unread, b""
        self.flow.has_unread = False
        self.flow.resume_reading()
        self._take(data)
        self._close_if_done()

    def _close_if_done(self) -> None:
        """Close the connection where the client sends no more, and all that it sent was answered."""
        if self._is_ended and not self._is_owing() and not self.transport.is_closing():
            self.transport.close()

    def _is_owing(self) -> bool:
        """Whether a whole request is not answered yet."""
        in_body = self._begun and not self._in_head  # the cycle, if it is not in the pipeline, is that of a part
        is_answered = self.cycle is None or self.cycle.response_complete
        return bool(self._unread or self.pipeline) or not (in_body or is_answered)
