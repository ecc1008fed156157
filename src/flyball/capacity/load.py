"""A small load generator over keep-alive connections.

It has one thread with raw sockets. `closed_loop` sends the next request of a connection when the answer to the last one
has arrived (saturation). `open_loop` sends requests at fixed times and measures latency from the time at which a
request was due, so that a pause of the server counts in all requests that it delays (no coordinated omission).
"""

import random
import selectors
import socket
from collections import Counter, deque
from collections.abc import Callable
from itertools import accumulate
from time import perf_counter

import msgspec


class Load(msgspec.Struct, frozen=True):
    """The result of a load. `times_s`: latencies, ascending. `headers`: {value of the watched header: count}. `bytes`:
    of all answers."""

    seconds: float
    times_s: list[float]
    statuses: dict[int, int]
    headers: dict[str, int]
    errors: int
    bytes: int = 0

    @property
    def per_s(self) -> float:
        return len(self.times_s) / self.seconds

    @property
    def response_bytes(self) -> float:
        """The mean bytes of an answer, with its headers."""
        return self.bytes / max(1, len(self.times_s))

    def percentile_ms(self, share: float) -> float:
        """The latency in milliseconds that a `share` of the answers did not exceed."""
        return self.times_s[min(int(share * len(self.times_s)), len(self.times_s) - 1)] * 1_000


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due_s = 0.0
        self.data = b""

    def send(self, path: str, due_s: float) -> None:
        self.due_s = due_s
        self.socket.send(b"GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n" % path.encode())

    def receive(self) -> bytes | None:
        """The complete answer, None until it has arrived. Raises `OSError` if the server closed the connection."""
        more = self.socket.recv(65_536)
        if not more:
            raise ConnectionResetError("closed by the server")
        self.data += more
        head, separator, body = self.data.partition(b"\r\n\r\n")
        if not separator:
            return None
        lower = head.lower()
        start = lower.find(b"content-length:") + 15
        end = lower.find(b"\r\n", start)
        length = int(lower[start : end if end >= 0 else None])
        if len(body) < length:
            return None
        response, self.data = self.data, b""
        return response


class _Run:
    def __init__(self, port: int, connections: int, watch: str) -> None:
        self.port, self.watch = port, watch.lower().encode() + b":"
        self.selector = selectors.DefaultSelector()
        self.idle = deque(self.connect() for _ in range(connections))
        self.times_s: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.headers: Counter[str] = Counter()
        self.errors = self.bytes = 0

    def connect(self) -> _Connection:
        connection = _Connection(self.port)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def collect(self, timeout_s: float) -> None:
        for key, _ in self.selector.select(timeout_s):
            connection: _Connection = key.data
            try:
                answer = connection.receive()
            except OSError:
                self.lost(connection)
                continue
            if answer is not None:
                self.times_s.append(perf_counter() - connection.due_s)
                self.statuses[int(answer[9:12])] += 1
                self.bytes += len(answer)
                self._look(answer)
                self.idle.append(connection)

    def send(self, path: str, due_s: float) -> None:
        """Send a request over an idle connection."""
        connection = self.idle.popleft()
        try:
            connection.send(path, due_s)
        except OSError:
            self.lost(connection)

    def lost(self, connection: _Connection) -> None:
        """Replace a connection that the server closed, and count an error if an answer was due."""
        if connection in self.idle:
            self.idle.remove(connection)
        else:
            self.errors += 1
        self.selector.unregister(connection.socket)
        connection.socket.close()
        self.idle.append(self.connect())

    def _look(self, answer: bytes) -> None:
        head = answer.partition(b"\r\n\r\n")[0].lower()
        start = head.find(self.watch)
        if start >= 0:
            value = head[start + len(self.watch) :].partition(b"\r\n")[0].strip()
            self.headers[value.decode()] += 1

    def end(self, seconds: float) -> Load:
        for key in list(self.selector.get_map().values()):
            key.data.socket.close()
        self.selector.close()
        return Load(seconds, sorted(self.times_s), dict(self.statuses), dict(self.headers), self.errors, self.bytes)


def closed_loop(
    port: int, connections: int, seconds: float, path: Callable[[int], str], watch: str = "x-flyball-level"
) -> Load:
    """Send requests as fast as `connections` allow for `seconds`; `path(n)`: of the n-th request, from 0."""
    run, sent = _Run(port, connections, watch), 0
    began_s = perf_counter()
    while perf_counter() - began_s < seconds:
        while run.idle:
            run.send(path(sent), perf_counter())
            sent += 1
        run.collect(0.1)
    return run.end(perf_counter() - began_s)


def open_loop(
    port: int,
    rate: float,
    seconds: float,
    connections: int,
    path: Callable[[int], str],
    watch: str = "x-flyball-level",
    rng: random.Random | None = None,
) -> Load:
    """Send `rate` requests a second over at most `connections`, and wait for the last answers.

    They are evenly spaced; with `rng` as by independent users, with exponential gaps (Poisson arrivals).
    """
    total = int(rate * seconds)
    gaps = [1 / rate if rng is None else rng.expovariate(rate) for _ in range(total)]
    due_s = list(accumulate(gaps, initial=0.0))
    run, sent = _Run(port, connections, watch), 0
    began_s = perf_counter()
    while len(run.times_s) + run.errors < total and perf_counter() - began_s < due_s[-1] + 5:
        while sent < total and run.idle and began_s + due_s[sent] <= perf_counter():
            run.send(path(sent), began_s + due_s[sent])
            sent += 1
        wait_s = began_s + due_s[sent] - perf_counter() if sent < total and run.idle else 0.05
        run.collect(max(wait_s, 0.0))
    return run.end(perf_counter() - began_s)
