"""The live driver: a world's users ask a running service for lists and their lines go to it, over HTTP.

World time runs faster than real time, so that an evening passes in a minute; what is written into the lines is real
time. While the service is away the world waits, and goes on where it was.
"""

import http.client
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from flyball.core import BadInput, Clock, Stopwatch, SystemClock, SystemStopwatch
from flyball.simulation.worlds.movies.log_lines import DAY_US
from flyball.simulation.worlds.movies.world import ProfileRow, Stamps, World

MINUTES_A_SESSION = 35
"""Lines an average session leaves, used to find the speed for a wanted rate."""
_TICK_S = 0.25
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Service(Protocol):
    """What the driver needs of a service; both raise `OSError` or `HTTPException` when it is away."""

    def recommend(self, user: str) -> list[str] | None:
        """The list for a user, None when the service answered with an error."""
        ...

    def send(self, lines: list[bytes], profiles: list[ProfileRow]) -> int:
        """Hand over log lines and profiles; how many it took."""
        ...


class DriveReport(msgspec.Struct):
    """What a drive has done so far."""

    asks: int = 0
    answered: int = 0
    lines: int = 0
    profiles: int = 0
    taken_from_list: int = 0
    interruptions: int = 0
    status: str = "starting"


class HttpService:
    """A service behind `url`, over one kept-alive connection for asks and one for events."""

    def __init__(self, url: str, timeout_s: float = 5.0, chunk: int = 500) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise BadInput("url", "http://host:port", url)
        self._host, self._port, self._timeout_s, self._chunk = parts.hostname, parts.port or 80, timeout_s, chunk
        self._asking = self._connection()
        self._sending = self._connection()

    def recommend(self, user: str) -> list[str] | None:
        status, body = self._call(self._asking, "GET", f"/recommend/{user}")
        return [film for film in body.decode().strip().split(",") if film] if status == 200 else None

    def send(self, lines: list[bytes], profiles: list[ProfileRow]) -> int:
        if profiles:
            rows = b"\n".join(msgspec.json.encode({"type": kind, "at": at, **fields}) for kind, fields, at in profiles)
            self._post(rows, "application/x-ndjson", "/v1/events")
        for start in range(0, len(lines), self._chunk):
            body = b"\n".join(lines[start : start + self._chunk])
            self._post(body, "text/plain", "/v1/events?format=movielog")
        return len(lines)

    def close(self) -> None:
        self._asking.close()
        self._sending.close()

    def _post(self, body: bytes, kind: str, path: str) -> None:
        status, answer = self._call(self._sending, "POST", path, body, {"Content-Type": kind})
        if status >= 500 or status == 429:
            raise ConnectionError(f"POST {path} answered {status}")
        if status >= 400 and status != 422:  # 422: all of it was set aside, which corrupted lines deserve
            raise BadInput(f"answer to POST {path}", "a 2xx status", f"{status}: {answer[:200]!r}")

    def _call(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it anew
            raise

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


class Driver:
    """Moves a world along in real time; `step` does what is due, a loop calls it."""

    def __init__(
        self, world: World, service: Service, clock: Clock, stopwatch: Stopwatch, lines_per_s: float, skip: int = 0
    ) -> None:
        if lines_per_s <= 0:
            raise BadInput("lines_per_s", "above 0", lines_per_s)
        sessions_a_day = len(world.users) * world.habits.sessions_a_day
        self.speed = max(1.0, lines_per_s * DAY_US / 1e6 / (sessions_a_day * MINUTES_A_SESSION))
        # A day passes in minutes: its hours and weekdays mean nothing, so that nights would only stop the show.
        world.habits = msgspec.structs.replace(world.habits, by_hour=False)
        self.world, self.report = world, DriveReport()
        self._service, self._clock, self._stopwatch = service, clock, stopwatch
        self._unsent: tuple[list[bytes], list[ProfileRow]] = ([], [])
        self._anchor()

    def step(self) -> None:
        """Live up to now: ask, choose, send. Raises what the service raises; call `resume` before the next step."""
        self._flush()
        until_us = self._world_now_us()
        if until_us <= self.world.now_us:
            return
        asks = self.world.asks(until_us)
        lists, took_ms = [], []
        for user in asks.users.tolist():
            start_s = self._stopwatch.read_s()
            lists.append(self._ask(str(user + 1)))
            took_ms.append(round(1_000 * (self._stopwatch.read_s() - start_s)))
        decided = self.world.decide(asks, lists)
        self.world.note_requests(asks, lists, took_ms)
        batch = self.world.emit(until_us)
        self._unsent = batch.lines, batch.profiles
        report = self.report
        report.asks += len(asks)
        report.answered += sum(1 for shown in lists if shown)
        report.taken_from_list += int((decided.place >= 0).sum())
        self._flush()

    def resume(self) -> None:
        """Go on from now after a pause, as if no time had passed for the world."""
        self._anchor()

    def _ask(self, user: str) -> list[str] | None:
        try:
            return self._service.recommend(user)
        except (OSError, http.client.HTTPException):
            return None  # the user sees nothing and the request line says so; sending will notice if it lasts

    def _flush(self) -> None:
        lines, profiles = self._unsent
        if lines or profiles:
            self._service.send(lines, profiles)
            self.report.lines += len(lines)
            self.report.profiles += len(profiles)
            self._unsent = ([], [])

    def _anchor(self) -> None:
        self.world.stamps = Stamps(self.world.now_us, self._clock.now_us(), self.speed)

    def _world_now_us(self) -> int:
        stamps = self.world.stamps
        return stamps.world_us + int((self._clock.now_us() - stamps.origin_us) * self.speed)


def drive_http(
    world: World,
    url: str,
    *,
    lines_per_s: float = 100.0,
    duration_s: float | None = None,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
    stopwatch: Stopwatch | None = None,
    watch: Callable[[DriveReport], None] | None = None,
) -> DriveReport:
    """Drive the service at `url` with about `lines_per_s` lines of `world` until `stop` is set or `duration_s` is over.

    `watch` is called with the report after each step. A service that is away is tried again after growing pauses,
    5 s at most.
    """
    stop, clock, stopwatch = stop or threading.Event(), clock or SystemClock(), stopwatch or SystemStopwatch()
    service = HttpService(url)
    driver = Driver(world, service, clock, stopwatch, lines_per_s)
    end_s = None if duration_s is None else stopwatch.read_s() + duration_s
    failures = 0
    try:
        while not stop.is_set() and (end_s is None or stopwatch.read_s() < end_s):
            try:
                driver.step()
                failures, driver.report.status, pause_s = 0, "driving", _TICK_S
            except (OSError, http.client.HTTPException) as error:
                driver.report.interruptions += failures == 0
                driver.report.status = f"waiting for the service: {error}"
                pause_s = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
                failures += 1
            if watch is not None:
                watch(driver.report)
            stop.wait(pause_s)
            if failures:
                driver.resume()
    finally:
        service.close()
    return driver.report


def stop_on_signals(stop: threading.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT; call it in the main thread of a driving process."""

    def handle(number: int, frame: FrameType | None) -> Any:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
