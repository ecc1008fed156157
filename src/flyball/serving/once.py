"""One answer without a running service, recorded like any other."""

import random
from collections.abc import Callable

import msgspec

from flyball.core import Stopwatch, SystemStopwatch
from flyball.outcomes import Prediction, prediction_record
from flyball.runtime import Runtime
from flyball.serving.answering.engine import Engine
from flyball.serving.answering.ids import KeyRule
from flyball.serving.answering.request import new_ask
from flyball.serving.metrics import Figures
from flyball.serving.versions.refresher import Keeper
from flyball.tasks import Query, check_query, read_histories


def answer_once(
    runtime: Runtime,
    user: str,
    k: int | None = None,
    rng: random.Random | None = None,
    stopwatch: Stopwatch | None = None,
    tell: Callable[[str], object] = lambda reason: None,
) -> Prediction:
    """A list of `k` items (default: the task's) for `user` from what serves now; raises `BadInput`.

    `tell` is called with each thing that is not as it should be, as `/readyz` names it.
    """
    task, watch = runtime.app.task, stopwatch or SystemStopwatch()
    figures = Figures(runtime.counters_folder / "once", "once", watch)  # apart: this is no process that serves
    engine = Engine(lambda users: read_histories(runtime.state, runtime.signals, users), figures.note)
    key = KeyRule(runtime.schema, task.user.name).key(user)
    ask = new_ask(key, task.k if k is None else k, runtime.clock.now_us(), rng or random.SystemRandom())
    check_query(task, Query(ask.user, ask.k, None, None, [], ask.at_us, ask.seed))
    keeper = Keeper(runtime, engine, figures, runtime.clock)
    keeper.step()
    for reason in keeper.reasons():
        tell(reason)
    began_s = watch.read_s()
    answer = msgspec.structs.replace(engine.answer([ask])[0], worker="once")
    answer = msgspec.structs.replace(answer, took_us=int((watch.read_s() - began_s) * 1e6))
    runtime.predictions.append([prediction_record(answer)])
    return answer
