"""Answers one request without a running service; the answer is recorded like any other."""

import random
from collections.abc import Callable

import msgspec

from flyball.core import Stopwatch, SystemStopwatch
from flyball.outcomes import Prediction, prediction_record
from flyball.runtime import Runtime
from flyball.serving.answering.request import RequestReader
from flyball.serving.metrics import ServingMetrics
from flyball.serving.review_counts import counts_of
from flyball.serving.versions.refresher import Refresher


def answer_once(
    runtime: Runtime,
    key: str,
    k: int | None = None,
    rng: random.Random | None = None,
    stopwatch: Stopwatch | None = None,
    report: Callable[[str], object] = lambda reason: None,
) -> Prediction:
    """The answer of the present release to a request of `key`; raises `BadInput`. `k`: the number of items, for lists.

    `report` is called with each problem, as listed by `/readyz`.
    """
    task, watch = runtime.app.task, stopwatch or SystemStopwatch()
    metrics = ServingMetrics(
        runtime.counters_folder / "once", "once", watch
    )  # separate, since this is no serving process
    reader = RequestReader(task.about.request, runtime.clock, rng or random.SystemRandom())
    request = reader.read({reader.key_field: key} | ({} if k is None else {"k": k}))
    limit = task.about.daily_limit
    reviews = None if limit is None else counts_of(runtime, limit)
    refresher = Refresher(runtime, metrics, runtime.clock, reviews=reviews)
    refresher.step()
    for reason in refresher.reasons():
        report(reason)
    began_s = watch.read_s()
    answer = msgspec.structs.replace(refresher.engine.answer([request])[0], worker="once")
    answer = msgspec.structs.replace(answer, took_us=int((watch.read_s() - began_s) * 1e6))
    runtime.predictions.append([prediction_record(answer)])
    return answer
