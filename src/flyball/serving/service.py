"""The service that HTTP handlers call: the parts of one serving process."""

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from flyball.access import Authenticator
from flyball.core import (
    Clock,
    NotFound,
    Refused,
    Stopwatch,
    StoreUnavailable,
    SystemStopwatch,
    timestamp_of_id,
)
from flyball.limits import LateAnswers
from flyball.monitoring import ServingReport, declaration_digest, served_version, write_serving_report
from flyball.outcomes import Prediction, find_prediction, named_in, parts_of, response_of
from flyball.registry import Version
from flyball.runtime import Runtime
from flyball.serving.answering.request import RequestReader, read_query
from flyball.serving.batching import Scorer
from flyball.serving.event_intake import EventIntake
from flyball.serving.key_refresher import KeyRefresher
from flyball.serving.metrics import ServingMetrics
from flyball.serving.other_machines import OtherMachines
from flyball.serving.prediction_writer import PredictionWriter
from flyball.serving.request_limits import RequestLimits
from flyball.serving.review_counts import counts_of
from flyball.serving.spans import AnswerSpans
from flyball.serving.versions.refresher import Refresher
from flyball.serving.waiting_time import BULK_SHARE, WaitingTime
from flyball.tasks import FALLBACK_LEVELS, Lookup, OffersLookups, Request

_Result = TypeVar("_Result")

_ASIDE_S = 2.0
_KEYS_S = 2.0
_ASIDE_WAITING = 64
_WRITTEN_US, _LOOK_AGAIN_S = 300_000, 0.05
"""How long after an answer its record may be missing from the log, and how often to look for it meanwhile."""


class AnswerReason(msgspec.Struct, frozen=True):
    """A contribution to a score or a predicted value."""

    name: str
    value: float


Reasons = list[list[AnswerReason]]


