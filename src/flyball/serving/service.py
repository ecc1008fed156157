"""One serving process's parts, put together: what HTTP handlers call."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec

from flyball.core import BadInput, Clock, NotFound, Refused, Stopwatch, SystemStopwatch, timestamp_of_id
from flyball.models import knows_similar, predict_pairs, predicts_ratings, similar_items
from flyball.outcomes import Prediction, find_prediction
from flyball.runtime import Runtime
from flyball.serving.answering.engine import Engine
from flyball.serving.answering.ids import IdRule
from flyball.serving.answering.request import RequestReader
from flyball.serving.batching import Scorer
from flyball.serving.event_endpoint import Intake
from flyball.serving.metrics import ServingMetrics
from flyball.serving.prediction_writer import PredictionWriter
from flyball.serving.problems import Problem
from flyball.serving.versions.refresher import Refresher
from flyball.tasks import RecommendPipeline, Request

Result = TypeVar("Result")

_ASIDE_S = 2.0
_ASIDE_WAITING = 64
_WRITTEN_US, _LOOK_AGAIN_S = 300_000, 0.05
"""How long after an answer its record may be missing from the log, and how often to look for it meanwhile."""


class Similar(msgspec.Struct, frozen=True):
    """Items like one item, most alike first, by `version`."""

    item: str
    version: str
    items: list[str]
    scores: list[float]


class Rating(msgspec.Struct, frozen=True):
    """The rating `user` would give `item`, by `version`."""

    user: str
    item: str
    version: str
    rating: float


class Service:
    """Engine, scoring thread, background threads and metrics of one process, over one runtime.

    `worker` names the process in metrics and records. `rng` numbers the answers: different in each process.
    """

    def __init__(
        self,
        runtime: Runtime,
        worker: str,
        rng: random.Random,
        clock: Clock | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        task = runtime.app.task
        self.runtime, self.worker, self.task = runtime, worker, task
        self.clock, self.stopwatch = clock or runtime.clock, stopwatch or SystemStopwatch()
        self.metrics = ServingMetrics(runtime.counters_folder, worker, self.stopwatch)
        self.engine = Engine(lambda requests: self.refresher.contexts(requests), self.metrics.note)
        self.refresher = Refresher(runtime, self.engine, self.metrics, self.clock)
        self.scorer = Scorer(
            self.engine.answer,
            self.engine.from_fallback,
            self.refresher.trip,
            self.metrics,
            self.stopwatch,
            task.about.deadline_us / 1e6,
        )
        self._writer: PredictionWriter | None = None
        self.intake = Intake(runtime, self.metrics, self.clock)
        self.requests = RequestReader(task.about.request, self.clock, rng)
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._aside_waiting = 0

    @property
    def users(self) -> IdRule:
        """What ids of users must be, for a task that has some."""
        return self.requests.rule("user")

    @property
    def items(self) -> IdRule:
        """What ids of items must be, for a task that has some."""
        return self.requests.rule("without")

    async def start(self) -> None:
        """Start the threads; answers are possible at once, from memory until stores and versions are there."""
        loop = asyncio.get_running_loop()
        self._writer = PredictionWriter(lambda: self.runtime.predictions, self.metrics, self.worker)
        self._writer.start()
        self.refresher.start()
        self.scorer.start(loop)
        self.intake.start(loop)

    async def stop(self) -> None:
        """Stop the threads; what was answered is written first."""
        self.refresher.stop()
        self.scorer.stop()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.intake.stop)
        if self._writer is not None:
            await loop.run_in_executor(None, self._writer.stop)
        self._aside.shutdown(wait=False, cancel_futures=True)

    async def plain(self, key: str) -> Prediction:
        """The answer to a request with nothing but its key; raises `BadInput` for a malformed one."""
        return await self.answer(self.requests.plain(key))

    async def answer(self, request: Request) -> Prediction:
        """The answer, in time; recorded and counted."""
        began_s = self.stopwatch.read_s()
        prediction = await self.scorer.answer(request)
        took_s = self.stopwatch.read_s() - began_s
        self.metrics.answered(prediction.level, took_s)
        if self._writer is not None:
            self._writer.put(prediction, int(took_s * 1e6))
        return prediction

    async def similar(self, item: str, k: int) -> Similar:
        """The `k` items most like `item`; raises `BadInput`, `NotFound`, or `Refused` when no version can tell."""
        key = str(self.items.value(item))
        if not 1 <= k <= 1_000:
            raise BadInput("k", "from 1 to 1000", k)
        version, pipeline = self._able(lambda one: knows_similar(one.model), "lists similar items")
        return await self.aside(partial(_similar, version, pipeline, key, k))

    async def rating(self, user: str, item: str) -> Rating:
        """The predicted rating; raises `BadInput`, `NotFound`, or `Refused` when no version predicts ratings."""
        item, request = str(self.items.value(item)), self.requests.plain(user)
        version, pipeline = self._able(lambda one: predicts_ratings(one.model), "predicts ratings")
        return await self.aside(partial(self._rating, version, pipeline, request, item))

    async def prediction(self, prediction_id: str) -> Prediction:
        """An earlier answer by its id; raises `BadInput` or `NotFound`."""
        waiting = self._writer.recent(prediction_id) if self._writer is not None else None
        if waiting is not None:
            return waiting
        while True:
            try:
                return await self.aside(lambda: find_prediction(self.runtime.predictions, prediction_id))
            except NotFound:
                # another process may have given it a moment ago and not written it yet
                age_us = self.clock.now_us() - timestamp_of_id(prediction_id)
                if not 0 <= age_us < _WRITTEN_US:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do what may take a while in a thread of its own; raises `Problem` when it takes too long."""
        if self._aside_waiting >= _ASIDE_WAITING:
            raise Problem(503, "too many such requests are waiting", {"retry-after": "1"})
        self._aside_waiting += 1
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._aside, work), _ASIDE_S)
        except TimeoutError:
            raise Problem(503, f"no answer within {_ASIDE_S:g} s", {"retry-after": "1"}) from None
        finally:
            self._aside_waiting -= 1

    def _able(self, can: Callable[[RecommendPipeline], bool], what: str) -> tuple[str, RecommendPipeline]:
        """The best version in service that can do it."""
        pipelines = self.engine.serving.pipelines
        for version, pipeline in pipelines.items():
            if isinstance(pipeline, RecommendPipeline) and can(pipeline):
                return version, pipeline
        raise Refused(f"a version that {what} must be in service, got {', '.join(pipelines) or 'none'}")

    def _rating(self, version: str, pipeline: RecommendPipeline, request: Request, item: str) -> Rating:
        import numpy as np

        place = _place(pipeline, item)
        batch = pipeline.histories([request], self.refresher.contexts([request])[0])
        rated = predict_pairs(
            pipeline.model, pipeline.artifact.arrays, batch, np.zeros(1, np.int64), np.array([place], np.int32)
        )
        return Rating(request.key, item, version, float(rated[0]))


def _similar(version: str, pipeline: RecommendPipeline, item: str, k: int) -> Similar:
    import numpy as np

    scores = similar_items(pipeline.model, pipeline.artifact.arrays, _place(pipeline, item))
    order = np.lexsort((np.arange(len(scores)), -scores))[: k + 1]
    kept = [place for place in order.tolist() if np.isfinite(scores[place])][:k]
    items = pipeline.artifact.items
    return Similar(item, version, [items[place] for place in kept], [float(scores[place]) for place in kept])


def _place(pipeline: RecommendPipeline, item: str) -> int:
    place = pipeline.artifact.index.get(item)
    if place is None:
        raise NotFound("item in the version", item)
    return place
