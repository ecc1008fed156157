"""Answers every request of an evaluation set by one challenger, through the pipeline that serves."""

from typing import Protocol

import msgspec
import numpy as np

from flyball.core import BadInput, Stopwatch
from flyball.evaluation.challenger import Challenger
from flyball.evaluation.resampling import Estimate, interval_of
from flyball.stores import MemoryStore
from flyball.tasks import (
    About,
    Answers,
    EvaluationPlan,
    EvaluationSet,
    Online,
    Pipeline,
    Request,
    Response,
    Stores,
    answers_of,
    request_of,
)

_BATCH, _FEATURE_BATCH, _TIMED = 64, 512, 100


class HasPlan(Protocol):
    """The part of a task's offline interface that evaluation needs."""

    def plan(self) -> EvaluationPlan: ...


class EvaluatedTask(Protocol):
    """The part of a task that evaluation needs: its description, evaluation plan and pipelines."""

    @property
    def about(self) -> About: ...

    def offline(self) -> HasPlan: ...

    def online(self, stores: Stores) -> Online: ...


class Answered(msgspec.Struct, frozen=True):
    """The responses of one challenger; sent between processes.

    `latency_us`: the median time of a single response, with a bootstrap interval over responses, which shows how stable
    the measurement was. `failed`: why there are no responses, else "".
    """

    answers: Answers | None = None
    latency_us: Estimate = Estimate(0.0)
    failed: str = ""


class Evaluator:
    """Lets the challengers of one task answer the requests of an evaluation set."""

    def __init__(self, task: EvaluatedTask, evaluation: EvaluationSet, stopwatch: Stopwatch) -> None:
        self._task, self._evaluation, self._stopwatch = task, evaluation, stopwatch
        kind = task.about.request
        self._requests: list[Request] = [
            request_of(kind, f"{row:026d}", at_us, fields)
            for row, (at_us, fields) in enumerate(zip(evaluation.at_us.tolist(), evaluation.fields, strict=True))
        ]

    def answered(self, challenger: Challenger) -> Answered:
        """All responses of the challenger; if it raises, the exception is returned as the reason why it failed."""
        try:
            return self._answered(challenger)
        except Exception as error:  # a model may raise anything; the others continue
            return Answered(failed=challenger.failed or f"{type(error).__name__}: {error}")

    def answers(self, challenger: Challenger) -> Answers:
        """The responses as columns. Exceptions of the model are not caught."""
        return self._ask(challenger)[0]

    def _answered(self, challenger: Challenger) -> Answered:
        answers, pipeline, first = self._ask(challenger)
        return Answered(answers, self._latency(pipeline, first))

    def _ask(self, challenger: Challenger) -> tuple[Answers, Pipeline, int]:
        """(answers, the last pipeline, the first request it answered)."""
        responses: list[Response] = []
        parts = self._evaluation.catalogs or [(0, {})]
        size = _BATCH if challenger.features is None else _FEATURE_BATCH
        ends = [first for first, _ in parts[1:]] + [len(self._requests)]
        further = None
        for (first, catalogs), end in zip(parts, ends, strict=True):
            pipeline = self._pipeline(challenger, catalogs)
            for start in range(first, end, size):
                rows = slice(start, min(start + size, end))
                responses += pipeline.answer(self._requests[rows], self._evaluation.contexts[rows])
            if further is None:
                compute = self._task.offline().plan().further
                further = {} if compute is None else compute(pipeline, self._evaluation)
        return answers_of(responses, further), pipeline, parts[-1][0]

    def _pipeline(self, challenger: Challenger, catalogs: dict[str, object]) -> Pipeline:
        if challenger.failed or challenger.model is None or challenger.artifact is None:
            raise BadInput(f"challenger {challenger.name!r}", "fitted", challenger.failed or "no artifact")
        start_us = self._evaluation.window_us[0]
        if challenger.as_of_us >= start_us and not challenger.saw_test_window:
            must = f"known before the test window, which starts at {start_us} us"
            raise BadInput(f"training data of {challenger.name!r}", must, challenger.as_of_us)
        stores = Stores(MemoryStore(), challenger.features, catalogs)
        arrangement = {**self._task.about.arrangement, **self._task.about.not_evaluated}
        return self._task.online(stores).open(challenger.model, challenger.artifact, arrangement)

    def _latency(self, pipeline: Pipeline, first: int) -> Estimate:
        """The median time of a single response in microseconds, after compilation and warm-up."""
        rows = range(first, len(self._requests), max(1, (len(self._requests) - first) // _TIMED))
        took = []
        for row in rows:
            request, context = self._requests[row : row + 1], self._evaluation.contexts[row : row + 1]
            start = self._stopwatch.read_s()
            pipeline.answer(request, context)
            took.append(self._stopwatch.read_s() - start)
        times = np.array(took) * 1e6
        drawn = np.random.default_rng(0).integers(0, len(times), (200, len(times)))
        return interval_of(float(np.median(times)), np.median(times[drawn], axis=1), len(times))
