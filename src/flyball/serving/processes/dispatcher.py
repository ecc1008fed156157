"""One listening socket, many processes, an even share: the parent accepts, the workers are handed connections.

Processes that accept from a shared socket race for connections, and few keep-alive connections can all land on one
of them. Here the parent accepts each connection and passes it over a Unix socket pair to the worker with the fewest
open ones; a worker tells when it can answer, of every connection that it took, before it reads from it, and of every
one that closed. Until a connection is taken the parent holds it too, and what a worker left untaken when it died goes
to the next one: with a killed worker break the connections that it had taken, one per waiting client, and no others. A
client that connects again at once cannot meet the dead worker again, though its channel may still look open. As long as
no worker can answer well, clients wait in the kernel's backlog, but no longer than `PATIENCE_S`: a poor answer is
better than none.
"""

import asyncio
import errno
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from flyball.core import Stopwatch, SystemStopwatch
from flyball.serving.http.problems import Problem, problem_body

PATIENCE_S = 8.0
"""How long clients wait for a worker that is ready, from when one accepts connections at all."""

_TAKING, _READY, _TOOK, _MISSED, _CLOSED, _DRAIN, _CONNECTION = b"t", b"r", b"k", b"m", b"c", b"d", b"n"
_READ_BYTES = 4_096
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BUSY = (errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM)
"""Errors of a channel that takes no connection now: it is full, or too many are on their way through it."""
_FULL_S = 0.05
_READ_AHEAD = 1 << 16
_STOPPING = Problem(503, "service must be up to answer, got one that is stopping: come again")


class _Worker:
    def __init__(self, name: str, channel: socket.socket) -> None:
        self.name, self.channel = name, channel
        self.taking_s: float | None = None
        self.ready = False
        self.draining = False
        self.open = 0
        self.assigned = 0
        self.untaken: deque[socket.socket] = deque()


