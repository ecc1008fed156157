"""The fits and measurements of a backtest: tasks of the setting compute, each run once what it needs is there.

A model that continues from another needs that one, and a measurement needs the models that it compares. Everything is
passed by orders and files, in this process as in others, so results are the same bits wherever they were made.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from flyball.app import App, AppSource
from flyball.compute import Compute, InProcess, TaskLost, open_compute, run_tasks
from flyball.core import Stopwatch, work_folder
from flyball.evaluation import Challenger, Report, evaluate
from flyball.home import BACKTEST_PREFIX
from flyball.learning.challengers import needs_past
from flyball.learning.fit import FitOrder, FitStart, Fitted, fit_challenger, pack
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names, read_features, write_past
from flyball.learning.scheduler import PRELOADED
from flyball.learning.shared_data import write_data
from flyball.learning.split import metrics_of
from flyball.models import load_artifact
from flyball.tasks import EvaluationSet, ReadFeatures, ServingLag, TrainingData


class MeasureOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Models of `candidate` to measure on the same requests. `models`: {name: its artifact}; `events`, `lag`: as of a
    `FitOrder`."""

    candidate: str
    models: dict[str, FitStart]
    seed: int
    events: str
    lag: ServingLag


class _Planned(msgspec.Struct, frozen=True):
    """A task with the models that it needs. `order`: made from them when they are there; `evaluation`: see `pack`."""

    needs: frozenset[str]
    order: Callable[[Mapping[str, FitStart]], FitOrder | MeasureOrder]
    evaluation: EvaluationSet | None = None


class BacktestTasks:
    """What a backtest fits and measures, by names: the same name is the same task, and is run once.

    `data_of`: the training data of a fit. Results are read by `run`, while which further tasks may be added.
    """

    def __init__(self, job: Job, candidate: str, past: SnapshotPast, compute: Compute, folder: Path) -> None:
        self._job, self.candidate, self._past, self._compute, self._folder = job, candidate, past, compute, folder
        self._is_here = isinstance(compute, InProcess)
        self._model, self._events = job.runtime.app.candidates[candidate], ""
        about = job.runtime.app.task.about
        if about.feature_groups or needs_past(job.runtime.app.task, self._model):
            self._events = str(folder / "events")
            write_past(folder / "events", past, event_names(about))
        self._planned, self._measures = dict[str, _Planned](), set[str]()
        self._models = dict[tuple[str, int, int], str]()
        self._known_us = dict[str, int]()
        self._calls, self._names = list[tuple[Any, ...]](), list[str]()
        self._features: ReadFeatures | None = None
        self.fitted = dict[str, Fitted]()
        self.measured = dict[str, Report]()
        self.lost = dict[str, TaskLost]()

    def fit(self, data: TrainingData, since_us: int = 0, start: str = "") -> str:
        """Fit the candidate on `data`, or continue with them from the model `start`; returns the name of the model.

        `since_us`: where the data begin, 0 for all.
        """
        key = start, data.as_of_us, since_us
        if key in self._models:
            return self._models[key]
        name = self._models[key] = f"model-{len(self._models) + 1}"
        self._known_us[name] = data.as_of_us
        folder = self._folder / f"data-{data.as_of_us}-since-{since_us}"
        if not folder.exists():
            write_data(folder, data)

        def order(models: Mapping[str, FitStart]) -> FitOrder:
            return FitOrder(
                stage="refit",
                name=self.candidate,
                data=str(folder),
                folder=str(self._folder / name),
                seed=self._job.seed,
                events=self._events if needs_past(self._job.runtime.app.task, self._model) else "",
                lag=self._past.lag,
                start=models[start] if start else None,
            )

        self._planned[name] = _Planned(frozenset({start} if start else ()), order)
        self._start_ready()
        return name

    def measure(self, name: str, evaluation: EvaluationSet, models: Mapping[str, str]) -> str:
        """Measure `models`, {name in the report: name of the model}, on the same requests; returns `name`."""
        if name in self._measures:
            return name
        self._measures.add(name)

        def order(known: Mapping[str, FitStart]) -> MeasureOrder:
            return MeasureOrder(
                candidate=self.candidate,
                models={shown: known[model] for shown, model in models.items()},
                seed=self._job.seed,
                events=self._events,
                lag=self._past.lag,
            )

        self._planned[name] = _Planned(frozenset(models.values()), order, evaluation)
        self._start_ready()
        return name

    def run(self) -> Iterator[str]:
        """Run all tasks; yield the name of each that has ended or was lost. Raises the first error of a fit.

        They have no limit of time: what is reported must not depend on how busy a machine is.
        """
        work: Callable[..., Fitted | Report] = self._step_here if self._is_here else step_elsewhere
        with closing(run_tasks(self._compute, work, self._calls, imports=PRELOADED)) as outcomes:
            for index, outcome in outcomes:
                name = self._names[index]
                if isinstance(outcome, TaskLost):
                    yield from self._lose(name, outcome)
                elif isinstance(outcome, Exception):
                    raise outcome
                elif isinstance(outcome, Report):
                    self.measured[name] = outcome
                else:
                    self.fitted[name] = outcome
                self._calls[index] = ()  # the requests of a measurement are large
                self._start_ready()
                yield name

    def _start_ready(self) -> None:
        ready = [name for name, planned in self._planned.items() if planned.needs <= self.fitted.keys()]
        for name in ready:
            planned = self._planned.pop(name)
            order = planned.order({needed: self._artifact(needed) for needed in planned.needs})
            self._names.append(name)
            self._calls.append(self._call(order, planned.evaluation))

    def _lose(self, name: str, error: TaskLost) -> Iterator[str]:
        """Leave out what needs a task that was lost; yield the names."""
        self.lost[name] = error
        for needing in [other for other, planned in self._planned.items() if name in planned.needs]:
            if self._planned.pop(needing, None) is not None:  # unless it needs another one that was lost with this
                yield from self._lose(needing, error)
                yield needing

    def _artifact(self, name: str) -> FitStart:
        return FitStart(str(self._folder / name), self.fitted[name].files, self._known_us[name])

    def _call(self, order: FitOrder | MeasureOrder, evaluation: EvaluationSet | None) -> tuple[Any, ...]:
        if self._is_here:
            return order, evaluation
        return self._job.runtime.source, order, pack(evaluation), self._job.stopwatch

    def _step_here(self, order: FitOrder | MeasureOrder, evaluation: EvaluationSet) -> Fitted | Report:
        app, stopwatch = self._job.runtime.app, self._job.stopwatch
        if isinstance(order, FitOrder):
            return fit_challenger(app, order, None, stopwatch)
        if self._features is None:
            self._features = read_features(app.task.about, order.events, order.lag)
        return _measured(app, order, evaluation, self._features, stopwatch)


