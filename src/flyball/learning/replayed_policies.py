"""What policies of retraining would have done in the past: quality, runs and cost of each, on the same requests.

Policies begin with the same model, trained before the first test window. Before every window each decides, by what was
known then, whether to learn, and from which data; then its model answers the window. So the four stages of continual
learning (manual, scheduled from everything, scheduled from a checkpoint, triggered by evidence) and the choice of the
training window are rows of one table. Source of the stages: Huyen, "Designing Machine Learning Systems", 2022, chapter
9.
"""

from collections.abc import Callable, Generator, Sequence

import msgspec

from flyball.app import App
from flyball.core import BadInput, FileLock, NotFound, Refused, Stopwatch, SystemStopwatch, counted_units
from flyball.evaluation import CHAMPION, Estimate, Report
from flyball.learning.alert_findings import last_drift_us
from flyball.learning.backtest_tasks import BacktestTasks, backtest_tasks
from flyball.learning.freshness_report import FEWEST_EXAMPLES, difference_of, mean_of
from flyball.learning.job import Job
from flyball.learning.look import worsening_of
from flyball.learning.past import SnapshotPast
from flyball.learning.recent_windows import recent_windows
from flyball.learning.retraining_policies import ALL, SCHEDULED, RetrainingPolicy, default_policies
from flyball.learning.run import LEARNING_LOCK
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.learning.split import examples_of
from flyball.registry import Run
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.tasks import ContinuesCandidates, Examples, TakesPeriods, TrainingData


class PolicyResult(msgspec.Struct, frozen=True):
    """One policy. `value`: the mean of the metric over the windows; `gain`: how much better than the first policy;
    `runs`: how often it learned, `continued`: how many of these from a checkpoint; `seconds`: of training; `ratio`: how
    many times as long the first scheduled policy trained that learns from everything, None without one or without
    training; `values`: of each window, None for one that is left out; `models`: {file of the artifact: its SHA-256} of
    what served in each; `learned_us`: when it learned."""

    policy: str
    stage: str
    value: float
    gain: Estimate | None
    runs: int
    continued: int
    seconds: float
    values: list[float | None]
    learned_us: list[int]
    models: list[dict[str, str]] = []
    ratio: float | None = None


class BacktestReport(msgspec.Struct, frozen=True, kw_only=True):
    """All policies on `requests` of `tested` windows, each `span_us` long, the first at `start_us`."""

    app: str
    candidate: str
    metric: str
    seed: int
    tested: int
    requests: int
    start_us: int
    span_us: int
    policies: list[PolicyResult]
    notes: list[str] = []
    seconds: float = 0.0


def backtest(
    runtime: Runtime,
    policies: Sequence[RetrainingPolicy] = (),
    *,
    windows: int = 10,
    span_us: int = 86_400_000_000,
    candidate: str = "",
    since_us: int = 0,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[str], None] = lambda text: None,
    stopwatch: Stopwatch | None = None,
) -> BacktestReport:
    """Replay `policies` (default: one of each stage) over the last `windows` of `span_us`.

    The candidate is that of the champion unless one is named. Fits and measurements run side by side in `workers`
    processes, or where the setting compute says, with the same results as one after another; what needs a task that was
    lost for good is left out, and noted. `since_us`: when the last drift began, for policies that
    learn from then on; by default the findings of monitors say so, each from when it was first seen. Raises `NotFound`
    for a candidate that is not declared, `BadInput` for no windows, `Refused` for too little data, and for training
    windows of a task that cannot leave out old data.
    """
    app, now_us = runtime.app, runtime.clock.now_us()
    if windows < 1 or span_us <= 0:
        raise BadInput("windows", "1 or more, each longer than 0", windows)
    champion = current(runtime.registry).champion
    of_champion = "" if champion is None else runtime.registry.version(champion).candidate
    chosen = candidate or (of_champion if of_champion in app.candidates else next(iter(app.candidates)))
    if chosen not in app.candidates:
        raise NotFound("candidate", chosen, app.candidates)
    run = Run(id="", app=app.name, as_of_us=now_us, started_us=now_us, status="running")
    job = Job(runtime, run, lambda step: None, workers, seed, "backtest", stopwatch or SystemStopwatch())
    with FileLock(runtime.home / LEARNING_LOCK, "learning"):
        catch_up(job)
        snapshot = snapshot_of(job)
    past = past_of(job, snapshot)
    examples, notes = recent_windows(job, past, windows, span_us)
    continues = _continues(app, chosen)
    plan = list(policies) or default_policies(app.choose.metric, span_us, continues, app.train_windows)
    _check(app, plan)
    with backtest_tasks(job, chosen, past) as tasks:
        chains = [_Chain(policy, job, past, tasks, since_us, continues) for policy in plan]
        reports = _replayed(chains, examples, tasks, progress)
        notes += [note for chain in chains for note in chain.notes] + _left_out(reports, tasks)
        return _report(job, chosen, examples, reports, chains, span_us, notes)


