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

import errno
import re
import selectors
import socket
import threading
from collections import deque
from contextlib import suppress

from flyball.core import Stopwatch, SystemStopwatch
from flyball.serving.http.problems import Problem, problem_body
from flyball.serving.processes.connection_limits import ConnectionLimits
from flyball.serving.processes.receiver import CLOSED, CONNECTION, DRAIN, MISSED, READY, TOOK

PATIENCE_S = 8.0
"""How long clients wait for a worker that is ready, from when one accepts connections at all."""

_MESSAGE = re.compile(rb"(\d*)([a-z])")
_READ_BYTES = 4_096
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BUSY = (errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM)
"""Errors of a channel that takes no connection now: it is full, or too many are on their way through it."""
_FULL_S = 0.05
_READ_AHEAD = 1 << 16


class _Client:
    """A connection that was accepted, and the address that it counts for."""

    __slots__ = ("address", "connection")

    def __init__(self, connection: socket.socket, address: str) -> None:
        self.connection, self.address = connection, address


class _Worker:
    def __init__(self, name: str, channel: socket.socket) -> None:
        self.name, self.channel = name, channel
        self.taking_s: float | None = None
        self.ready = False
        self.draining = False
        self.open = 0
        self.assigned = 0
        self.untaken: deque[_Client] = deque()
        self.addresses: dict[int, str] = {}  # of open connections, by the number with which they were assigned
        self.unread = b""


class Dispatcher:
    """The parent's side: accepts connections on `listener` in a thread and passes them to workers.

    Without a worker that can answer nothing is accepted, so clients wait in the kernel's backlog. When none is ready,
    those that take connections do once one of them has for `patience_s`.
    """

    def __init__(
        self,
        listener: socket.socket,
        stopwatch: Stopwatch | None = None,
        patience_s: float = PATIENCE_S,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._limits = limits or ConnectionLimits()
        self._stopwatch, self._patience_s = stopwatch or SystemStopwatch(), patience_s
        self._listener = listener
        self._listener.setblocking(False)
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._gone: dict[str, int] = {}
        self._returned: deque[_Client] = deque()
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

    def is_ready(self, name: str) -> bool:
        """Whether this worker, the last one that was added under the name, answers well and takes connections."""
        with self._lock:
            last = next((worker for worker in reversed(self._workers) if worker.name == name), None)
            return last is not None and last.ready and not last.draining

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
                for client in self._returned:
                    _turn_away(client.connection, _STOPPING)
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
                connection, name = self._listener.accept()
                self._returned.append(_Client(connection, self._counted(name)))
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
            connection, name = self._listener.accept()
        except OSError as error:  # this thread must not end, or no client could connect any more
            self._full = error.errno in _NO_ROOM
            return
        address = self._counted(name)
        if self._limits.admits(address):
            self._hand_out(_Client(connection, address))
        else:
            self._limits.close(address)
            _turn_away(connection, _TOO_MANY)

    def _counted(self, name: object) -> str:
        """The address of a client, which has one connection more."""
        address = str(name[0]) if isinstance(name, tuple) else ""
        self._limits.open(address)
        return address

    def _hand_out_returned(self) -> None:
        while self._returned and self._candidates() and not self._full:
            self._hand_out(self._returned.popleft())

    def _hand_out(self, client: _Client) -> None:
        """Give to the worker with the fewest open connections (then the fewest assigned); drop those that are dead.

        When all are dead it waits for the next one; when all are too busy to take it, none is accepted for a moment,
        and it is the next to be handed out.
        """
        with self._lock:
            for worker in sorted(self._candidates(), key=lambda w: (w.open, w.assigned)):
                try:
                    socket.send_fds(worker.channel, [CONNECTION], [client.connection.fileno()])
                except OSError as error:
                    if error.errno not in _BUSY:  # else another may take it
                        self._drop(worker)
                    continue
                worker.addresses[worker.assigned] = client.address
                worker.open += 1
                worker.assigned += 1
                worker.untaken.append(client)
                return
            self._full = bool(self._candidates())
            self._returned.appendleft(client)

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
            worker.ready = worker.ready or READY in heard
            if worker.taking_s is None:
                worker.taking_s = self._stopwatch.read_s()
            self._note(worker, heard)
            if DRAIN in heard and not worker.draining:
                worker.draining = True
                with suppress(OSError):  # it may have died meanwhile, which is heard next
                    worker.channel.shutdown(socket.SHUT_WR)

    def _note(self, worker: _Worker, heard: bytes) -> None:
        heard = worker.unread + heard
        worker.unread = heard[len(heard.rstrip(b"0123456789")) :]
        for digits, kind in _MESSAGE.findall(heard):
            if kind in (TOOK, MISSED):
                worker.untaken.popleft().connection.close()
            if kind in (MISSED, CLOSED):
                worker.open -= 1
                address = worker.addresses.pop(int(digits), None) if digits else None
                if address is not None:
                    self._limits.close(address)

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
            for number in range(worker.assigned - len(worker.untaken), worker.assigned):
                worker.addresses.pop(number)  # another worker gets them
            for address in worker.addresses.values():
                self._limits.close(address)


def _refusal(detail: str) -> bytes:
    body = problem_body(Problem(503, detail), "")
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


_STOPPING = _refusal("service must be up to answer, got one that is stopping: come again")
_TOO_MANY = _refusal(
    "open connections must be at most what the settings connections and connections_per_address allow, got one more: "
    "close some, and send several requests over each"
)


def _turn_away(connection: socket.socket, answer: bytes) -> None:
    """Answer a client that nobody serves, as far as its connection takes it at once, and close it."""
    with connection, suppress(OSError):  # the client may have left
        connection.setblocking(False)
        with suppress(BlockingIOError):  # what is unread when a connection closes resets it, and the answer is lost
            connection.recv(_READ_AHEAD)
        connection.send(answer)
        connection.shutdown(socket.SHUT_WR)
