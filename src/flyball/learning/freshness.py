"""What newer data are worth: the same model trained on shifted windows, and on windows of several lengths.

Every test window is answered by a model trained on what was known just before it, and by models trained on what was
known some time earlier, on examples that reach equally far back from then. Their difference on the same requests is
what the age of a model costs. From this curve follows what a cadence costs: a model that is replaced every `c` is on
average as old as the mean over ages from 0 to `c`.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from flyball.core import BadInput, FileLock, NotFound, Refused, Stopwatch, SystemStopwatch, format_duration
from flyball.evaluation import Challenger, Report, evaluate
from flyball.learning.evaluate import features_of
from flyball.learning.fit import fitted_here
from flyball.learning.freshness_report import (
    FEWEST_EXAMPLES,
    HOW,
    AgeLoss,
    FreshnessReport,
    WindowValue,
    cadences_of,
    difference_of,
    mean_of,
    recommended_cadence,
    recommended_window,
    smoothed,
)
from flyball.learning.job import Job
from flyball.learning.kept_report import kept_report
from flyball.learning.past import SnapshotPast
from flyball.learning.recent_windows import recent_windows
from flyball.learning.report import failure_text
from flyball.learning.retraining_policies import ALL, DRIFT
from flyball.learning.run import LEARNING_LOCK
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.learning.split import examples_of, metrics_of
from flyball.registry import Run, SearchTrial
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.tasks import Examples, OfflineFeatures, TakesPeriods, TrainingData

DAY_US = 86_400_000_000
AGES_US = tuple(days * DAY_US for days in (1, 2, 4, 7, 14))
LENGTHS_US = tuple(days * DAY_US for days in (1, 7, 30))
FRESH = "fresh"


class FreshnessPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured.

    `ages_us`: how much older the training data are. `lengths_us`: of the windows to choose from, beside all data.
    `windows`: how many test windows, each `span_us` long. `length_us`: how far training data reach back, None for as
    far as the oldest model can. `since_us`: when the last drift began, 0 for none. `tolerance`: the share of the
    metric's value that a model may lose on average.
    """

    candidate: str = ""
    ages_us: tuple[int, ...] = AGES_US
    lengths_us: tuple[int, ...] = LENGTHS_US
    windows: int = 3
    span_us: int = DAY_US
    length_us: int | None = None
    since_us: int = 0
    tolerance: float = 0.01
    seed: int = 0


def measure_freshness(
    runtime: Runtime,
    plan: FreshnessPlan | None = None,
    *,
    progress: Callable[[str], None] = lambda text: None,
    stopwatch: Stopwatch | None = None,
) -> FreshnessReport:
    """Measure what newer data are worth; the report is kept among the searches of the registry.

    The candidate is that of the champion unless the plan names one. Raises `NotFound` for one that is not declared,
    `BadInput` for a plan that measures nothing, `Refused` for a task that cannot leave out old data and for too little
    data.
    """
    plan = _checked(runtime, plan or FreshnessPlan())
    now_us = runtime.clock.now_us()
    offline = runtime.app.task.offline()
    if not isinstance(offline, TakesPeriods):
        raise Refused(
            f"a task must be able to leave out old data to measure freshness, got {type(runtime.app.task).__name__}: "
            "its offline door needs example_times and since"
        )
    run = Run(id="", app=runtime.app.name, as_of_us=now_us, started_us=now_us, status="running")
    job = Job(runtime, run, lambda step: None, 1, plan.seed, "freshness", stopwatch or SystemStopwatch())
    with FileLock(runtime.home / LEARNING_LOCK, "learning"):
        catch_up(job)
        snapshot = snapshot_of(job)
    measured = _Measured(job, past_of(job, snapshot), offline, plan, progress)
    report = measured.report(snapshot.name)
    return _kept(runtime, report)


