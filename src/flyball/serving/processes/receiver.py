"""A worker's end of its channel to the dispatcher: the connections that it is passed, and what it reports of them.

A connection has a number, its place among those that came through the channel, from 0. A message is a letter, with a
number before it where it is about one connection: a parent of an earlier release counts letters, and reads no numbers.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

TAKING, READY, TOOK, MISSED, CLOSED, DRAIN, CONNECTION = b"t", b"r", b"k", b"m", b"c", b"d", b"n"


class Receiver:
    """The worker's side: serves each connection it receives with `make_protocol`."""

    def __init__(self, channel: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._channel, self._make_protocol = channel, make_protocol
        self._channel.setblocking(False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsent = b""
        self._taken: deque[tuple[int, socket.socket]] = deque()  # served once the parent knows
        self._received = 0
        self._numbers: dict[object, int] = {}
        self._let_go = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_reader(self._channel.fileno(), self._receive)
        self._send_message(TAKING)

    def announce(self) -> None:
        """Tell the parent that this worker answers well: from now on it is handed connections before those that do
        not yet."""
        self._send_message(READY)

    def closed_one(self, protocol: object = None) -> None:
        """Tell the parent that one connection is closed, that of `protocol`."""
        self._closed(self._numbers.pop(protocol, None))

    def _closed(self, number: int | None) -> None:
        self._send_message(CLOSED if number is None else b"%d%b" % (number, CLOSED))

    def _send_message(self, message: bytes) -> None:
        if self._loop is not None:
            self._unsent += message
            self._send()

    def _send(self) -> None:
        """Send what the channel takes, the rest once it takes more: hundreds of clients may hang up at once."""
        assert self._loop is not None
        try:
            while self._unsent:
                sent = self._channel.send(self._unsent)
                for _ in range(self._unsent[:sent].count(TOOK)):
                    self._begin(*self._taken.popleft())
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            self._loop.add_writer(self._channel.fileno(), self._send)
            return
        except OSError:  # the parent is gone: nobody else will serve what is here
            self._unsent = b""
            while self._taken:
                self._begin(*self._taken.popleft())
        self._loop.remove_writer(self._channel.fileno())
        if self._let_go:
            self._end()

    async def drain(self, timeout_s: float = 2.0) -> None:
        """Ask for no more connections and take those already on the way; returns when the parent let go."""
        if self._loop is not None:
            self._send_message(DRAIN)
            try:
                await asyncio.wait_for(self._ended.wait(), timeout_s)
            except TimeoutError:
                self._end()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def wait_closed(self) -> None:
        """Returns when the parent is gone, or let go."""
        await self._ended.wait()

    def _receive(self) -> None:
        assert self._loop is not None
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._loop.remove_reader(self._channel.fileno())
                self._let_go = True
                self._send()
                return
            if not descriptors:  # none was free to take it: the kernel has closed this end of it
                self._send_message(b"%d%b" % (self._received, MISSED))
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                self._taken.append((self._received, connection))
                self._send_message(TOOK)
            self._received += 1

    def _begin(self, number: int, connection: socket.socket) -> None:
        assert self._loop is not None
        task = self._loop.create_task(self._serve(number, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, number: int, connection: socket.socket) -> None:
        assert self._loop is not None
        protocol = self._make_protocol()
        self._numbers[protocol] = number
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:
            connection.close()  # the client left before it was served
            self.closed_one(protocol)

    def _end(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
            self._loop = None
            while self._taken:  # the parent does not know, and will hand them to another worker
                self._taken.popleft()[1].close()
            self._channel.close()
        self._ended.set()
