"""Hyperparameter search and learning curves of an application's candidates.

All trials are evaluated before the test window of learning: fitted on what was known at a time, tested on the time from
then to the test window. So the best parameters can still be evaluated by `learn` on data that the search never saw.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import msgspec

from flyball.core import BadInput, FileLock, NotFound, Refused, Stopwatch, SystemStopwatch
from flyball.evaluation import Objective, Score, Space, Trial, learning_curve, parameter_of, search, space_of
from flyball.history import Snapshot
from flyball.learning.evaluate import features_of
from flyball.learning.job import Job
from flyball.learning.report import Progress, failure_text
from flyball.learning.run import LEARNING_LOCK
from flyball.learning.signs_of_life import giving_signs
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.learning.split import examples_of
from flyball.learning.training_windows import usual_data
from flyball.learning.trials import SharedTrials, trainer_of
from flyball.models import params_of
from flyball.registry import Run, Search, SearchTrial, add_trial, begin_search, end_search
from flyball.runtime import Runtime
from flyball.tasks import Candidate, Holdout

SearchMethod = Literal["random", "halving"]
CURVE_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


class CandidateSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one candidate: the value as declared and the best one, None where there is none.

    `declaration`: the best parameters as Python source. `spent`: the cost, in full fits.
    """

    candidate: str
    declared: float | None
    best: float | None
    declaration: str
    changed: dict[str, Any]
    trials: int
    failed: int
    spent: float
    note: str = ""


class SearchReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a search. `window`: the time that trials were evaluated on, before the test window of learning;
    `units`: the number of units in it."""

    search: str
    app: str
    how: str
    metric: str
    budget: float
    seed: int
    as_of_us: int
    snapshot: str
    window: Holdout
    units: int
    candidates: list[CandidateSearch] = []
    seconds: float = 0.0
    notes: list[str] = []


class CurveReport(msgspec.Struct, frozen=True, kw_only=True):
    """Learning curves: {candidate: [(share of the training data, value)]}."""

    search: str
    app: str
    metric: str
    seed: int
    as_of_us: int
    snapshot: str
    window: Holdout
    units: int
    curves: dict[str, list[tuple[float, float]]] = {}
    failed: dict[str, str] = {}
    seconds: float = 0.0


def search_parameters(
    runtime: Runtime,
    candidates: Sequence[str] | None = None,
    *,
    budget: int = 8,
    how: SearchMethod = "random",
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[str], None] = lambda text: None,
    stopwatch: Stopwatch | None = None,
) -> SearchReport:
    """Try parameters for `candidates` (default: all), with at most `budget` full fits for each.

    Trials of a round run side by side in `workers` processes, or where the setting compute says. The search and, as it
    ends, each trial are written to the registry. The same snapshot, seed and candidates give the
    same values. Raises `NotFound` for a candidate that is not declared and `Refused` for too little data.
    """
    spaces = _spaces(runtime, candidates)
    trial = _begin(runtime, how, float(budget), seed, stopwatch or SystemStopwatch(), progress, workers)
    try:
        with trial.giving_signs(), trial.shared.opened() as score_all:
            result = search(
                spaces,
                trial.objective.score(),
                budget,
                how,
                seed,
                progress,
                record=trial.record,
                stopwatch=trial.job.stopwatch,
                score_all=score_all,
            )
        families = [_searched(trial, space, result.best[space.family], result.trials) for space in spaces]
        report = SearchReport(
            search=trial.search.id,
            app=runtime.app.name,
            how=how,
            metric=trial.objective.metric,
            budget=float(budget),
            seed=seed,
            as_of_us=trial.job.run.as_of_us,
            snapshot=trial.search.snapshot,
            window=trial.window,
            units=len(trial.objective.evaluation.units),
            candidates=families,
            seconds=trial.job.seconds,
            notes=trial.job.notes,
        )
    except BaseException as error:
        trial.give_up(error)
        raise
    end_search(runtime.registry, trial.search, "done", runtime.clock.now_us(), msgspec.to_builtins(report))
    return report


def learning_curves(
    runtime: Runtime,
    candidates: Sequence[str] | None = None,
    *,
    shares: Sequence[float] = CURVE_SHARES,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
    stopwatch: Stopwatch | None = None,
) -> CurveReport:
    """The metric of each candidate, as declared, fitted on increasing shares of the training data.

    For staged candidates the examples and the retrieval are limited to the share; the features are computed from all
    data.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        raise BadInput("shares of a learning curve", "above 0 and at most 1", list(shares))
    spaces = _spaces(runtime, candidates)
    trial = _begin(runtime, "curve", sum(shares), seed, stopwatch or SystemStopwatch(), progress)
    curves: dict[str, list[tuple[float, float]]] = {}
    failed: dict[str, str] = {}
    try:
        score = trial.objective.score()
        with trial.giving_signs():
            for space in spaces:
                progress(f"learning curve of {space.family}")
                try:
                    points = learning_curve(space.base, _recorded(trial, space, score), sorted(shares))
                except Exception as error:  # a model may raise anything; the others continue
                    failed[space.family] = failure_text(error)
                    continue
                curves[space.family] = [(share, trial.objective.plain(value) or 0.0) for share, value in points]
        report = CurveReport(
            search=trial.search.id,
            app=runtime.app.name,
            metric=trial.objective.metric,
            seed=seed,
            as_of_us=trial.job.run.as_of_us,
            snapshot=trial.search.snapshot,
            window=trial.window,
            units=len(trial.objective.evaluation.units),
            curves=curves,
            failed=failed,
            seconds=trial.job.seconds,
        )
    except BaseException as error:
        trial.give_up(error)
        raise
    end_search(runtime.registry, trial.search, "done", runtime.clock.now_us(), msgspec.to_builtins(report))
    return report


