"""What policies of retraining would have done in the past: quality, runs and cost of each, on the same requests.

Policies begin with the same model, trained before the first test window. Before every window each decides, by what was
known then, whether to learn, and from which data; then its model answers the window. So the four stages of continual
learning (manual, scheduled from everything, scheduled from a checkpoint, triggered by evidence) and the choice of the
training window are rows of one table. Source of the stages: Huyen, "Designing Machine Learning Systems", 2022, chapter
9.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from flyball.core import BadInput, FileLock, NotFound, Refused, Stopwatch, SystemStopwatch
from flyball.evaluation import CHAMPION, Challenger, Estimate, Report, evaluate
from flyball.learning.alert_findings import last_drift_us
from flyball.learning.evaluate import features_of
from flyball.learning.fit import artifact_of, fitted_here
from flyball.learning.fits_ahead import fits_ahead, scheduled_data
from flyball.learning.freshness_report import FEWEST_EXAMPLES, difference_of, mean_of
from flyball.learning.job import Job
from flyball.learning.look import worsening_of
from flyball.learning.past import SnapshotPast
from flyball.learning.recent_windows import recent_windows
from flyball.learning.retraining_policies import ALL, SCHEDULED, RetrainingPolicy, default_policies
from flyball.learning.run import LEARNING_LOCK
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.learning.split import examples_of, metrics_of
from flyball.models import Artifact
from flyball.registry import Run
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.tasks import ContinuesCandidates, Examples, TakesPeriods, TrainingData


class PolicyResult(msgspec.Struct, frozen=True):
    """One policy. `value`: the mean of the metric over the windows; `gain`: how much better than the first policy;
    `runs`: how often it learned, `continued`: how many of these from a checkpoint; `seconds`: of training; `ratio`: how
    many times as long the first scheduled policy trained that learns from everything, None without one or without
    training; `values`: of each window; `learned_us`: when it learned."""

    policy: str
    stage: str
    value: float
    gain: Estimate | None
    runs: int
    continued: int
    seconds: float
    values: list[float | None]
    learned_us: list[int]
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

    The candidate is that of the champion unless one is named. Fits that are known beforehand run side by side in
    `workers` processes, or where the setting compute says. `since_us`: when the last drift began, for policies that
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
    replay = _Replay(job, past_of(job, snapshot), chosen, since_us, progress)
    examples, notes = recent_windows(job, replay.past, windows, span_us)
    plan = list(policies) or default_policies(app.choose.metric, span_us, replay.continues, app.train_windows)
    replay.check(plan)
    return replay.report(examples, plan, span_us, notes)


class _Serving(msgspec.Struct):
    """What a policy serves at a time, and what it took so far."""

    artifact: Artifact
    known_us: int
    labels: int
    runs: int = 0
    continued: int = 0
    seconds: float = 0.0
    own: Estimate | None = None
    own_units: int = 0
    learned_us: list[int] = []


class _Replay:
    """The past of one candidate, replayed. Fits on the same data are shared; each policy that needs one pays for it."""

    def __init__(
        self, job: Job, past: SnapshotPast, candidate: str, since_us: int, progress: Callable[[str], None]
    ) -> None:
        self.past, self._job, self._candidate, self._since_us = past, job, candidate, since_us
        self._progress, self._notes = progress, dict[str, None]()
        self._door, self._model = job.runtime.app.task.offline(), job.runtime.app.candidates[candidate]
        self._features = features_of(job, past)
        self._metric = job.runtime.app.choose.metric
        self._fits: dict[tuple[int, int], tuple[Artifact, float]] = {}

    @property
    def continues(self) -> bool:
        """Whether the candidate can continue from a checkpoint."""
        return isinstance(self._door, ContinuesCandidates) and not self._door.unable_to_continue(self._model)

    def check(self, policies: Sequence[RetrainingPolicy]) -> None:
        """Raise `Refused` for a policy that this task cannot follow."""
        for policy in policies:
            if policy.window != ALL and not isinstance(self._door, TakesPeriods):
                raise Refused(
                    "a task must be able to leave out old data to learn from a window, got "
                    f"{type(self._job.runtime.app.task).__name__}: its offline door needs example_times and since"
                )

    def report(
        self, windows: Sequence[Examples], policies: Sequence[RetrainingPolicy], span_us: int, notes: list[str]
    ) -> BacktestReport:
        serving, reports = dict[str, _Serving](), list[Report]()
        ahead = fits_ahead(self._job, self._candidate, self.past, scheduled_data(windows, policies))
        self._fits |= {(as_of_us, 0): fit for as_of_us, fit in ahead.items()}
        for number, examples in enumerate(windows):
            self._progress(f"test window {number + 1} of {len(windows)}")
            for policy in policies:
                if policy.text not in serving:
                    serving[policy.text] = self._first(policy, examples)
                elif self._is_due(policy, serving[policy.text], examples):
                    self._learn(policy, serving[policy.text], examples)
            reports.append(self._evaluated(examples, {p.text: serving[p.text] for p in policies}))
        scheduled = next((serving[policy.text] for policy in policies if policy.stage == SCHEDULED), None)
        return BacktestReport(
            app=self._job.runtime.app.name,
            candidate=self._candidate,
            metric=self._metric,
            seed=self._job.seed,
            tested=len(windows),
            requests=sum(report.requests for report in reports),
            start_us=windows[0].holdout.start_us,
            span_us=span_us,
            policies=[self._result(policy, policies, serving, reports, scheduled) for policy in policies],
            notes=[*notes, *self._notes],
            seconds=self._job.seconds,
        )

    def _result(
        self,
        policy: RetrainingPolicy,
        policies: Sequence[RetrainingPolicy],
        serving: Mapping[str, _Serving],
        reports: Sequence[Report],
        scheduled: _Serving | None,
    ) -> PolicyResult:
        state = serving[policy.text]
        known = [report.estimate(self._metric, policy.text) for report in reports]
        first, gain = policies[0].text, None
        if policy.text != first:
            gain = difference_of(reports, self._metric, policy.text, first, len(policies) - 1)
        return PolicyResult(
            policy.text,
            policy.stage,
            mean_of(reports, self._metric, policy.text),
            gain,
            state.runs,
            state.continued,
            state.seconds,
            [None if estimate is None else estimate.value for estimate in known],
            state.learned_us,
            None if scheduled is None or not state.seconds else scheduled.seconds / state.seconds,
        )

    def _first(self, policy: RetrainingPolicy, examples: Examples) -> _Serving:
        artifact, _ = self._fitted(examples.train)
        state = _Serving(artifact, examples.train.as_of_us, self._labels(examples.train), learned_us=[])
        self._measure_own(policy, state, examples)
        return state

    def _is_due(self, policy: RetrainingPolicy, state: _Serving, examples: Examples) -> bool:
        known_us = examples.train.as_of_us
        if policy.period_us:
            return known_us - state.known_us >= policy.period_us
        if policy.labels:
            return self._labels(examples.train) - state.labels >= policy.labels
        if policy.performance is None:
            return False
        live = self._examples(known_us, (state.known_us + 1, known_us + 1))
        if isinstance(live, str):
            return False
        report = self._evaluated(live, {CHAMPION: state})
        worsening = worsening_of(policy.performance, report, state.own, state.own_units)
        if worsening is None or worsening.low is None or worsening.low <= 0:
            return False
        trigger = policy.performance
        return worsening.worse >= (abs(worsening.own) if trigger.relative else 1.0) * trigger.worse_by

    def _learn(self, policy: RetrainingPolicy, state: _Serving, examples: Examples) -> None:
        data, artifact = examples.train, None
        if policy.continues:
            artifact, seconds = self._continued(state, data)
            state.continued += artifact is not None
            if artifact is None:
                self._notes[f"{policy.text}: {self._candidate} cannot continue here: it learned from everything"] = None
        if artifact is None:
            artifact, seconds = self._fitted(data, self._from_us(policy, data))
        state.artifact, state.known_us, state.labels = artifact, data.as_of_us, self._labels(data)
        state.runs, state.seconds = state.runs + 1, state.seconds + seconds
        state.learned_us.append(data.as_of_us)
        self._measure_own(policy, state, examples)

    def _measure_own(self, policy: RetrainingPolicy, state: _Serving, examples: Examples) -> None:
        """What `learn` would have measured then: the same model, trained and tested on what was known."""
        if policy.performance is None:
            return
        split = self._examples(examples.train.as_of_us, None)
        state.own, state.own_units = None, 0
        if not isinstance(split, str):
            artifact, seconds = self._fitted(split.train)
            trial = _Serving(artifact, split.train.as_of_us, 0)
            report = self._evaluated(split, {CHAMPION: trial})
            state.own, state.own_units = report.estimate(policy.performance.metric, CHAMPION), report.units
            state.seconds += seconds if state.runs else 0.0

    def _from_us(self, policy: RetrainingPolicy, data: TrainingData) -> int:
        """Where the training window of a policy begins, 0 for all data."""
        if policy.window == ALL or not isinstance(self._door, TakesPeriods):
            return 0
        from_us = data.as_of_us - policy.window_us if policy.window_us else self._drift_us(data.as_of_us)
        count = int((self._door.example_times(data) >= from_us).sum())
        if from_us and count < FEWEST_EXAMPLES:
            self._notes[f"{policy.text}: all data where the window held fewer than {FEWEST_EXAMPLES} examples"] = None
            return 0
        if not from_us:
            self._notes[f"{policy.text}: all data where no drift was known"] = None
        return from_us

    def _drift_us(self, known_us: int) -> int:
        """When the last drift began that was known at `known_us`, 0 without one."""
        if self._since_us:
            return self._since_us if self._since_us <= known_us else 0
        return last_drift_us(self._job.runtime.registry, known_us)

    def _fitted(self, data: TrainingData, from_us: int = 0) -> tuple[Artifact, float]:
        """The candidate fitted on the examples from `from_us` on, and what that took."""
        key = data.as_of_us, from_us
        if key not in self._fits:
            past = self.past.before(data.as_of_us + 1)
            if from_us and isinstance(self._door, TakesPeriods):
                data = self._door.since(data, from_us)
            before_s = self._job.stopwatch.read_s()
            artifact = fitted_here(self._job.runtime.app, self._model, data, past, self._job.seed)
            self._fits[key] = artifact, self._job.stopwatch.read_s() - before_s
        return self._fits[key]

    def _continued(self, state: _Serving, data: TrainingData) -> tuple[Artifact | None, float]:
        if not self.continues or not isinstance(self._door, ContinuesCandidates):
            return None, 0.0
        before_s = self._job.stopwatch.read_s()
        trained = self._door.continued(self._model, state.artifact, state.known_us, data, self._job.seed)
        seconds = self._job.stopwatch.read_s() - before_s
        return artifact_of(trained), seconds

    def _examples(self, known_us: int, window_us: tuple[int, int] | None) -> Examples | str:
        """By what was known at `known_us`."""
        door = self._job.runtime.app.task.offline()
        return examples_of(self._job, self.past.before(known_us + 1), door, window_us)

    def _labels(self, data: TrainingData) -> int:
        return len(self._door.example_times(data)) if isinstance(self._door, TakesPeriods) else 0

    def _evaluated(self, examples: Examples, states: dict[str, _Serving]) -> Report:
        app = self._job.runtime.app
        challengers = [
            Challenger(
                name,
                model=self._model,
                artifact=state.artifact,
                as_of_us=state.known_us,
                features=self._features,
            )
            for name, state in states.items()
        ]
        return evaluate(
            app.task,
            challengers,
            examples.evaluation,
            metrics=metrics_of(app),
            seed=self._job.seed,
            stopwatch=self._job.stopwatch,
        )
