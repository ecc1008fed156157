"""Runs the fits of a run in parallel processes; a failed fit does not affect the others."""

from collections.abc import Generator, Mapping, Sequence
from types import TracebackType

from flyball.compute import InProcess, Needs, open_compute, run_tasks
from flyball.learning.fit import FitOrder, FitStage, Fitted, fit_challenger, fit_elsewhere, pack
from flyball.learning.job import Job
from flyball.learning.report import failure_text
from flyball.tasks import EvaluationSet

PRELOADED = ("numba", "polars", "scipy.linalg", "flyball.models.kernels.ranking")
"""Modules that nearly every fit needs, imported once by the fork server."""

FitResults = dict[str, Fitted | Exception]
"""{challenger: the result of its fit, or the exception}."""


class FitScheduler:
    """Runs `orders`, the long ones of a stage first, and returns the results of each stage.

    Fits of the next stage begin while the last ones of a stage, or its evaluation, still run. `evaluations`: what the
    challengers of a stage are evaluated on once they are fitted. An application that is not in a file cannot be loaded
    by another process, so its challengers are fitted in this one when their results are needed. Leaving the context
    ends the fits that still run.
    """

    def __init__(self, job: Job, orders: Sequence[FitOrder], evaluations: Mapping[FitStage, EvaluationSet]) -> None:
        stages = list(dict.fromkeys(order.stage for order in orders))
        self._orders = sorted(orders, key=lambda order: (stages.index(order.stage), not order.events))
        self._job, self._evaluations = job, evaluations
        self._results: dict[tuple[FitStage, str], Fitted | Exception] = {}
        self._left_out: set[tuple[FitStage, str]] = set()
        app = job.runtime.app
        self._compute = InProcess() if app.source is None else open_compute(job.runtime.settings.compute, job.workers)
        self._needs = Needs(limit_s=app.gates.max_fit_us / 1e6)
        self._arriving = self._run()

    def __enter__(self) -> "FitScheduler":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._arriving.close()
        self._compute.close()

    def results(self, stage: FitStage, names: Sequence[str]) -> FitResults:
        """The results of the challengers `names` of a stage; others of the stage are not fitted any more."""
        self._left_out |= {(stage, order.name) for order in self._orders if order.stage == stage} - {
            (stage, name) for name in names
        }
        if names:
            processes = min(self._compute.slots(self._needs), len(names))
            self._job.report(stage, f"{len(names)} to fit, {processes} at a time")
        for name in names:
            if (stage, name) in self._results:
                self._report(stage, name)
        while any((stage, name) not in self._results for name in names):
            index, result = next(self._arriving)
            order = self._orders[index]
            self._results[order.stage, order.name] = result
            if order.stage == stage and order.name in names:
                self._report(stage, order.name)
        return {name: self._results[stage, name] for name in names}

    def _run(self) -> Generator[tuple[int, Fitted | Exception]]:
        """Yield (index of the order, its result) as each ends."""
        job = self._job
        if isinstance(self._compute, InProcess):
            here = [
                (job.runtime.app, order, self._evaluations.get(order.stage), job.stopwatch) for order in self._orders
            ]
            yield from run_tasks(self._compute, fit_challenger, here, self._needs, is_needed=self._is_needed)
            return
        packed = {stage: pack(self._evaluations.get(stage)) for stage in {order.stage for order in self._orders}}
        elsewhere = [(job.runtime.source, order, packed[order.stage], job.stopwatch) for order in self._orders]
        yield from run_tasks(self._compute, fit_elsewhere, elsewhere, self._needs, PRELOADED, self._is_needed)

    def _is_needed(self, index: int) -> bool:
        order = self._orders[index]
        return (order.stage, order.name) not in self._left_out

    def _report(self, stage: FitStage, name: str) -> None:
        result = self._results[stage, name]
        if isinstance(result, Exception):
            self._job.report(stage, f"failed: {failure_text(result)}", name)
            return
        note = f"; {result.note}" if result.note else ""
        self._job.report(stage, f"fitted, {result.size / 1e6:,.1f} MB{note}", name, result.seconds)
        if result.note and stage == "refit":
            self._job.notes.append(f"{name}: {result.note}")
