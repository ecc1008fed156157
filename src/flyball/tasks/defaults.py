"""Defaults for tasks: what a task need not write when it reads no state and each request is evaluated by itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.events import Event, Offsets, WrittenType
from flyball.models import Artifact
from flyball.tasks.answers import Answers
from flyball.tasks.evaluation import EvaluationSet, Metric, MetricFamily
from flyball.tasks.request import Request
from flyball.tasks.response import Response
from flyball.tasks.task import POPULAR_LEVEL, Pipeline, Stores
from flyball.tasks.unit_weights import Resampled, request_mean


class TaskDefaults(msgspec.Struct, frozen=True):
    """A task whose candidates bring no features and whose versions depend on nothing that is declared."""

    def bind(self, candidates: Mapping[str, Any]) -> tuple[Self, Mapping[str, Any]]:
        """The task and the candidates as they are."""
        return self, candidates

    def restore(
        self,
        declaration: Mapping[str, Any],
        event_types: Sequence[type[Event]] = (),
        written: Sequence[WrittenType] = (),
    ) -> Self:
        """The task as it is declared now."""
        return self


class PipelineDefaults:
    """A pipeline without compiled code."""

    def warm(self, at_us: int) -> None:
        """Nothing to compile."""


class FixedFallback(msgspec.Struct, frozen=True):
    """The same `values` for every request, named by `About.values`."""

    values: tuple[float, ...]
    offsets: Offsets = ()
    ready: bool = True

    def answer(self, request: Request, context: Any | None) -> tuple[str, Response]:
        """The values, at the fallback level "popular"."""
        return POPULAR_LEVEL, Response(values=self.values)


class StatelessOnline(msgspec.Struct, frozen=True):
    """The online door of a task whose responses depend on the request and the version alone.

    `pipeline`: makes the pipeline of a version from its artifact. `fallback_values`: the response without a version.
    """

    stores: Stores
    pipeline: Callable[[Artifact], Pipeline]
    fallback_values: tuple[float, ...]

    def contexts(self, requests: Sequence[Request]) -> tuple[list[None], Offsets]:
        """No context for each request, and the offsets of the state."""
        return [None] * len(requests), self.stores.state.offsets()

    def open(self, candidate: Any, artifact: Artifact, arrangement: Mapping[str, Any]) -> Pipeline:
        """The pipeline of the artifact."""
        return self.pipeline(artifact)

    def fallback(self, best: Pipeline | None) -> FixedFallback:
        """The fixed values."""
        return FixedFallback(self.fallback_values)


class RequestMean(msgspec.Struct, frozen=True):
    """The mean over requests of one value for each: `of(answers, evaluation)` returns them, shape (requests,)."""

    of: Callable[[Answers, EvaluationSet], NDArray[Any]]
    better: Literal["high", "low"] | float = "high"
    centered: bool = False

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | None:
        """See `Metric.prepare`."""
        values = self.of(answers, evaluation)
        return request_mean(values, evaluation.unit_of, len(evaluation.units))


def family_of(metric: Metric) -> MetricFamily:
    """The family of a metric without an argument."""
    return MetricFamily(lambda _: metric)


def evaluation_of(
    at_us: NDArray[np.int64],
    fields: list[dict[str, Any]],
    truth: Any,
    window_us: tuple[int, int] | None = None,
    **others: Any,
) -> EvaluationSet:
    """The evaluation set of requests at `at_us` (ascending), each without context and a unit of its own.

    `fields`: of each request, as plain values. `truth`: what the metrics compare with; it must have `take(rows)`, as a
    NumPy array does. `window_us`: `[start, end)` of the requests; by default from the first to the last of them.
    `others`: further fields of `EvaluationSet`, which replace these defaults.
    """
    count = len(at_us)
    defaults: dict[str, Any] = {
        "contexts": [None] * count,
        "units": [str(row) for row in range(count)],
        "unit_of": np.arange(count, dtype=np.int64),
        "pool": count,
    }
    window_us = window_us or (int(at_us[0]), int(at_us[-1]) + 1)
    return EvaluationSet(window_us=window_us, at_us=at_us, fields=fields, truth=truth, **{**defaults, **others})
