"""Fits of a backtest that are known before it begins, made side by side: those of the first window and of schedules."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from flyball.compute import InProcess, Needs, open_compute, run_tasks
from flyball.core import work_folder
from flyball.home import BACKTEST_PREFIX
from flyball.learning.challengers import needs_past
from flyball.learning.fit import FitOrder, fit_elsewhere, pack
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names, write_past
from flyball.learning.retraining_policies import ALL, RetrainingPolicy
from flyball.learning.scheduler import PRELOADED
from flyball.learning.shared_data import write_data
from flyball.models import Artifact, load_artifact
from flyball.tasks import Examples, TrainingData


def scheduled_data(windows: Sequence[Examples], policies: Iterable[RetrainingPolicy]) -> list[TrainingData]:
    """The data that policies will learn from, all of it, whatever is found meanwhile."""
    first = windows[0].train
    needed = {first.as_of_us: first}
    for policy in policies:
        if not policy.period_us or policy.continues or policy.window != ALL:
            continue
        known_us = first.as_of_us
        for examples in windows[1:]:
            if examples.train.as_of_us - known_us >= policy.period_us:
                known_us = examples.train.as_of_us
                needed[known_us] = examples.train
    return [needed[as_of_us] for as_of_us in sorted(needed)]


def fits_ahead(
    job: Job, candidate: str, past: SnapshotPast, needed: Sequence[TrainingData]
) -> dict[int, tuple[Artifact, float]]:
    """{as_of_us of the data: (what the candidate learned from it, seconds of the fit)}.

    The fits are tasks of the setting compute. Empty where tasks would run in this process one after another. Raises the
    first error of a fit.
    """
    runtime = job.runtime
    if runtime.app.source is None:
        return {}
    with closing(open_compute(runtime.settings.compute, job.workers)) as compute:
        if isinstance(compute, InProcess):
            return {}
        with work_folder(runtime.home, BACKTEST_PREFIX, runtime.clock.now_us()) as folder:
            orders = [_order(job, candidate, past, data, folder) for data in needed]
            calls = [(runtime.source, order, pack(None), job.stopwatch) for order in orders]
            needs, fits = Needs(limit_s=runtime.app.gates.max_fit_us / 1e6), {}
            for index, fitted in run_tasks(compute, fit_elsewhere, calls, needs, imports=PRELOADED):
                if isinstance(fitted, Exception):
                    raise fitted
                artifact = load_artifact(Path(orders[index].folder), fitted.files)
                fits[needed[index].as_of_us] = artifact, fitted.seconds
            return fits


def _order(job: Job, candidate: str, past: SnapshotPast, data: TrainingData, folder: Path) -> FitOrder:
    task, events = job.runtime.app.task, ""
    if needs_past(task, job.runtime.app.candidates[candidate]):
        events = str(folder / "events")
        write_past(folder / "events", past, event_names(task.about))
    write_data(folder / f"data-{data.as_of_us}", data)
    return FitOrder(
        stage="refit",
        name=candidate,
        data=str(folder / f"data-{data.as_of_us}"),
        folder=str(folder / f"fit-{data.as_of_us}"),
        seed=job.seed,
        events=events,
        lag=past.lag,
    )