class Service:
    """Engine, scoring thread, background threads and metrics of one process, over one runtime.

    `worker` names the process in metrics and records. `rng` numbers the answers: different in each process.
    `takes_in`: whether requests become events.
    """

    def __init__(
        self,
        runtime: Runtime,
        worker: str,
        rng: random.Random,
        clock: Clock | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        task, about = runtime.app.task, runtime.app.task.about
        about = msgspec.structs.replace(about, paths={**about.paths, **runtime.app.paths})
        self.runtime, self.worker, self.about = runtime, worker, about
        self.clock, self.stopwatch = clock or runtime.clock, stopwatch or SystemStopwatch()
        self.metrics = ServingMetrics(runtime.counters_folder, worker, self.stopwatch)
        runtime.exported_spans = self.metrics.spans
        self._declared = ""
        limit = about.daily_limit
        self._reviews = None if limit is None else counts_of(runtime, limit)
        self.refresher = Refresher(
            runtime, self.metrics, self.clock, reviews=self._reviews, report=self._report_versions
        )
        self.engine = self.refresher.engine
        self._spans = None
        if runtime.tracer is not None:
            self._spans = AnswerSpans(runtime.tracer, about.kind, worker, self.clock, self.stopwatch)
        deadline_s = about.deadline_us / 1e6
        self.scorer = Scorer(
            self.engine, self.refresher.trip, self.metrics, self.stopwatch, deadline_s, spans=self._spans
        )
        self._writer: PredictionWriter | None = None
        self.authenticator = Authenticator(self.clock, random.SystemRandom())
        self._keys = KeyRefresher(runtime, self.authenticator, self.metrics, self.clock)
        self.intake = EventIntake(runtime, self.metrics, self.clock, self._answers_are_late)
        self.limits = RequestLimits(runtime, self.metrics, self.stopwatch)
        self._others = OtherMachines(runtime, self.limits, self.metrics)
        self._late = LateAnswers(runtime.layout.late_answers)
        self.waiting = WaitingTime(self.stopwatch, deadline_s, self._late.note)
        self.requests = RequestReader(about.request, self.clock, rng)
        self.lookups = tuple(task.lookups) if isinstance(task, OffersLookups) else ()
        self.takes_in = any(declared.cls is about.request for declared in runtime.schema.types.values())
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._aside_waiting = 0

    async def start(self) -> None:
        """Start the threads; requests are answered at once, from fallbacks until stores and versions are loaded."""
        loop = asyncio.get_running_loop()
        await self._read_keys(loop)
        written = None if self._spans is None else self._spans.written
        self._writer = PredictionWriter(
            lambda: self.runtime.predictions,
            self.metrics,
            self.worker,
            written=written,
            erased=self.runtime.erased,
            named=named_in(self.about),
        )
        self._writer.start()
        self.refresher.start()
        self.waiting.start(loop)
        self._others.start()
        self.scorer.start(loop)
        self.intake.start(loop)

    def _answers_are_late(self) -> bool:
        """Whether requests wait for so long that events should."""
        share_s = BULK_SHARE * self.about.deadline_us / 1e6
        return self.scorer.oldest_wait_s() > share_s or self.waiting.is_over(of_events=True)

    async def _read_keys(self, loop: asyncio.AbstractEventLoop) -> None:
        """Know the keys before the first request; when the registry takes longer, requests wait for it with a 503."""
        with suppress(TimeoutError):
            await asyncio.wait_for(loop.run_in_executor(None, self._keys.step), _KEYS_S)
        self._keys.start()

    async def stop(self) -> None:
        """Write the predictions, then stop the threads."""
        self.authenticator.close()
        self.refresher.stop()
        self.scorer.stop()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._keys.stop)
        await loop.run_in_executor(None, self._others.stop)
        await loop.run_in_executor(None, self.intake.stop)
        if self._writer is not None:
            await loop.run_in_executor(None, self._writer.stop)
        self._aside.shutdown(wait=False, cancel_futures=True)
        if self.runtime.tracer is not None:
            await loop.run_in_executor(None, self.runtime.tracer.close)

    def _report_versions(self, versions: Mapping[str, Version]) -> None:
        """Say what this process serves, for the monitor of version skew; a full disk must not keep it from serving."""
        app = self.runtime.app
        self._declared = self._declared or declaration_digest(app)
        served = {name: served_version(version, app) for name, version in versions.items()}
        report = ServingReport(self.worker, os.getpid(), self.clock.now_us(), self._declared, served)
        with suppress(OSError):
            write_serving_report(self.runtime.layout.run, report)

    async def plain(self, key: str) -> Prediction:
        """The answer to a request with nothing but its key; raises `BadInput` for a malformed one."""
        return await self.answer(self.requests.plain(key))

    async def answer(self, request: Request, dry: bool = False) -> Prediction:
        """The answer before the deadline; it is recorded and counted, but nothing is kept of a `dry` request."""
        began_s = self.stopwatch.read_s()
        prediction = await self.scorer.answer(request)
        if dry:
            if self._reviews is not None:
                self._reviews.forget(prediction)
        else:
            self._record(request, prediction, began_s)
        return prediction

    def answer_soon(self, request: Request, done: Callable[[Prediction], None]) -> None:
        """Call `done` in the event loop with the answer before the deadline; it is recorded and counted first."""
        began_s = self.stopwatch.read_s()

        def answered(prediction: Prediction) -> None:
            self._record(request, prediction, began_s)
            done(prediction)

        self.scorer.submit(request, answered)

    async def answer_all(self, requests: Sequence[Request]) -> list[Prediction]:
        """The answers to requests that came together, in order; the time that each took is that of all."""
        began_s = self.stopwatch.read_s()
        predictions = await self.scorer.answer_all(requests)
        for request, prediction in zip(requests, predictions, strict=True):
            self._record(request, prediction, began_s)
        return predictions

    def _record(self, request: Request, prediction: Prediction, began_s: float) -> None:
        ended_s = self.stopwatch.read_s()
        took_s = ended_s - began_s
        self.metrics.answered(prediction.level, took_s)
        self.waiting.took(took_s)
        if self._spans is not None:
            self._spans.answered(request, prediction, began_s, ended_s)
        if self._reviews is not None:
            self._reviews.settle(prediction)
        if self._writer is not None:
            self._writer.put(prediction, int(took_s * 1e6))
        if self.takes_in:
            self.intake.note_request(request)

    def why_unanswered(self, dry: bool = False) -> str:
        """Why a request can be given no value, and what to do."""
        kept = "; the request is kept as an event all the same" if self.takes_in and not dry else ""
        return f"{self.refresher.why_unanswered()}{kept}"

    async def reasons(self, request: Request, prediction: Prediction, most: int) -> Reasons:
        """For each value or item the largest contributions by its version; [] where the model has none.

        They are computed after the answer, from the state at that time; `flyball why` gives those of the answer itself.
        """
        if prediction.level in FALLBACK_LEVELS:
            return []

        def explained() -> Reasons:
            reasons: Reasons = [[] for _ in prediction.items or prediction.values]
            able = False
            for part, positions in parts_of(prediction):
                added = self._added(request, part)
                able = able or added is not None
                for position, contributions in zip(positions, added or (), strict=False):
                    ordered = sorted(contributions, key=lambda reason: (-abs(reason[1]), reason[0]))
                    reasons[position] = [AnswerReason(name, value) for name, value in ordered[:most]]
            return reasons if able else []

        return await self.aside(explained)

    def _added(self, request: Request, part: Prediction) -> list[list[tuple[str, float]]] | None:
        """What added to each value, or item, of what one version answered; None where it cannot say."""
        pipeline = self.engine.serving.pipelines.get(part.version)
        if pipeline is None:
            return None
        contexts, _ = self.refresher.online_of(part.version).contexts([request])
        try:
            return pipeline.explain(request, contexts[0], response_of(part))
        except Refused:
            return None

    async def lookup(self, lookup: Lookup, fields: Mapping[str, Any]) -> Any:
        """The answer to a query by the best version that supports it; raises `BadInput`, `NotFound`, or `Refused` when
        no version in service does."""
        query, serving = read_query(lookup.query, fields), self.engine.serving
        able = next((version for version, pipeline in serving.pipelines.items() if lookup.able(pipeline)), None)
        if able is None:
            versions = ", ".join(serving.pipelines) or "none"
            raise Refused(
                f"a version that {lookup.capability} must be in service, got {versions}: "
                "release one (flyball versions release)"
            )
        pipeline, online = serving.pipelines[able], self.refresher.online_of(able)
        return await self.aside(lambda: lookup.answer(able, pipeline, online, query))

    async def prediction(self, prediction_id: str) -> Prediction:
        """An earlier answer by its id; raises `BadInput` or `NotFound`."""
        waiting = self._writer.recent(prediction_id) if self._writer is not None else None
        if waiting is not None:
            return waiting
        while True:
            try:
                return await self.aside(lambda: find_prediction(self.runtime.predictions, prediction_id))
            except NotFound:
                # another process may have answered just now and not written it yet
                age_us = self.clock.now_us() - timestamp_of_id(prediction_id)
                if not 0 <= age_us < _WRITTEN_US:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def aside(self, work: Callable[[], _Result]) -> _Result:
        """Run slow `work` in another thread; raises `StoreUnavailable` when it takes too long."""
        if self._aside_waiting >= _ASIDE_WAITING:
            raise StoreUnavailable("too many such requests are waiting: send it again in a moment")
        self._aside_waiting += 1
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._aside, work), _ASIDE_S)
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {_ASIDE_S:g} s: send it again in a moment") from None
        finally:
            self._aside_waiting -= 1
