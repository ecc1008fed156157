"""The live driver: sends a world's requests and then its events to a running service over HTTP.

World time can run faster than real time, so that an evening passes in a minute; timestamps in lines are real time.
While the service is unavailable the world stops, and it continues from the same time.
"""

import http.client
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from flyball.core import BadInput, Clock, Stopwatch, SystemClock, SystemStopwatch
from flyball.simulation.world import Timeline, World
from flyball.tasks import RankedItem, Response

_TICK_S = 0.25
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_NDJSON = "application/x-ndjson"


class ServiceClient(Protocol):
    """The service as the driver uses it; both methods raise `OSError` or `HTTPException` if it is unavailable."""

    def ask(self, fields: Mapping[str, Any]) -> Response | None:
        """The response to a request, None if the service answered with an error."""
        ...

    def send(self, format: str, lines: Sequence[bytes]) -> None:
        """Send lines of events."""
        ...


class DriveReport(msgspec.Struct):
    """Counts of a drive so far. `answered`: requests that got a response. `interruptions`: times without a service."""

    requests: int = 0
    answered: int = 0
    lines: int = 0
    interruptions: int = 0
    status: str = "starting"


class _Item(msgspec.Struct):
    item: int | str
    score: float = 0.0
    source: str = "model"


class _Document(msgspec.Struct):
    items: list[_Item] = []
    values: dict[str, float] = {}
    decision: str = ""


class HttpService:
    """The service at `url` with a task of `kind`, over one connection for requests and one for events.

    `chunk`: the most lines in one POST. Raises `BadInput` for a URL that is not http://host:port.
    """

    def __init__(self, url: str, kind: str, timeout_s: float = 5.0, chunk: int = 500) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise BadInput("url", "http://host:port", url)
        self._host, self._port, self._timeout_s, self._chunk = parts.hostname, parts.port or 80, timeout_s, chunk
        self._path = f"/v1/{kind}"
        self._asking = self._connection()
        self._sending = self._connection()
        self._decoder = msgspec.json.Decoder(_Document)

    def ask(self, fields: Mapping[str, Any]) -> Response | None:
        status, body = self._call(self._asking, "POST", self._path, msgspec.json.encode(fields), "application/json")
        if status != 200:
            return None
        document = self._decoder.decode(body)
        items = tuple(RankedItem(str(item.item), item.score, item.source) for item in document.items)
        return Response(items, tuple(document.values.values()), document.decision)

    def send(self, format: str, lines: Sequence[bytes]) -> None:
        kind, path = (_NDJSON, "/v1/events") if format == "jsonl" else ("text/plain", f"/v1/events?format={format}")
        for start in range(0, len(lines), self._chunk):
            self._post(b"\n".join(lines[start : start + self._chunk]), kind, path)

    def close(self) -> None:
        self._asking.close()
        self._sending.close()

    def _post(self, body: bytes, kind: str, path: str) -> None:
        status, answer = self._call(self._sending, "POST", path, body, kind)
        if status >= 500 or status == 429:
            raise ConnectionError(f"POST {path} answered {status}")
        if status >= 400 and status != 422:  # 422: all lines are in quarantine, as corrupted lines should be
            raise BadInput(f"answer to POST {path}", "a 2xx status", f"{status}: {answer[:200]!r}")

    def _call(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, kind: str
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            raise

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


class Driver:
    """Drives a world in real time; a loop calls `step`, which sends everything that is due.

    `now_us`: world time, microseconds. `speed`: how many times faster than real time it passes. Raises `BadInput` for a
    speed that is not positive.
    """

    def __init__(
        self, world: World, now_us: int, service: ServiceClient, clock: Clock, stopwatch: Stopwatch, speed: float
    ) -> None:
        if speed <= 0:
            raise BadInput("speed", "above 0", speed)
        self.world, self.now_us, self.speed, self.report = world, now_us, speed, DriveReport()
        self._service, self._clock, self._stopwatch = service, clock, stopwatch
        self._unsent: list[tuple[str, Sequence[bytes]]] = []
        self._anchor()

    def step(self) -> None:
        """Simulate up to now: send requests, decide, send events.

        Raises `OSError` or `HTTPException` if the service is unavailable; call `resume` before the next step then.
        """
        self._flush()
        timeline, until_us = self._timeline, self._world_now_us()
        if until_us <= self.now_us:
            return
        requests = self.world.requests(until_us, timeline)
        responses, took_us = [], []
        for request in requests:
            start_s = self._stopwatch.read_s()
            responses.append(self._ask(request.fields))
            took_us.append(round(1_000_000 * (self._stopwatch.read_s() - start_s)))
        self.world.decide(requests, responses, took_us)
        self._unsent = list(self.world.emit(until_us, timeline).lines)
        self.now_us = until_us
        self.report.requests += len(requests)
        self.report.answered += sum(response is not None for response in responses)
        self._flush()

    def resume(self) -> None:
        """Continue after a pause during which no world time passes."""
        self._anchor()

    def _ask(self, fields: Mapping[str, Any]) -> Response | None:
        try:
            return self._service.ask(fields)
        except (OSError, http.client.HTTPException):
            return None  # a request without a response; sending events raises if the service stays away

    def _flush(self) -> None:
        while self._unsent:
            format, lines = self._unsent[0]
            self._service.send(format, lines)
            self.report.lines += len(lines)
            self._unsent.pop(0)

    def _anchor(self) -> None:
        self._timeline = Timeline(self.now_us, self._clock.now_us(), self.speed)

    def _world_now_us(self) -> int:
        timeline = self._timeline
        return timeline.world_us + int((self._clock.now_us() - timeline.written_us) * self.speed)


def drive_http(
    world: World,
    now_us: int,
    url: str,
    *,
    kind: str,
    speed: float,
    duration_s: float | None = None,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
    stopwatch: Stopwatch | None = None,
    watch: Callable[[DriveReport], None] | None = None,
) -> DriveReport:
    """Drive the service at `url`, whose task is of `kind`, with `world` from world time `now_us` on.

    It ends when `stop` is set or after `duration_s` seconds. `watch` is called with the report after each step. An
    unavailable service is tried again after growing pauses of at most 5 s. Raises `BadInput` for a wrong URL or speed.
    """
    stop, clock, stopwatch = stop or threading.Event(), clock or SystemClock(), stopwatch or SystemStopwatch()
    service = HttpService(url, kind)
    driver = Driver(world, now_us, service, clock, stopwatch, speed)
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