@contextmanager
def backtest_tasks(job: Job, candidate: str, past: SnapshotPast) -> Iterator[BacktestTasks]:
    """The tasks of one backtest, with a folder of the home and the setting compute while it runs.

    An application that is not in a file cannot be loaded by another process, so its tasks run in this one.
    """
    runtime = job.runtime
    compute = InProcess() if runtime.app.source is None else open_compute(runtime.settings.compute, job.workers)
    with closing(compute), work_folder(runtime.home, BACKTEST_PREFIX, runtime.clock.now_us()) as folder:
        yield BacktestTasks(job, candidate, past, compute, folder)


def step_elsewhere(
    source: AppSource, order: FitOrder | MeasureOrder, evaluation: bytes, stopwatch: Stopwatch
) -> Fitted | Report:
    """A task in another process, which loads the application. `evaluation`: made by `pack`."""
    app = source.load()  # first, since unpickling may need its classes
    if isinstance(order, FitOrder):
        return fit_challenger(app, order, None, stopwatch)
    # safe as in `fit_elsewhere`: an argument that the parent process sends
    unpacked = pickle.loads(evaluation)  # of our own parent process # noqa: S301 # nosec B301
    return _measured(app, order, unpacked, read_features(app.task.about, order.events, order.lag), stopwatch)


def _measured(
    app: App, order: MeasureOrder, evaluation: EvaluationSet, features: ReadFeatures | None, stopwatch: Stopwatch
) -> Report:
    challengers = [
        Challenger(
            name,
            model=app.candidates[order.candidate],
            artifact=load_artifact(Path(model.folder), model.files),
            as_of_us=model.as_of_us,
            features=features,
        )
        for name, model in order.models.items()
    ]
    metrics = metrics_of(app)
    return evaluate(app.task, challengers, evaluation, metrics=metrics, seed=order.seed, stopwatch=stopwatch)
