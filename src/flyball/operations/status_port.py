"""The port of a machine that runs no serving process: liveness, readiness and metrics for whoever runs machines."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import SystemRandom
from socket import SHUT_RDWR, socket
from typing import Any

import msgspec

from flyball.access import Authenticator, holds_role
from flyball.core import FlyballError, NotAllowed, Stopwatch, SystemStopwatch
from flyball.events import consumer_troubles, read_worker_report
from flyball.home import interrupted_removal
from flyball.limits import RefusalLog
from flyball.monitoring import IncidentCounts, count_incidents
from flyball.operations.supervisor import Child
from flyball.registry import LeaseStanding, access_keys, lease_standings
from flyball.runtime import Runtime
from flyball.serving import Admission, Origins, is_loopback, metrics_text, problem_body, problem_of

MAX_CONNECTIONS, MAX_OF_ADDRESS = 32, 8
"""Open at once, in all and from one address; one more is closed."""
OPEN_S = 5.0
"""For how long a connection may be open, whatever it sends meanwhile."""
READ_S = 0.5
"""Keys are read from the registry so often at most."""

_TEXT = "text/plain; charset=utf-8"
_REASONS = {401: "no-key", 403: "not-allowed", 429: "too-many"}


class StatusPort:
    """Answers `/healthz`, `/readyz` and `/metrics` on `listener`, in a thread; `children`: what runs on this machine.
    `runtime`: that of the home that is in use now.

    `/metrics` takes a key as that of serving processes does. It is ready while all of them run and the machine is not
    about to stop.
    """

    def __init__(
        self,
        listener: socket,
        runtime: Callable[[], Runtime],
        children: Callable[[], Sequence[Child]],
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._runtime, self._children = runtime, children
        self._stopwatch = stopwatch or SystemStopwatch()
        self._lock, self._read_s = threading.Lock(), float("-inf")
        self._refusals = RefusalLog(self._stopwatch, "not let in")
        self._authenticator = Authenticator(runtime().clock, SystemRandom())
        own = self

        class Handler(BaseHTTPRequestHandler):
            timeout = OPEN_S

            def do_GET(self) -> None:
                lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
                refused = own.refusal(self.path, lines, self.client_address)
                status, kind, body = refused or own.answer(self.path)
                self.send_response(status)
                for name, value in {"content-type": kind, "content-length": len(body)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *values: Any) -> None:
                """Log nothing: probes come every second."""

        self._server = _Server(listener, Handler, self._stopwatch)
        self._thread = threading.Thread(target=self._server.serve_forever, name="status port", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close_listener(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def stop(self) -> None:
        """End the thread."""
        self._thread.join()

    def refusal(
        self, path: str, headers: Sequence[tuple[bytes, bytes]], client: Sequence[object]
    ) -> tuple[int, str, bytes] | None:
        """What a request is answered that may not see the metrics; None for one that may."""
        if path.partition("?")[0] != "/metrics":
            return None
        try:
            with self._lock:  # the authenticator is of one thread at a time
                self._let_in(headers, client)
        except FlyballError as error:
            problem = problem_of(error)
            if problem.status in _REASONS:
                with self._lock:
                    self._refusals.note(_REASONS[problem.status], str(client[0]))
            return problem.status, "application/problem+json", problem_body(problem, path)
        return None

    def _let_in(self, headers: Sequence[tuple[bytes, bytes]], client: Sequence[object]) -> None:
        """Raise what a request for metrics is refused with."""
        runtime, head = self._runtime(), dict(headers)
        now_s = self._stopwatch.read_s()
        if now_s - self._read_s >= READ_S:
            self._authenticator.refresh(access_keys(runtime.registry), runtime.clock.now_us())
            self._read_s = now_s
        identity = Admission(runtime.settings, self._authenticator).admit_now(head, headers, client).identity
        origins = Origins(runtime.settings.origins, self._authenticator, is_loopback(runtime.settings.host))
        origins.check(head, "GET", "read", identity)
        if not holds_role(identity.roles, "read"):
            raise NotAllowed("role must be read for metrics: flyball keys create APP --role read makes a key with it")

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """(status, content type, body) of a path."""
        match path.partition("?")[0]:
            case "/healthz":
                return 200, _TEXT, b"ok\n"
            case "/readyz":
                reasons = self._unready()
                known = [*reasons, *self._troubles()]
                document = {"ready": not reasons, "degraded": bool(known), "reasons": known}
                return (503 if reasons else 200), "application/json", msgspec.json.encode(document)
            case "/metrics":
                return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        return 404, _TEXT, b"this machine answers /healthz, /readyz and /metrics only: it runs no serving process\n"

    def _unready(self) -> list[str]:
        if self._runtime().layout.draining.exists():
            return ["it is about to stop"]
        return [f"{child.name} is {child.state}" for child in self._children() if child.state != "running"]

    def _troubles(self) -> list[str]:
        report = read_worker_report(self._runtime().worker_report_path)
        troubles = consumer_troubles(report, self._runtime().clock.now_us()).values()
        interrupted = interrupted_removal(self._runtime().layout)
        return [*([interrupted] if interrupted else []), *troubles]

    def _metrics(self) -> bytes:
        report = read_worker_report(self._runtime().worker_report_path)
        return metrics_text(self._runtime().counters_folder, {}, {}, report, self._incidents(), self._leases())

    def _incidents(self) -> IncidentCounts | None:
        try:
            return count_incidents(self._runtime().registry)
        except FlyballError:  # the registry is away: the consumers' metrics all the same
            return None

    def _leases(self) -> list[LeaseStanding]:
        """Who leads; nobody known where the registry cannot be read."""
        try:
            return lease_standings(self._runtime().registry)
        except FlyballError:
            return []


class _Server(ThreadingHTTPServer):
    """A thread for each connection, of which few are open, and none for long: half a head costs little."""

    daemon_threads = True

    def __init__(self, listener: socket, handler: type[BaseHTTPRequestHandler], stopwatch: Stopwatch) -> None:
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._stopwatch, self._guard = stopwatch, threading.Lock()
        self._open: dict[socket, tuple[str, float]] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        address = str(client_address[0])
        with self._guard:
            own = sum(known == address for known, _ in self._open.values())
            is_let_in = len(self._open) < MAX_CONNECTIONS and own < MAX_OF_ADDRESS
            if is_let_in:
                self._open[request] = (address, self._stopwatch.read_s())
        if is_let_in:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: end what is open for too long."""
        now_s = self._stopwatch.read_s()
        with self._guard:
            late = [request for request, (_, since_s) in self._open.items() if now_s - since_s >= OPEN_S]
            for request in late:
                del self._open[request]  # its place is free at once, not when its thread has noticed
                with suppress(OSError):  # the other side has gone
                    request.shutdown(SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: the other side has gone, or was too slow."""