def _checked(runtime: Runtime, plan: FreshnessPlan) -> FreshnessPlan:
    candidates = runtime.app.candidates
    if plan.windows < 1:
        raise BadInput("windows", "1 or more", plan.windows)
    for what, values in (("ages", plan.ages_us), ("lengths", plan.lengths_us), ("span", (plan.span_us,))):
        if any(value <= 0 for value in values):
            raise BadInput(what, "longer than 0", sorted(values)[0])
    if not 0 <= plan.tolerance < 1:
        raise BadInput("tolerance", "a share from 0 to 1", plan.tolerance)
    if plan.candidate and plan.candidate not in candidates:
        raise NotFound("candidate", plan.candidate, candidates)
    chosen = plan.candidate or _of_champion(runtime) or next(iter(candidates))
    return msgspec.structs.replace(plan, candidate=chosen, ages_us=tuple(sorted(set(plan.ages_us))))


def _of_champion(runtime: Runtime) -> str:
    champion = current(runtime.registry).champion
    name = "" if champion is None else runtime.registry.version(champion).candidate
    return name if name in runtime.app.candidates else ""


class _Measured:
    """The fits and evaluations of one report."""

    def __init__(
        self, job: Job, past: SnapshotPast, offline: TakesPeriods, plan: FreshnessPlan, progress: Callable[[str], None]
    ) -> None:
        self._job, self._past, self._periods, self._plan, self._progress = job, past, offline, plan, progress
        self._door = job.runtime.app.task.offline()
        self._features: OfflineFeatures | None = features_of(job, past)
        self._metric = job.runtime.app.choose.metric
        self._seconds, self._notes = list[float](), list[str]()

    def report(self, snapshot: str) -> FreshnessReport:
        windows, self._notes = recent_windows(self._job, self._past, self._plan.windows, self._plan.span_us)
        ages_us, length_us = self._reach(windows)
        aged, sized = list[Report](), list[Report]()
        for number, examples in enumerate(windows):
            self._progress(f"test window {number + 1} of {len(windows)}: models of {len(ages_us) + 1} ages")
            aged.append(self._aged(examples, ages_us, length_us))
            self._progress(f"test window {number + 1} of {len(windows)}: training windows")
            sized.append(self._sized(examples))
        names = [format_duration(age_us) for age_us in ages_us]
        losses = {name: difference_of(aged, self._metric, FRESH, name, len(names)) for name in names}
        ages = [
            AgeLoss(age_us, mean_of(aged, self._metric, name), loss)
            for age_us, name in zip(ages_us, names, strict=True)
            if (loss := losses[name]) is not None
        ]
        if not ages:
            raise Refused(f"no model of {self._plan.candidate} could be compared: {_failure(aged)}")
        fresh, fit_s = mean_of(aged, self._metric, FRESH), sum(self._seconds) / max(1, len(self._seconds))
        decays = any(age.loss.low is not None and age.loss.low > 0 for age in ages)
        curve = smoothed(ages) if decays else [0.0] * len(ages)
        cadences = cadences_of(ages, curve, fit_s)
        sizes = self._sizes(sized)
        return FreshnessReport(
            app=self._job.runtime.app.name,
            candidate=self._plan.candidate,
            metric=self._metric,
            as_of_us=self._job.run.as_of_us,
            snapshot=snapshot,
            seed=self._plan.seed,
            tested=len(windows),
            requests=sum(report.requests for report in aged),
            length_us=length_us,
            fresh=fresh,
            ages=ages,
            curve=curve,
            decays=decays,
            tolerance=self._plan.tolerance,
            cadences=cadences,
            cadence_us=recommended_cadence(cadences, decays, fresh, self._plan.tolerance),
            windows=sizes,
            window=recommended_window(sizes),
            fit_s=fit_s,
            notes=self._notes,
            seconds=self._job.seconds,
        )

    def _examples(self, start_us: int, end_us: int) -> Examples | str:
        return examples_of(self._job, self._past, self._door, (start_us, end_us))

    def _reach(self, windows: Sequence[Examples]) -> tuple[list[int], int]:
        """The ages that the data reach back for, and how far training data of each reach back."""
        train = windows[0].train
        times = self._periods.example_times(train)
        known_us = train.as_of_us - int(times.min(initial=train.as_of_us))
        ages_us = [age_us for age_us in self._plan.ages_us if 2 * age_us <= known_us]
        days = known_us / DAY_US
        if not ages_us:
            raise Refused(
                f"data before the first test window must reach back twice the least age, got {days:.1f} days: choose "
                "fewer or shorter test windows, or lesser ages"
            )
        if len(ages_us) < len(self._plan.ages_us):
            self._notes.append(f"ages above {days / 2:.1f} days are left out: the data reach back {days:.1f} days")
        return ages_us, self._plan.length_us or known_us - ages_us[-1]

    def _aged(self, examples: Examples, ages_us: Sequence[int], length_us: int) -> Report:
        """One test window, answered by models of every age."""
        start_us, end_us = examples.holdout.start_us, examples.holdout.end_us
        models = [self._fitted(FRESH, self._periods.since(examples.train, start_us - length_us))]
        for age_us in ages_us:
            name, known_us = format_duration(age_us), start_us - age_us
            older = self._examples(known_us, end_us)
            if isinstance(older, str):
                models.append(Challenger(name, failed=older))
            else:
                models.append(self._fitted(name, self._periods.since(older.train, known_us - length_us)))
        return self._evaluated(examples, models)

    def _sized(self, examples: Examples) -> Report:
        """One test window, answered by models of training windows of every length."""
        start_us, train = examples.holdout.start_us, examples.train
        times = self._periods.example_times(train)
        models = [self._fitted(ALL, train)]
        for name, from_us in self._starts(start_us).items():
            if from_us > int(times.min(initial=train.as_of_us)):  # else it is the same as all
                models.append(self._fitted(name, self._periods.since(train, from_us)))
        return self._evaluated(examples, models)

    def _starts(self, start_us: int) -> dict[str, int]:
        """{name of a training window: where it begins}."""
        starts = {format_duration(length_us): start_us - length_us for length_us in self._plan.lengths_us}
        return {**starts, DRIFT: self._plan.since_us} if 0 < self._plan.since_us < start_us else starts

    def _fitted(self, name: str, data: TrainingData) -> Challenger:
        app, plan = self._job.runtime.app, self._plan
        count = len(self._periods.example_times(data))
        if count < FEWEST_EXAMPLES:
            return Challenger(name, failed=f"{count} examples, {FEWEST_EXAMPLES} are needed")
        model, before_s = app.candidates[plan.candidate], self._job.stopwatch.read_s()
        try:
            artifact = fitted_here(app, model, data, self._past.before(data.as_of_us + 1), plan.seed)
        except Exception as error:  # a model may raise anything; the others continue
            return Challenger(name, failed=failure_text(error))
        self._seconds.append(self._job.stopwatch.read_s() - before_s)
        return Challenger(name, model=model, artifact=artifact, as_of_us=data.as_of_us, features=self._features)

    def _evaluated(self, examples: Examples, models: Sequence[Challenger]) -> Report:
        app = self._job.runtime.app
        return evaluate(
            app.task,
            models,
            examples.evaluation,
            metrics=metrics_of(app),
            seed=self._plan.seed,
            stopwatch=self._job.stopwatch,
        )

    def _sizes(self, sized: Sequence[Report]) -> list[WindowValue]:
        names = dict.fromkeys(name for report in sized for name in report.evaluated)
        values = [WindowValue(ALL, mean_of(sized, self._metric, ALL))]
        for name in (name for name in names if name != ALL):
            gain = difference_of(sized, self._metric, name, ALL, len(names) - 1)
            if gain is None:
                values.append(WindowValue(name, failed=_failure(sized, name)))
            else:
                values.append(WindowValue(name, mean_of(sized, self._metric, name), gain))
        return values


def _failure(reports: Sequence[Report], name: str = "") -> str:
    """Why a model, or any, has no metric."""
    failures = [
        evaluated.failed
        for report in reports
        for evaluated in report.evaluated.values()
        if evaluated.failed and name in ("", evaluated.name)
    ]
    return failures[0] if failures else "no test window has its metric"


def _kept(runtime: Runtime, report: FreshnessReport) -> FreshnessReport:
    """The same with its id, now among the searches: each age and each window is a trial."""
    values: Mapping[str, float | None] = {
        **{f"age {format_duration(age.age_us)}": age.value for age in report.ages},
        **{f"window {window.name}": window.value for window in report.windows},
    }
    trials = [
        SearchTrial(candidate=report.candidate, params={"trained": trained}, share=1.0, value=value)
        for trained, value in values.items()
    ]
    return kept_report(runtime, report, HOW, trials, budget=len(report.ages) + len(report.windows))
