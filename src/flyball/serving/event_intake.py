"""Ingests events over HTTP: they are durable before the reply, which has a verdict for each."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from flyball.core import BadInput, Clock, NotFound, StoreUnavailable, format_timestamp
from flyball.events import (
    ERASED,
    KEPT_NOWHERE,
    NOT_ALLOWED,
    Appender,
    Appends,
    BatchBuilder,
    EventBatch,
    Format,
    Inlet,
    LineSource,
    LineVerdicts,
    TracedAppends,
    find_format,
    ingest_batch,
    ingest_lines,
)
from flyball.runtime import Runtime
from flyball.serving.metrics import ServingMetrics
from flyball.tasks import Request, fields_of_event

SOURCE, REQUESTS = "http", "requests"
"""Names of sources: events that clients sent, and requests that were answered."""

THREADS = 4
MAX_WAITING = 256
WITHIN_S = 10.0
GATHER_S, GATHER_REQUESTS_S = 0.002, 0.05
"""How long events wait for others to share a commit: sent ones, whose sender waits, and answered requests."""

FEW = 20
"""So many events are written at once, whatever answers do."""
GIVE_WAY_S, LOOK_AGAIN_S = 2.0, 0.005
"""How long more events wait while answers are late, and how often they look."""


_REFUSED = ("quarantined", *KEPT_NOWHERE)


class EventVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of one event. `event`: its place among the events sent, from 1."""

    event: int
    verdict: str
    type: str = ""
    reason: str = ""
    detail: str = ""
    unknown: tuple[str, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """The result of a request's events. `ignored`: fields that were sent and that no declared field takes; `erased`:
    events about people who were erased, `not_allowed`: events of a type that the key may not send; neither are kept."""

    accepted: int
    duplicate: int
    quarantined: int
    events: list[EventVerdict]
    ignored: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    erased: int | msgspec.UnsetType = msgspec.UNSET
    not_allowed: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def refused(self) -> int:
        """How many were not taken."""
        return self.quarantined + (self.erased or 0) + (self.not_allowed or 0)

    def first_reason(self) -> str:
        """The reason for the first event that was not taken."""
        reasons = (f"{event.reason}: {event.detail}" for event in self.events if event.verdict in _REFUSED)
        return next(reasons, "")


class EventIntake:
    """Ingests events on a few threads, so that concurrent requests share a commit of the log."""

    def __init__(
        self, runtime: Runtime, metrics: ServingMetrics, clock: Clock, answers_are_late: Callable[[], bool] = bool
    ) -> None:
        self._answers_are_late = answers_are_late
        self._runtime, self._metrics, self._clock = runtime, metrics, clock
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")
        self._appender: Appender | None = None
        self._opening = threading.Lock()
        self._waiting = 0
        self._requests: deque[Request] = deque()
        self._gathering = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool.submit(self._catch_up)

    def stop(self) -> None:
        """Finish the pending work, then stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._requests:
            self._take_requests()
        if self._appender is not None:
            self._appender.close()

    async def take(self, format_name: str, lines: list[bytes], key: str = "", types: tuple[str, ...] = ()) -> Summary:
        """Check and append the events in `lines`; when this returns they are durable. `key`: the same when the request
        is sent again, "" for none. `types`: those that the sender may send, () for all.

        Raises `BadInput` for an unknown format; `StoreUnavailable` when the log cannot be written (some events may then
        be in it; sending the same events again adds none twice).
        """
        if self._waiting >= MAX_WAITING or self._loop is None:
            raise StoreUnavailable(f"{self._waiting} requests with events are waiting: send it again in a moment")
        self._waiting += 1
        try:
            if len(lines) > FEW:
                await self._give_way()
            work = self._loop.run_in_executor(self._pool, self._ingest_sent, format_name, lines, key, types)
            line_verdicts = await asyncio.wait_for(work, WITHIN_S)
        except TimeoutError:
            raise self._unwritten(f"no answer from the log within {WITHIN_S:g} s") from None
        except StoreUnavailable as error:
            raise self._unwritten(str(error)) from None
        finally:
            self._waiting -= 1
        return self._summary(line_verdicts)

    async def _give_way(self) -> None:
        """Wait while answers are late: checking many events takes their time."""
        for _ in range(round(GIVE_WAY_S / LOOK_AGAIN_S)):
            if not self._answers_are_late():
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    def note_request(self, request: Request) -> None:
        """Append the request's event in the background without waiting. If it is sent as an event too, it is added
        once."""
        self._requests.append(request)
        if not self._gathering and self._loop is not None:
            self._gathering = True
            self._loop.call_later(GATHER_REQUESTS_S, self._submit_requests)

    def _submit_requests(self) -> None:
        self._gathering = False
        with contextlib.suppress(RuntimeError):  # stopped meanwhile: `stop` takes them
            self._pool.submit(self._take_requests)

    def _take_requests(self) -> None:
        requests = []
        while self._requests:
            requests.append(self._requests.popleft())
        try:
            source = LineSource(REQUESTS, find_format("jsonl"), "jsonl", "live")
            for batch, batch_requests in _batches(requests):
                ingest_batch(batch, partial(_line_of, batch_requests), source, self._inlet())
        except Exception as error:  # the prediction log holds the requests too
            self._metrics.note("events", "requests", error)

    def _catch_up(self) -> None:
        """Bring the entity catalog up to the log, since it may have been lost or restored from an older state."""
        try:
            self._runtime.catalog.catch_up(self._runtime.log)
        except Exception as error:  # until it can be read, references count as known or not as it says
            self._metrics.note("poll", "catalog", error)

    def _ingest_sent(self, format_name: str, lines: list[bytes], key: str, types: tuple[str, ...]) -> LineVerdicts:
        format = _format(self._runtime, format_name)
        source = LineSource(SOURCE, format, format_name, "live", key=key, types=types)
        return ingest_lines(lines, source, self._inlet())

    def _inlet(self) -> Inlet:
        if self._appender is None:
            with self._opening:
                self._appender = self._appender or Appender(self._runtime.log, GATHER_S)
        appends: Appends = self._appender
        if self._runtime.tracer is not None:
            appends = TracedAppends(appends, self._runtime.tracer, self._clock)
        return msgspec.structs.replace(self._runtime.inlet, clock=self._clock, appender=appends)

    def _unwritten(self, reason: str) -> StoreUnavailable:
        self._metrics.note("events", "log", reason)
        return StoreUnavailable(f"events could not be made durable: {reason}; send them again, none is added twice")

    def _summary(self, line_verdicts: LineVerdicts) -> Summary:
        counts = {"accepted": 0, "duplicate": 0, "quarantined": 0, ERASED: 0, NOT_ALLOWED: 0}
        events = []
        for index, verdict in enumerate(line_verdicts.verdicts, start=1):
            counts[verdict.verdict] += 1
            events.append(
                EventVerdict(index, verdict.verdict, verdict.type, verdict.reason, verdict.detail, verdict.unknown)
            )
        for name, count in counts.items():
            if count:
                self._metrics.counters.add(f"events|{name}", count)
        return Summary(
            counts["accepted"],
            counts["duplicate"],
            counts["quarantined"],
            events,
            line_verdicts.ignored or msgspec.UNSET,
            counts[ERASED] or msgspec.UNSET,
            counts[NOT_ALLOWED] or msgspec.UNSET,
        )


def _format(runtime: Runtime, name: str) -> Format:
    try:
        return find_format(name, runtime.formats)
    except NotFound as error:
        raise BadInput("format", f"one of {', '.join(error.known)}", name) from None


def _batches(requests: Sequence[Request]) -> Iterator[tuple[EventBatch, list[Request]]]:
    """The requests' events by their type and fields, with the requests of each."""
    groups: dict[tuple[str, tuple[str, ...]], tuple[BatchBuilder, list[Request]]] = {}
    for request in requests:
        fields = fields_of_event(request.event)
        kind = (type(request.event).__name__.lower(), tuple(fields))
        if kind not in groups:
            groups[kind] = (BatchBuilder(*kind), [])
        builder, batch_requests = groups[kind]
        builder.add(len(batch_requests), tuple(fields.values()), request.at_us, request.name)
        batch_requests.append(request)
    for builder, batch_requests in groups.values():
        yield builder.batch(), batch_requests


def _line_of(requests: Sequence[Request], index: int) -> bytes:
    """The event of request `index` as a line of JSON."""
    request = requests[index]
    name, at = type(request.event).__name__.lower(), format_timestamp(request.at_us)
    return msgspec.json.encode({"type": name, "at": at, **fields_of_event(request.event)})
