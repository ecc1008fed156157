"""Offers requests at a rate, whether or not the answers come: how much a service is asked does not depend on it.

Messages are sent many in a write, over a few connections, without waiting for answers, and statuses are counted in what
arrives. That costs a tenth of what a client costs that reads each answer, which matters where both share the cores.
"""

import re
import selectors
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from flyball.core import Stopwatch

TICK_S = 0.005
AT_ONCE = 64
"""Messages that a connection may have unanswered; further ones are counted as held back."""
_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
_STATUS_BYTES = 13


class FloodReport(msgspec.Struct, frozen=True):
    """`offered`: how many requests were due. `held_back`: that were not sent, since the service took no more.

    `closed`: connections that the service closed, which were opened again. `answers`: {status: how many}."""

    offered: int
    sent: int
    held_back: int
    closed: int
    answers: dict[str, int]


class _Client:
    """A connection: what is still to be sent, and how many answers are due."""

    def __init__(self, port: int) -> None:
        self._port, self.closed = port, -1
        self.socket: socket.socket | None = None
        self.statuses: Counter[str] = Counter()
        self.open()

    def open(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.closed += 1
        self.unsent, self._tail, self.due = b"", b"", 0
        self.socket = None
        with suppress(OSError):  # it is tried again with the next messages
            self.socket = socket.create_connection(("127.0.0.1", self._port), 1.0)
            self.socket.setblocking(False)

    def offer(self, message: bytes, count: int) -> int:
        """Send the message so many times, unless more wait already; returns how many are on the way."""
        if self.socket is None:
            self.open()
        count = 0 if self.unsent or self.socket is None else min(count, AT_ONCE - self.due)
        if count > 0:
            self.unsent, self.due = message * count, self.due + count
        self._write()
        return max(0, count)

    def _write(self) -> None:
        try:
            while self.unsent and self.socket is not None:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.open()

    def read(self) -> None:
        """Count the answers that have come."""
        assert self.socket is not None
        try:
            piece = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.open()
            return
        data, end = self._tail + piece, 0
        for match in _STATUS.finditer(data):
            self.statuses[match[1].decode()] += 1
            self.due, end = self.due - 1, match.end()
        self._tail = data[max(end, len(data) - _STATUS_BYTES + 1) :]


def flood(
    port: int,
    messages: Sequence[bytes],
    per_s: float,
    seconds: float,
    connections: int,
    stopwatch: Stopwatch,
    tick: Callable[[], object] = lambda: None,
) -> FloodReport:
    """Offer `per_s` requests a second for so many `seconds`, the messages in turn, and wait up to a second for the last
    answers. `tick`: called about every `TICK_S`."""
    clients = [_Client(port) for _ in range(connections)]
    began_s, offered, sent, turn = stopwatch.read_s(), 0, 0, 0
    while (passed_s := stopwatch.read_s() - began_s) < seconds:
        due = int(per_s * passed_s) - offered
        share = -(-due // connections)
        while due > 0:
            count = min(share, due)
            sent += clients[turn % connections].offer(messages[turn % len(messages)], count)
            due, offered, turn = due - count, offered + count, turn + 1
        _read_all(clients, TICK_S)
        tick()
    while stopwatch.read_s() - began_s < seconds + 1 and any(client.due for client in clients):
        _read_all(clients, TICK_S)
    answers = sum((client.statuses for client in clients), Counter[str]())
    for client in clients:
        if client.socket is not None:
            client.socket.close()
    closed = sum(client.closed for client in clients)
    return FloodReport(offered, sent, offered - sent, closed, dict(answers))


def _read_all(clients: Sequence[_Client], seconds: float) -> None:
    """Wait so long, and count what came meanwhile."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            if client.socket is not None:
                selector.register(client.socket, selectors.EVENT_READ, client)
        ready = selector.select(seconds)
    for key, _ in ready:
        key.data.read()
