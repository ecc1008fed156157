"""One answer without a running service, recorded like any other."""

import random
from collections.abc import Callable

import msgspec

from flyball.core import Stopwatch, SystemStopwatch
from flyball.outcomes import Prediction, prediction_record
from flyball.runtime import Runtime
from flyball.serving.answering.request import RequestReader
from flyball.serving.metrics import ServingMetrics
from flyball.serving.versions.refresher import Refresher


def answer_once(
    runtime: Runtime,
    key: str,
    k: int | None = None,
    rng: random.Random | None = None,
    stopwatch: Stopwatch | None = None,
    report: Callable[[str], object] = lambda reason: None,
) -> Prediction:
    """The answer to a request of `key` from what serves now; raises `BadInput`. `k`: how many items, of tasks that say.

    `report` is called with each thing that is not as it should be, as `/readyz` names it.
    """
    task, watch = runtime.app.task, stopwatch or SystemStopwatch()
    metrics = ServingMetrics(runtime.counters_folder / "once", "once", watch)  # apart: this is no process that serves
    reader = RequestReader(task.about.request, runtime.clock, rng or random.SystemRandom())
    request = reader.read({reader.key_field: key} | ({} if k is None else {"k": k}))
    refresher = Refresher(runtime, metrics, runtime.clock)
    refresher.step()
    for reason in refresher.reasons():
        report(reason)
    began_s = watch.read_s()
    answer = msgspec.structs.replace(refresher.engine.answer([request])[0], worker="once")
    answer = msgspec.structs.replace(answer, took_us=int((watch.read_s() - began_s) * 1e6))
    runtime.predictions.append([prediction_record(answer)])
    return answer