def declaration(candidate: Candidate) -> str:
    """The candidate as Python source: the class, and the parameters that differ from their defaults.

    >>> from flyball.models import EASE, Calibrated, Linear
    >>> declaration(EASE(l2=100.0)), declaration(Calibrated(Linear()))
    ('fb.EASE(l2=100.0)', 'fb.Calibrated(model=fb.Linear())')
    """
    prefix = "fb." if type(candidate).__module__.startswith("flyball.models.") else ""
    shown = []
    for field in msgspec.structs.fields(candidate):
        value = getattr(candidate, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if value != default and field.name != "hashes":
            shown.append(f"{field.name}={_written(value)}")
    return f"{prefix}{type(candidate).__name__}({', '.join(shown)})"


def _written(value: Any) -> str:
    if isinstance(value, Candidate):
        return declaration(value)
    if isinstance(value, tuple):
        inner = ", ".join(_written(element) for element in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


class _Trial:
    """A running search."""

    def __init__(self, job: Job, search: Search, objective: Objective, window: Holdout, shared: SharedTrials) -> None:
        self.job, self.search, self.objective, self.window, self.shared = job, search, objective, window, shared

    def record(self, trial: Trial) -> None:
        search_trial = SearchTrial(
            candidate=trial.family,
            params=trial.params,
            share=trial.share,
            value=self.objective.plain(trial.score),
            failed=trial.failed,
            seconds=trial.seconds,
        )
        add_trial(self.job.runtime.registry, self.search, search_trial)

    def giving_signs(self) -> AbstractContextManager[None]:
        return giving_signs(self.job.runtime.settings.registry, f"search {self.search.id}")

    def give_up(self, error: BaseException) -> None:
        stopped = not isinstance(error, Exception)
        status: Literal["interrupted", "failed"] = "interrupted" if stopped else "failed"
        about = {"reason": "stopped" if not isinstance(error, Exception) else failure_text(error)}
        end_search(self.job.runtime.registry, self.search, status, self.job.runtime.clock.now_us(), about)


def _begin(
    runtime: Runtime,
    how: str,
    budget: float,
    seed: int,
    stopwatch: Stopwatch,
    progress: Callable[[str], None],
    workers: int = 1,
) -> _Trial:
    now_us, app = runtime.clock.now_us(), runtime.app
    run = Run(id="", app=app.name, as_of_us=now_us, started_us=now_us, status="running")

    def show(step: Progress) -> None:
        progress(step.words)

    job = Job(runtime, run, show, workers, seed, "search", stopwatch)
    with FileLock(
        runtime.home / LEARNING_LOCK, "learning"
    ):  # only while the history is written, since fits may take hours
        catch_up(job)
        snapshot = snapshot_of(job)
    past, task, min_examples = past_of(job, snapshot), app.task, app.gates.min_examples
    examples = examples_of(job, past)
    if isinstance(examples, str):
        raise Refused(examples)
    before, plan = past.before(examples.holdout.start_us), task.offline()
    validation = plan.examples(before, min_examples, job.seed, [app.choose.metric])
    if isinstance(validation, str):
        raise Refused(f"too little to search on before the test window of learning: {validation}")
    window = validation.holdout
    data = usual_data(job, validation.train)
    trainer = trainer_of(app, data, before.before(window.start_us), job.seed)
    objective = Objective(task, validation.evaluation, app.choose.metric, trainer, stopwatch, features_of(job, before))
    started = begin_search(runtime.registry, _search(job, snapshot, how, budget, objective))
    return _Trial(job, started, objective, window, SharedTrials(job, data, validation.evaluation, before))


def _search(job: Job, snapshot: Snapshot, how: str, budget: float, objective: Objective) -> Search:
    return Search(
        id="",
        app=job.runtime.app.name,
        how=how,
        budget=budget,
        seed=job.seed,
        metric=objective.metric,
        as_of_us=job.run.as_of_us,
        snapshot=snapshot.name,
        started_us=job.run.started_us,
        status="running",
    )


def _recorded(trial: _Trial, space: Space[Candidate], score: Score[Candidate]) -> Score[Candidate]:
    """`score`, with each point written to the registry."""

    def recorded(candidate: Candidate, share: float) -> float:
        start = trial.job.stopwatch.read_s()
        value = score(candidate, share)
        seconds = trial.job.stopwatch.read_s() - start
        trial.record(Trial(space.family, params_of(candidate), share, value, seconds=seconds))
        return value

    return recorded


def _spaces(runtime: Runtime, candidates: Sequence[str] | None) -> list[Space[Candidate]]:
    known = runtime.app.candidates
    for name in candidates or []:
        if name not in known:
            raise NotFound("candidate", name, known)
    return [space_of(name, model) for name, model in known.items() if not candidates or name in candidates]


def _searched(trial: _Trial, space: Space[Candidate], best: Candidate, trials: Sequence[Trial]) -> CandidateSearch:
    own = [family_trial for family_trial in trials if family_trial.family == space.family]
    full = {msgspec.json.encode(tried.params): tried.score for tried in own if tried.share >= 1.0}

    def value_of(candidate: Candidate) -> float | None:
        return trial.objective.plain(full.get(msgspec.json.encode(params_of(candidate))))

    pairs = {path: (parameter_of(space.base, path), parameter_of(best, path)) for path in space.values}
    changed = {path: msgspec.to_builtins(after) for path, (before, after) in pairs.items() if after != before}
    note = "" if space.values else "nothing to vary: its class names no values to try"
    return CandidateSearch(
        candidate=space.family,
        declared=value_of(space.base),
        best=value_of(best),
        declaration=declaration(best),
        changed=changed,
        trials=len(own),
        failed=sum(tried.score is None for tried in own),
        spent=sum(tried.share for tried in own),
        note=note,
    )
