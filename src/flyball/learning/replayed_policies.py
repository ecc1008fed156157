"""What policies of retraining would have done in the past: quality, runs and cost of each, on the same requests.

Policies begin with the same model, trained before the first test window. Before every window each decides, by what was
known then, whether to learn; then its model answers the window. So the four stages of continual learning (manual,
scheduled, triggered by evidence, continued from a checkpoint) are rows of one table. Source of the stages: Huyen,
"Designing Machine Learning Systems", 2022, chapter 9.
"""

from collections.abc import Callable, Sequence

import msgspec

from flyball.core import BadInput, FileLock, NotFound, Stopwatch, SystemStopwatch
from flyball.evaluation import CHAMPION, Challenger, Estimate, Report, evaluate
from flyball.learning.evaluate import features_of
from flyball.learning.fit import artifact_of, fitted_here
from flyball.learning.freshness_report import difference_of, mean_of
from flyball.learning.job import Job
from flyball.learning.look import worsening_of
from flyball.learning.past import SnapshotPast
from flyball.learning.recent_windows import recent_windows
from flyball.learning.retraining_policies import RetrainingPolicy, default_policies
from flyball.learning.run import LOCK
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.learning.split import examples_of, metrics_of
from flyball.models import Artifact
from flyball.registry import Run
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.tasks import ContinuesCandidates, Examples, TakesPeriods, TrainingData


class PolicyResult(msgspec.Struct, frozen=True):
    """One policy. `value`: the mean of the metric over the windows; `gain`: how much better than the first policy;
    `runs`: how often it learned, `continued`: how many of these from a checkpoint; `seconds`: of training; `values`:
    of each window; `learned_us`: when it learned."""

    policy: str
    stage: str
    value: float
    gain: Estimate | None
    runs: int
    continued: int
    seconds: float
    values: list[float | None]
    learned_us: list[int]


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
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
    stopwatch: Stopwatch | None = None,
) -> BacktestReport:
    """Replay `policies` (default: one of each stage) over the last `windows` of `span_us`.

    The candidate is that of the champion unless one is named. Raises `NotFound` for one that is not declared,
    `BadInput` for no windows, `Refused` for too little data.
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
    job = Job(runtime, run, lambda step: None, 1, seed, "backtest", stopwatch or SystemStopwatch())
    with FileLock(runtime.home / LOCK, "learning"):
        catch_up(job)
        snapshot = snapshot_of(job)
    replay = _Replay(job, past_of(job, snapshot), chosen, progress)
    examples, notes = recent_windows(job, replay.past, windows, span_us)
    plan = list(policies) or default_policies(app.choose.metric, span_us, replay.continues)
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

    def __init__(self, job: Job, past: SnapshotPast, candidate: str, progress: Callable[[str], None]) -> None:
        self.past, self._job, self._candidate, self._progress = past, job, candidate, progress
        self._door, self._model = job.runtime.app.task.offline(), job.runtime.app.candidates[candidate]
        self._features = features_of(job, past)
        self._metric = job.runtime.app.choose.metric
        self._fits: dict[int, tuple[Artifact, float]] = {}

    @property
    def continues(self) -> bool:
        """Whether the candidate can continue from a checkpoint."""
        return isinstance(self._door, ContinuesCandidates) and hasattr(self._model, "update")

    def report(
        self, windows: Sequence[Examples], policies: Sequence[RetrainingPolicy], span_us: int, notes: list[str]
    ) -> BacktestReport:
        serving, reports = dict[str, _Serving](), list[Report]()
        for number, examples in enumerate(windows):
            self._progress(f"test window {number + 1} of {len(windows)}")
            for policy in policies:
                if policy.text not in serving:
                    serving[policy.text] = self._first(policy, examples)
                elif self._is_due(policy, serving[policy.text], examples):
                    self._learn(policy, serving[policy.text], examples)
            reports.append(self._evaluated(examples, {p.text: serving[p.text] for p in policies}))
        return BacktestReport(
            app=self._job.runtime.app.name,
            candidate=self._candidate,
            metric=self._metric,
            seed=self._job.seed,
            tested=len(windows),
            requests=sum(report.requests for report in reports),
            start_us=windows[0].holdout.start_us,
            span_us=span_us,
            policies=[self._result(policy, policies, serving[policy.text], reports) for policy in policies],
            notes=notes,
            seconds=self._job.seconds,
        )

    def _result(
        self, policy: RetrainingPolicy, policies: Sequence[RetrainingPolicy], state: _Serving, reports: Sequence[Report]
    ) -> PolicyResult:
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
            artifact, seconds = self._fitted(data)
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

    def _fitted(self, data: TrainingData) -> tuple[Artifact, float]:
        if data.as_of_us not in self._fits:
            before_s, past = self._job.stopwatch.read_s(), self.past.before(data.as_of_us + 1)
            artifact = fitted_here(self._job.runtime.app, self._model, data, past, self._job.seed)
            self._fits[data.as_of_us] = artifact, self._job.stopwatch.read_s() - before_s
        return self._fits[data.as_of_us]

    def _continued(self, state: _Serving, data: TrainingData) -> tuple[Artifact | None, float]:
        if not isinstance(self._door, ContinuesCandidates):
            return None, 0.0
        before_s = self._job.stopwatch.read_s()
        trained = self._door.continued(self._model, state.artifact, state.known_us, data, self._job.seed)
        seconds = self._job.stopwatch.read_s() - before_s
        return (None if trained is None else artifact_of(trained)), seconds

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