def _continues(app: App, candidate: str) -> bool:
    """Whether the candidate can continue from a checkpoint."""
    door = app.task.offline()
    return isinstance(door, ContinuesCandidates) and not door.unable_to_continue(app.candidates[candidate])


def _check(app: App, policies: Sequence[RetrainingPolicy]) -> None:
    """Raise `Refused` for a policy that this task cannot follow."""
    for policy in policies:
        if policy.window != ALL and not isinstance(app.task.offline(), TakesPeriods):
            raise Refused(
                "a task must be able to leave out old data to learn from a window, got "
                f"{type(app.task).__name__}: its offline door needs example_times and since"
            )


class _Chain:
    """A policy on its way through the windows: what it serves, and what that took.

    `served`: (model, when what it learned was known) of each window that was passed.
    """

    def __init__(
        self,
        policy: RetrainingPolicy,
        job: Job,
        past: SnapshotPast,
        tasks: BacktestTasks,
        since_us: int,
        continues: bool,
    ) -> None:
        self.policy, self._job, self._past, self._tasks = policy, job, past, tasks
        self._since_us, self._continues = since_us, continues and policy.continues
        self._door = job.runtime.app.task.offline()
        self._model, self._known_us, self._labels_known, self._own = "", 0, 0, ""
        self.served, self._paid = list[str](), list[str]()
        self.runs, self.continued = 0, 0
        self.learned_us, self.notes = list[int](), dict[str, None]()

    def steps(self, windows: Sequence[Examples]) -> Generator[str]:
        """Decide before each window; yields the name of a measurement that must be there before it goes on."""
        for examples in windows:
            data = examples.train
            if not self._model:
                self._serve(self._tasks.fit(data), data)
            elif (yield from self._is_due(data)):
                self._learn(data)
            self.served.append(self._model)

    @property
    def seconds(self) -> float:
        """What training took, of fits that others needed, too."""
        return sum(self._tasks.fitted[model].seconds for model in self._paid if model in self._tasks.fitted)

    @property
    def models(self) -> list[dict[str, str]]:
        """The files of what served in each window, by name with their digests."""
        fitted = self._tasks.fitted
        return [fitted[model].files if model in fitted else {} for model in self.served]

    def _is_due(self, data: TrainingData) -> Generator[str, None, bool]:
        policy, known_us = self.policy, data.as_of_us
        if policy.period_us:
            return known_us - self._known_us >= policy.period_us
        if policy.labels:
            return self._labels(data) - self._labels_known >= policy.labels
        trigger = policy.performance
        if trigger is None:
            return False
        live = self._examples(known_us, (self._known_us + 1, known_us + 1)) if self._own else ""
        if isinstance(live, str):
            return False
        name = f"{self._model} live at {known_us}"
        yield self._tasks.measure(name, live.evaluation, {CHAMPION: self._model})
        yield self._own
        own = self._tasks.measured[self._own]
        own_value = own.estimate(trigger.metric, CHAMPION)
        worsening = worsening_of(trigger, self._tasks.measured[name], own_value, own.units)
        if worsening is None or worsening.low is None or worsening.low <= 0:
            return False
        return worsening.worse >= (abs(worsening.own) if trigger.relative else 1.0) * trigger.worse_by

    def _learn(self, data: TrainingData) -> None:
        if self._continues:
            self.continued += 1
            model = self._tasks.fit(data, start=self._model)
        else:
            if self.policy.continues:
                words = f"{self._tasks.candidate} cannot continue here: it learned from everything"
                self.notes[f"{self.policy.text}: {words}"] = None
            model = self._fitted(data)
        self.runs += 1
        self.learned_us.append(data.as_of_us)
        self._paid.append(model)
        self._serve(model, data)

    def _fitted(self, data: TrainingData) -> str:
        """The model of this policy's training window."""
        from_us = self._from_us(data)
        if from_us and isinstance(self._door, TakesPeriods):
            return self._tasks.fit(self._door.since(data, from_us), from_us)
        return self._tasks.fit(data)

    def _serve(self, model: str, data: TrainingData) -> None:
        self._model, self._known_us, self._labels_known = model, data.as_of_us, self._labels(data)
        if self.policy.performance is not None:
            self._measure_own()

    def _measure_own(self) -> None:
        """What `learn` would have measured then: the same model, trained and tested on what was known."""
        split, self._own = self._examples(self._known_us, None), ""
        if not isinstance(split, str):
            model = self._tasks.fit(split.train)
            name = f"{model} on its own at {self._known_us}"
            self._own = self._tasks.measure(name, split.evaluation, {CHAMPION: model})
            if self.runs:
                self._paid.append(model)

    def _from_us(self, data: TrainingData) -> int:
        """Where the training window of a policy begins, 0 for all data."""
        policy = self.policy
        if policy.window == ALL or not isinstance(self._door, TakesPeriods):
            return 0
        from_us = data.as_of_us - policy.window_us if policy.window_us else self._drift_us(data.as_of_us)
        count = int((self._door.example_times(data) >= from_us).sum())
        if from_us and count < FEWEST_EXAMPLES:
            self.notes[f"{policy.text}: all data where the window held fewer than {FEWEST_EXAMPLES} examples"] = None
            return 0
        if not from_us:
            self.notes[f"{policy.text}: all data where no drift was known"] = None
        return from_us

    def _drift_us(self, known_us: int) -> int:
        """When the last drift began that was known at `known_us`, 0 without one."""
        if self._since_us:
            return self._since_us if self._since_us <= known_us else 0
        return last_drift_us(self._job.runtime.registry, known_us)

    def _examples(self, known_us: int, window_us: tuple[int, int] | None) -> Examples | str:
        """By what was known at `known_us`."""
        return examples_of(self._job, self._past.before(known_us + 1), self._door, window_us)

    def _labels(self, data: TrainingData) -> int:
        return len(self._door.example_times(data)) if isinstance(self._door, TakesPeriods) else 0


