"""Trials of a search that run in other processes, each of which reads the training data by itself."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from flyball.app import App, AppSource
from flyball.compute import Compute, InProcess, Needs, open_compute, run_tasks
from flyball.core import Refused, Stopwatch, work_folder
from flyball.evaluation import Objective, ScoreAll
from flyball.home import SEARCH_PREFIX
from flyball.learning.challengers import needs_past
from flyball.learning.fit import fitted_here, pack
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names, read_features, read_past, write_past
from flyball.learning.scheduler import PRELOADED
from flyball.learning.shared_data import read_data, write_data
from flyball.models import Artifact
from flyball.tasks import EvaluationSet, ServingLag, TakesShares, TrainingData


class TrialOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the trials of a search have in common. `data`: a folder of `write_data`; `events`: of `write_past`, or "".

    `lag`: the delay with which serving saw events; `metric`: by its full name; `seed`: of the fits.
    """

    data: str
    events: str
    lag: ServingLag
    metric: str
    seed: int


class SharedTrials:
    """The files that the trials of a search read, in a folder of the home while it runs."""

    def __init__(self, job: Job, data: TrainingData, evaluation: EvaluationSet, past: SnapshotPast) -> None:
        self._job, self._data, self._evaluation, self._past = job, data, evaluation, past

    @contextmanager
    def opened(self) -> Iterator[ScoreAll[Any] | None]:
        """A function that scores trials side by side; None where they run in this process one after another."""
        job = self._job
        if job.runtime.app.source is None:
            yield None
            return
        with closing(open_compute(job.runtime.settings.compute, job.workers)) as compute:
            if isinstance(compute, InProcess):
                yield None
                return
            with work_folder(job.runtime.home, SEARCH_PREFIX, job.runtime.clock.now_us()) as folder:
                yield self._score_all(compute, self._write(folder))

    def _write(self, folder: Path) -> TrialOrder:
        job, app, events = self._job, self._job.runtime.app, ""
        write_data(folder / "train", self._data)
        if app.task.about.feature_groups or any(needs_past(app.task, model) for model in app.candidates.values()):
            events = str(folder / "events")
            write_past(folder / "events", self._past, event_names(app.task.about))
        return TrialOrder(
            data=str(folder / "train"),
            events=events,
            lag=self._past.lag,
            metric=app.choose.metric,
            seed=job.seed,
        )

    def _score_all(self, compute: Compute, order: TrialOrder) -> ScoreAll[Any]:
        source, stopwatch = self._job.runtime.source, self._job.stopwatch
        evaluation = pack(self._evaluation)
        needs = Needs(limit_s=self._job.runtime.app.gates.max_fit_us / 1e6)

        def score_all(trials: Sequence[tuple[Any, float]]) -> Iterator[tuple[int, float | Exception, float]]:
            calls = [(source, order, pickle.dumps(model), share, evaluation, stopwatch) for model, share in trials]
            for index, result in run_tasks(compute, score_elsewhere, calls, needs, imports=PRELOADED):
                yield (index, result, 0.0) if isinstance(result, Exception) else (index, *result)

        return score_all


def score_elsewhere(
    source: AppSource, order: TrialOrder, model: bytes, share: float, evaluation: bytes, stopwatch: Stopwatch
) -> tuple[float, float]:
    """(score, seconds) of a trial in another process, which loads the application. `evaluation`: made by `pack`."""
    app = source.load()  # first, since unpickling may need its classes
    # safe as in `fit_elsewhere`: both are arguments that the parent process sends
    unpacked, candidate = pickle.loads(evaluation), pickle.loads(model)  # of our own parent process # noqa: S301 # nosec B301
    data = read_data(Path(order.data))
    past = read_past(Path(order.events), unpacked.window_us[0] - 1, order.lag)
    features = read_features(app.task.about, order.events, order.lag)
    trainer = trainer_of(app, data, past, order.seed)
    start = stopwatch.read_s()
    score = Objective(app.task, unpacked, order.metric, trainer, stopwatch, features).score()(candidate, share)
    return score, stopwatch.read_s() - start


def trainer_of(app: App, data: TrainingData, past: SnapshotPast, seed: int) -> Callable[[Any, float], Artifact]:
    """A function that fits a candidate on a share of `data` in this process."""
    offline = app.task.offline()

    def fit(candidate: Any, share: float) -> Artifact:
        part = data
        if share < 1.0:
            if not isinstance(offline, TakesShares):
                raise Refused(
                    f"a share of the data must be one that the task {app.task.about.kind} takes, got {share}: "
                    "leave shares out"
                )
            part = offline.share(data, share, seed)
        return fitted_here(app, candidate, part, past, seed)

    return fit