class Dispatcher:
    """The parent's side: accepts connections on `listener` in a thread and passes them to workers.

    Without a worker that can answer nothing is accepted, so clients wait in the kernel's backlog. When none is ready,
    those that take connections do once one of them has for `patience_s`.
    """

    def __init__(
        self, listener: socket.socket, stopwatch: Stopwatch | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._stopwatch, self._patience_s = stopwatch or SystemStopwatch(), patience_s
        self._listener = listener
        self._listener.setblocking(False)
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._gone: dict[str, int] = {}
        self._returned: deque[socket.socket] = deque()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._accepting = False
        self._full = False
        self._closing = self._stopping = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="connections", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add_worker(self, name: str) -> socket.socket:
        """A new worker's end of its channel: pass its file descriptor to the process, then close it here."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        theirs.set_inheritable(True)
        with self._lock:
            worker = _Worker(name, ours)
            self._workers.append(worker)
            self._selector.register(ours, selectors.EVENT_READ, worker)
        self._wake.send(b"w")
        return theirs

    def shares(self) -> dict[str, tuple[int, int]]:
        """{worker: (connections assigned so far, open now)}; dead workers have 0 open."""
        with self._lock:
            shares = {name: (assigned, 0) for name, assigned in self._gone.items()}
            for worker in self._workers:
                shares[worker.name] = (shares.get(worker.name, (0, 0))[0] + worker.assigned, worker.open)
        return shares

    def close_listener(self) -> None:
        """Hand out all that have connected, then close the listening socket: who comes later is refused by the kernel
        and may try elsewhere, instead of waiting for workers that end. What no worker takes is answered 503 by `stop`.
        """
        if self._thread.is_alive():
            self._closing = True
            self._wake.send(b"w")
            self._closed.wait()

    def stop(self) -> None:
        """Stop accepting and close the channels to the workers, which keep their open connections."""
        if self._thread.is_alive() and not self._stopping:
            self._stopping = True
            self._wake.send(b"w")
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                if self._closing and not self._closed.is_set():
                    self._empty_backlog()
                self._listen(self._wait_s() == 0 and not self._full)
                self._full = False
                if self._accepting or self._closing:
                    self._hand_out_returned()
                    self._listen(self._accepting and not self._full)
                for key, _ in self._selector.select(self._pause()):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.data is None:
                        self._woken.recv(_READ_BYTES)
                    else:
                        self._hear(key.data)
        finally:
            with self._lock:
                for worker in list(self._workers):
                    self._drop(worker)
                for connection in self._returned:
                    _turn_away(connection)
            self._closed.set()
            self._selector.close()
            self._wake.close()
            self._woken.close()

    def _listen(self, accepting: bool) -> None:
        accepting = accepting and not self._closed.is_set()
        if accepting and not self._accepting:
            self._selector.register(self._listener, selectors.EVENT_READ, None)
        elif not accepting and self._accepting:
            self._selector.unregister(self._listener)
        self._accepting = accepting

    def _empty_backlog(self) -> None:
        """Accept all that wait to be, for `_hand_out_returned`, and close the listening socket."""
        self._listen(False)
        with suppress(OSError):  # nobody waits any more, or there is no descriptor left to accept with
            while True:
                self._returned.append(self._listener.accept()[0])
        self._listener.close()
        self._closed.set()

    def _ready(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.ready and not worker.draining]

    def _taking(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.taking_s is not None and not worker.draining]

    def _pause(self) -> float | None:
        """How long to sleep unless something happens. Without descriptors for another connection, look again soon:
        some may have been closed."""
        if self._accepting:
            return None
        wait_s = self._wait_s()
        return _FULL_S if wait_s == 0 else wait_s

    def _wait_s(self) -> float | None:
        """Seconds until connections are handed out unless something happens before; None when no worker takes any."""
        if self._ready():
            return 0.0
        taking = [worker.taking_s for worker in self._taking() if worker.taking_s is not None]
        return max(0.0, min(taking) + self._patience_s - self._stopwatch.read_s()) if taking else None

    def _candidates(self) -> list[_Worker]:
        return self._ready() or self._taking()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # this thread must not end, or no client could connect any more
            self._full = error.errno in _NO_ROOM
            return
        self._hand_out(connection)

    def _hand_out_returned(self) -> None:
        while self._returned and self._candidates() and not self._full:
            self._hand_out(self._returned.popleft())

    def _hand_out(self, connection: socket.socket) -> None:
        """Give to the worker with the fewest open connections (then the fewest assigned); drop those that are dead.

        When all are dead it waits for the next one; when all are too busy to take it, none is accepted for a moment,
        and it is the next to be handed out.
        """
        with self._lock:
            for worker in sorted(self._candidates(), key=lambda w: (w.open, w.assigned)):
                try:
                    socket.send_fds(worker.channel, [_CONNECTION], [connection.fileno()])
                except OSError as error:
                    if error.errno not in _BUSY:  # else another may take it
                        self._drop(worker)
                    continue
                worker.open += 1
                worker.assigned += 1
                worker.untaken.append(connection)
                return
            self._full = bool(self._candidates())
            self._returned.appendleft(connection)

    def _hear(self, worker: _Worker) -> None:
        try:
            heard = worker.channel.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        with self._lock:
            if not heard:
                self._drop(worker)
                return
            worker.ready = worker.ready or _READY in heard
            if worker.taking_s is None:
                worker.taking_s = self._stopwatch.read_s()
            self._note(worker, heard)
            if _DRAIN in heard and not worker.draining:
                worker.draining = True
                with suppress(OSError):  # it may have died meanwhile, which is heard next
                    worker.channel.shutdown(socket.SHUT_WR)

    def _note(self, worker: _Worker, heard: bytes) -> None:
        for _ in range(heard.count(_TOOK) + heard.count(_MISSED)):
            worker.untaken.popleft().close()
        worker.open -= heard.count(_CLOSED) + heard.count(_MISSED)

    def _drop(self, worker: _Worker) -> None:
        """Remove a dead worker; the connections it did not take go to the others."""
        if worker in self._workers:
            with suppress(OSError):
                while heard := worker.channel.recv(_READ_BYTES):  # what it sent before it died
                    self._note(worker, heard)
            self._workers.remove(worker)
            self._gone[worker.name] = self._gone.get(worker.name, 0) + worker.assigned
            self._selector.unregister(worker.channel)
            worker.channel.close()
            self._returned += worker.untaken


def _turn_away(connection: socket.socket) -> None:
    """Answer 503 to a client that nobody serves any more, as far as its connection takes it at once."""
    body = problem_body(_STOPPING, "")
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
    )
    with connection, suppress(OSError):  # the client may have left
        connection.setblocking(False)
        with suppress(BlockingIOError):  # what is unread when a connection closes resets it, and the answer is lost
            connection.recv(_READ_AHEAD)
        connection.send(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)


class Receiver:
    """The worker's side: serves each connection it receives with `make_protocol`."""

    def __init__(self, channel: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._channel, self._make_protocol = channel, make_protocol
        self._channel.setblocking(False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsent = b""
        self._taken: deque[socket.socket] = deque()  # served once the parent knows
        self._let_go = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_reader(self._channel.fileno(), self._receive)
        self._send_message(_TAKING)

    def announce(self) -> None:
        """Tell the parent that this worker answers well: from now on it is handed connections before those that do
        not yet."""
        self._send_message(_READY)

    def closed_one(self) -> None:
        """Tell the parent that one connection is closed."""
        self._send_message(_CLOSED)

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
                for _ in range(self._unsent[:sent].count(_TOOK)):
                    self._begin(self._taken.popleft())
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            self._loop.add_writer(self._channel.fileno(), self._send)
            return
        except OSError:  # the parent is gone: nobody else will serve what is here
            self._unsent = b""
            while self._taken:
                self._begin(self._taken.popleft())
        self._loop.remove_writer(self._channel.fileno())
        if self._let_go:
            self._end()

    async def drain(self, timeout_s: float = 2.0) -> None:
        """Ask for no more connections and take those already on the way; returns when the parent let go."""
        if self._loop is not None:
            self._send_message(_DRAIN)
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
                self._send_message(_MISSED)
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                self._taken.append(connection)
                self._send_message(_TOOK)

    def _begin(self, connection: socket.socket) -> None:
        assert self._loop is not None
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        assert self._loop is not None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:
            connection.close()  # the client left before it was served
            self.closed_one()

    def _end(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
            self._loop = None
            while self._taken:  # the parent does not know, and will hand them to another worker
                self._taken.popleft().close()
            self._channel.close()
        self._ended.set()