def _replayed(
    chains: Sequence[_Chain], windows: Sequence[Examples], tasks: BacktestTasks, progress: Callable[[str], None]
) -> list[Report | None]:
    """The report of each window, None for one that is left out since a task was lost for good."""
    running = {chain.policy.text: chain.steps(windows) for chain in chains}
    waits = dict[str, str]()  # {policy: the measurement that it waits for}
    names = [f"window {number}" for number in range(1, len(windows) + 1)]

    def advance(policy: str) -> None:
        for name in running[policy]:
            if name not in tasks.measured:
                waits[policy] = name
                return
        waits.pop(policy, None)

    def measure_passed() -> None:
        for number, (name, examples) in enumerate(zip(names, windows, strict=True)):
            if all(len(chain.served) > number for chain in chains):
                served = {chain.policy.text: chain.served[number] for chain in chains}
                tasks.measure(name, examples.evaluation, served)

    for policy in running:
        advance(policy)
    measure_passed()
    for ended in tasks.run():
        for policy in [policy for policy, name in waits.items() if name == ended and name in tasks.measured]:
            advance(policy)
        measure_passed()
        tested = sum(name in tasks.measured for name in names)
        progress(
            f"{tested} of {counted_units(len(windows), 'test window')} measured, {len(tasks.fitted)} models fitted"
        )
    return [tasks.measured.get(name) for name in names]


def _left_out(reports: Sequence[Report | None], tasks: BacktestTasks) -> list[str]:
    """Why windows are left out; raises what lost them if all are."""
    if not tasks.lost:
        return []
    error = next(iter(tasks.lost.values()))
    if not any(reports):
        raise error
    numbers = [str(number) for number, report in enumerate(reports, 1) if report is None]
    return [f"left out of the test windows, for a task that was lost: {', '.join(numbers)}; {error}"]


def _report(
    job: Job,
    candidate: str,
    windows: Sequence[Examples],
    by_window: Sequence[Report | None],
    chains: Sequence[_Chain],
    span_us: int,
    notes: list[str],
) -> BacktestReport:
    reports = [report for report in by_window if report is not None]
    scheduled = next((chain for chain in chains if chain.policy.stage == SCHEDULED), None)
    metric = job.runtime.app.choose.metric
    return BacktestReport(
        app=job.runtime.app.name,
        candidate=candidate,
        metric=metric,
        seed=job.seed,
        tested=len(reports),
        requests=sum(report.requests for report in reports),
        start_us=windows[0].holdout.start_us,
        span_us=span_us,
        policies=[_result(chain, chains, by_window, metric, scheduled) for chain in chains],
        notes=notes,
        seconds=job.seconds,
    )


def _result(
    chain: _Chain,
    chains: Sequence[_Chain],
    by_window: Sequence[Report | None],
    metric: str,
    scheduled: _Chain | None,
) -> PolicyResult:
    policy, first, gain = chain.policy, chains[0].policy.text, None
    reports = [report for report in by_window if report is not None]
    if policy.text != first:
        gain = difference_of(reports, metric, policy.text, first, len(chains) - 1)
    known = [None if report is None else report.estimate(metric, policy.text) for report in by_window]
    return PolicyResult(
        policy.text,
        policy.stage,
        mean_of(reports, metric, policy.text),
        gain,
        chain.runs,
        chain.continued,
        chain.seconds,
        [None if estimate is None else estimate.value for estimate in known],
        chain.learned_us,
        chain.models,
        None if scheduled is None or not chain.seconds else scheduled.seconds / chain.seconds,
    )
