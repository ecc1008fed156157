"""Events over HTTP: checked, durable before the reply, a verdict for each."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec

from flyball.core import Clock, NotFound, StoreUnavailable
from flyball.events import Appender, Format, LineSource, Verdict, find_format, ingest_lines
from flyball.runtime import Runtime
from flyball.serving.metrics import ServingMetrics
from flyball.serving.problems import Problem

SOURCE = "http"
THREADS = 4
MAX_WAITING = 256
WITHIN_S = 10.0
GATHER_S = 0.002
"""How long a request waits for others to share its commit with."""

_ONE = "application/json"
_LINES = ("", "application/x-ndjson", "application/ndjson", "application/jsonl", "text/plain", "text/csv")
UNTOLD = ("application/x-www-form-urlencoded", "application/octet-stream")
"""What curl and others say when nobody tells them: believed to be lines when the request names their format, or when
they begin as JSON does."""


class EventVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event. `event`: its place among the events sent, from 1."""

    event: int
    verdict: str
    type: str = ""
    reason: str = ""
    detail: str = ""
    unknown: tuple[str, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """What became of a request's events."""

    accepted: int
    duplicate: int
    quarantined: int
    events: list[EventVerdict]

    def first_reason(self) -> str:
        """The reason of the first one set aside."""
        return next((f"{one.reason}: {one.detail}" for one in self.events if one.verdict == "quarantined"), "")


class Intake:
    """Takes events in on a few threads, so that requests at the same time share a commit of the log."""

    def __init__(self, runtime: Runtime, metrics: ServingMetrics, clock: Clock) -> None:
        self._runtime, self._metrics, self._clock = runtime, metrics, clock
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")
        self._appender: Appender | None = None
        self._opening = threading.Lock()
        self._waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool.submit(self._catch_up)

    def stop(self) -> None:
        """Finish what was begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._appender is not None:
            self._appender.close()

    async def take(self, named: str | None, content_type: str, body: bytes) -> Summary:
        """Check and append the events in `body`; when this returns they are durable. `named`: the format, if told.

        Raises `Problem`: 400 for an unknown format or an unreadable body, 415 for a content type that holds no
        events, 503 when the log cannot be written (then it is unknown whether some are in; sending the same events
        again adds none twice).
        """
        format_name = named or "jsonl"
        if content_type in UNTOLD and (named or _begins_as_json(body)):
            content_type = _ONE if named in (None, "jsonl") and is_json(body) else ""
        lines = lines_of(format_name, content_type, body)
        if self._waiting >= MAX_WAITING or self._loop is None:
            raise Problem(503, f"{self._waiting} requests with events are waiting", {"retry-after": "1"})
        self._waiting += 1
        try:
            work = self._loop.run_in_executor(self._pool, self._ingest, format_name, lines)
            verdicts = await asyncio.wait_for(work, WITHIN_S)
        except TimeoutError:
            raise self._unwritten(f"no answer from the log within {WITHIN_S:g} s") from None
        except StoreUnavailable as error:
            raise self._unwritten(str(error)) from None
        finally:
            self._waiting -= 1
        return self._summary(verdicts)

    def _catch_up(self) -> None:
        """The catalog is a view over the log that may have been lost, or come from an older place."""
        try:
            self._runtime.catalog.catch_up(self._runtime.log)
        except Exception as error:  # until it can be read, references count as known or not as it says
            self._metrics.note("poll", "catalog", error)

    def _ingest(self, format_name: str, lines: list[bytes]) -> list[Verdict]:
        if self._appender is None:
            with self._opening:
                self._appender = self._appender or Appender(self._runtime.log, GATHER_S)
        format = _format(self._runtime, format_name)
        inlet = msgspec.structs.replace(self._runtime.inlet, clock=self._clock, appender=self._appender)
        return ingest_lines(lines, LineSource(SOURCE, format, format_name, "live"), inlet)

    def _unwritten(self, reason: str) -> Problem:
        self._metrics.note("events", "log", reason)
        return Problem(
            503,
            f"events could not be made durable: {reason}; send them again, none is added twice",
            {"retry-after": "1"},
        )

    def _summary(self, verdicts: list[Verdict]) -> Summary:
        counts = {"accepted": 0, "duplicate": 0, "quarantined": 0}
        told = []
        for place, one in enumerate(verdicts, start=1):
            counts[one.verdict] += 1
            told.append(EventVerdict(place, one.verdict, one.type, one.reason, one.detail, one.unknown))
        for name, count in counts.items():
            if count:
                self._metrics.counters.add(f"events|{name}", count)
        return Summary(counts["accepted"], counts["duplicate"], counts["quarantined"], told)


def lines_of(format_name: str, content_type: str, body: bytes) -> list[bytes]:
    """The body as lines: `application/json` holds one event or an array of them, the rest one event a line."""
    if content_type not in (_ONE, *_LINES):
        raise Problem(415, f"content type must be {_ONE}, application/x-ndjson or text/plain, got {content_type}")
    if format_name == "parquet":
        raise Problem(400, "format must be one of lines to come over HTTP, got parquet")
    if content_type == _ONE:
        if format_name != "jsonl":
            raise Problem(415, f"events in format {format_name} must come as text/plain, got {content_type}")
        lines = _documents(body)
    else:
        lines = [line.removesuffix(b"\r") for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    if not any(line.strip() for line in lines):
        raise Problem(400, "body must hold an event or more, got none")
    return lines


def is_json(body: bytes) -> bool:
    """Whether the body is one JSON object or array, over however many lines."""
    if not _begins_as_json(body):
        return False
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _begins_as_json(body: bytes) -> bool:
    return body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def _documents(body: bytes) -> list[bytes]:
    """Each event of a JSON document on a line of its own; what is no JSON stays one line, for the quarantine."""
    try:
        if body.lstrip()[:1] == b"[":
            return [
                msgspec.json.format(bytes(one), indent=-1) for one in msgspec.json.decode(body, type=list[msgspec.Raw])
            ]
        return [msgspec.json.format(body, indent=-1)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [body.replace(b"\r", b" ").replace(b"\n", b" ")]


def _format(runtime: Runtime, name: str) -> Format:
    try:
        return find_format(name, runtime.formats)
    except NotFound as error:
        raise Problem(400, f"format must be one of {', '.join(error.known)}, got {name}") from None
