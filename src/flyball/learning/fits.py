"""Fit challengers in parallel, and ask them, each failure its own."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import run_parallel
from flyball.learning.challengers import needs_past
from flyball.learning.fit import FitOrder, Fitted, fit_candidate, fit_named, pack
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names, write_past
from flyball.learning.report import Stage
from flyball.tasks import EvaluationSet, Task

PRELOADED = ("numba", "polars", "scipy.linalg", "flyball.models.kernels.ranking")
"""What nearly every fit and answer needs: the process that others are forked off imports it once for all of them."""


class FitTask(msgspec.Struct, frozen=True):
    """A challenger to fit. `recipe`: the folder of an artifact whose model it is, "" for one of the application's."""

    name: str
    model: Any
    folder: Path
    recipe: str = ""
    manifest: dict[str, Any] = {}


class Batch(msgspec.Struct, frozen=True):
    """Tasks to fit on the training data in the folder `data`. `evaluation`: what each is asked once it is fitted."""

    stage: Stage
    data: Path
    tasks: list[FitTask]
    evaluation: EvaluationSet | None = None


class Fits:
    """All fits of a run. Those of the next batch begin while the last of one, or its evaluation, still go on.

    `past`: behind the training data and possibly later, for candidates that need it. An application built in code
    cannot be found by another process, so its challengers are fitted in this one, as they are asked for.
    """

    def __init__(self, job: Job, past: SnapshotPast, batches: Sequence[Batch]) -> None:
        self._job, self._lag, self._task = job, past.lag, job.runtime.app.task
        self._parts = [(batch, task) for batch in batches for task in _longest_first(self._task, batch.tasks)]
        self._results: dict[tuple[Stage, str], Fitted | Exception] = {}
        self._unwanted: set[tuple[Stage, str]] = set()
        self._events = ""
        if any(needs_past(self._task, task.model) for _, task in self._parts):
            self._events = str(job.work / "events")
            write_past(job.work / "events", past, event_names(job.runtime.app.task.about))
        self._arriving = self._run()

    def of(self, stage: Stage, names: Sequence[str]) -> dict[str, Fitted | Exception]:
        """What came out of a batch by name, an exception for one that failed. The batch's other tasks are left out."""
        job, stage_names = self._job, [task.name for batch, task in self._parts if batch.stage == stage]
        self._unwanted |= {(stage, name) for name in stage_names if name not in names}
        processes = 1 if _in_this_process(job) else min(job.workers, len(names))
        if names:
            job.report(stage, f"{len(names)} to fit, {processes} at a time")
        for name in names:
            if (stage, name) in self._results:
                self._report(stage, name)
        while any((stage, name) not in self._results for name in names):
            index, result = next(self._arriving)
            batch, task = self._parts[index]
            self._results[batch.stage, task.name] = result
            if batch.stage == stage and task.name in names:
                self._report(stage, task.name)
        return {name: self._results[stage, name] for name in names}

    def close(self) -> None:
        """End what still runs."""
        self._arriving.close()

    def _report(self, stage: Stage, name: str) -> None:
        result = self._results[stage, name]
        if isinstance(result, Fitted):
            note = f"; {result.note}" if result.note else ""
            self._job.report(stage, f"fitted, {result.size / 1e6:,.1f} MB{note}", name, result.seconds)
            if result.note and stage == "refit":
                self._job.notes.append(f"{name}: {result.note}")
        else:
            self._job.report(stage, f"failed: {words_of(result)}", name)

    def _run(self) -> Generator[tuple[int, Fitted | Exception]]:
        job, orders = self._job, [self._order(batch, task) for batch, task in self._parts]
        if _in_this_process(job):
            here = [
                (job.runtime.app, task.model, order, job.stopwatch)
                for (_, task), order in zip(self._parts, orders, strict=True)
            ]
            yield from run_parallel(fit_candidate, here, 1, is_needed=self._is_needed)
            return
        packed: dict[Stage, bytes] = {}
        for batch, _ in self._parts:
            if batch.stage not in packed:
                packed[batch.stage] = pack(batch.evaluation)
        calls = [
            (
                job.runtime.source,
                task.name,
                task.recipe,
                msgspec.structs.replace(order, evaluation=None),
                packed[batch.stage],
                job.stopwatch,
            )
            for (batch, task), order in zip(self._parts, orders, strict=True)
        ]
        limit_s = job.runtime.app.gates.max_fit_us / 1e6
        yield from run_parallel(fit_named, calls, job.workers, limit_s, PRELOADED, self._is_needed)

    def _order(self, batch: Batch, task: FitTask) -> FitOrder:
        events = self._events if needs_past(self._task, task.model) else ""
        data, folder = str(batch.data), str(task.folder)
        return FitOrder(data, folder, self._job.seed, task.manifest, events, self._lag, batch.evaluation)

    def _is_needed(self, index: int) -> bool:
        batch, task = self._parts[index]
        return (batch.stage, task.name) not in self._unwanted


def _longest_first(task: Task, tasks: Sequence[FitTask]) -> list[FitTask]:
    return sorted(tasks, key=lambda fit_task: not needs_past(task, fit_task.model))


def _in_this_process(job: Job) -> bool:
    return job.workers <= 1 or job.runtime.app.source is None


def words_of(error: Exception) -> str:
    """A failure in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:500]
