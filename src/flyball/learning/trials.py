"""Fit contestants in parallel, and ask them, each failure its own."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import run_parallel
from flyball.learning.fitting import FitOrder, Fitted, fit_model, fit_named
from flyball.learning.handover import write_frames
from flyball.learning.job import Job
from flyball.learning.report import Stage
from flyball.models import Ranker, Recommender
from flyball.tasks import Behind, Cases, Frames


class Task(msgspec.Struct, frozen=True):
    """A contestant to fit. `recipe`: the folder of an artifact whose model it is, "" for one of the application's."""

    name: str
    model: Recommender
    folder: Path
    recipe: str = ""
    manifest: dict[str, Any] = {}


def fit_all(
    job: Job,
    stage: Stage,
    data: Path,
    tasks: Sequence[Task],
    events: Frames,
    behind: Behind,
    asked: Cases | None = None,
) -> dict[str, Fitted | Exception]:
    """Fit each task on the interactions in `data`: what came out by name, an exception for one that failed.

    `events`: those behind the interactions and possibly later ones, for models that read features as of the past;
    `behind`: how late serving saw them. `asked`: what each is asked once it is fitted.

    An application built in code cannot be found by another process, so it is fitted in this one.
    """
    processes = 1 if _in_this_process(job) else min(job.workers, len(tasks))
    job.tell(stage, f"{len(tasks)} to fit, {processes} at a time")
    if any(isinstance(task.model, Ranker) for task in tasks):
        write_frames(job.work / "events", events or {})
    orders = [
        FitOrder(
            str(data), str(task.folder), job.seed, task.manifest,
            str(job.work / "events") if isinstance(task.model, Ranker) else "", behind, asked,
        )
        for task in tasks
    ]  # fmt: skip
    results: dict[str, Fitted | Exception] = {}
    for place, result in _run(job, tasks, orders):
        name = tasks[place].name
        results[name] = result
        if isinstance(result, Fitted):
            job.tell(stage, f"fitted, {result.size / 1e6:,.1f} MB", name, result.seconds)
        else:
            job.tell(stage, f"failed: {words_of(result)}", name)
    return {task.name: results[task.name] for task in tasks}


def _run(job: Job, tasks: Sequence[Task], orders: Sequence[FitOrder]) -> Iterator[tuple[int, Fitted | Exception]]:
    if _in_this_process(job):
        here = [(job.runtime.app, task.model, order, job.stopwatch) for task, order in zip(tasks, orders, strict=True)]
        yield from run_parallel(fit_model, here, 1)
        return
    longest_first = sorted(range(len(tasks)), key=lambda place: not isinstance(tasks[place].model, Ranker))
    source = job.runtime.source
    calls = [(source, tasks[place].name, tasks[place].recipe, orders[place], job.stopwatch) for place in longest_first]
    limit_s = job.runtime.app.gates.max_fit_us / 1e6
    for nth, result in run_parallel(fit_named, calls, job.workers, limit_s, ("flyball.models.ready",)):
        yield longest_first[nth], result


def _in_this_process(job: Job) -> bool:
    return job.workers <= 1 or job.runtime.app.source is None


def words_of(error: Exception) -> str:
    """A failure in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]
