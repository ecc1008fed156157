"""Prequential evaluation: candidates trained at several times in turn, each time tested on what came next.

The last window ends where the test window of learning ends and is as long, unless another length is requested; each
earlier one has the same length and ends where the next begins. A model is trained for every window on what was known
when the window began, so between training and test is the delay of labels: every window is train, delay, test. It is
tested on the labels as known now. Sources: Dawid, "Statistical Theory: The Prequential Approach", JRSS A 1984; for
delayed labels: Le Borgne et al., "Reproducible Machine Learning for Credit Card Fraud Detection", 2022.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from flyball.core import BadInput, FileLock, NotFound, Refused, Stopwatch, SystemStopwatch
from flyball.evaluation import BASELINE, CANDIDATE, Challenger, Estimate, evaluate
from flyball.history import Snapshot
from flyball.learning.evaluate import features_of
from flyball.learning.fit import fitted_here
from flyball.learning.job import Job
from flyball.learning.kept_report import KeptReport, kept_report
from flyball.learning.past import SnapshotPast
from flyball.learning.report import Progress, failure_text
from flyball.learning.run import LEARNING_LOCK
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.learning.split import examples_of, metrics_of
from flyball.learning.training_windows import usual_data
from flyball.models import params_of
from flyball.registry import Registry, Run, Search, SearchTrial, searches_of
from flyball.runtime import Runtime
from flyball.tasks import Examples, OfflineFeatures


class PrequentialWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One window `[start_us, end_us)` of `requests`. `known_us`: training used what was known at this time.

    `metrics`: {candidate: {metric: value and interval}}; `failed`: {candidate: reason}.
    """

    start_us: int
    end_us: int
    known_us: int
    requests: int
    metrics: dict[str, dict[str, Estimate]] = {}
    failed: dict[str, str] = {}


class PrequentialReport(KeptReport, frozen=True, kw_only=True):
    """The windows, earliest first. `mean`, `spread`: {candidate: mean, or standard deviation, of `metric` over the
    windows}; `shown`: the metrics that tables show; `params`: {candidate: its declared parameters}; `note`: why there
    are fewer windows than requested, else ""."""

    windows: list[PrequentialWindow]
    mean: dict[str, float]
    spread: dict[str, float]
    shown: tuple[str, ...] = ()
    params: dict[str, dict[str, Any]] = {}
    note: str = ""
    seconds: float = 0.0

    def over_windows(self, candidate: str, metric: str) -> tuple[float, float] | None:
        """Mean and standard deviation of one metric of `candidate` over the windows that have it, None without any."""
        values = _values(self.windows, metric).get(candidate)
        return None if values is None else (float(np.mean(values)), float(np.std(values)))


HOW = "prequential"
"""How the registry names it among searches."""


def last_prequential(registry: Registry, candidate: str) -> PrequentialReport | None:
    """The newest evaluation of `candidate` on windows in a row that was kept; None without one."""
    for search in reversed(searches_of(registry)):
        if search.how == HOW and search.status == "done" and candidate in search.about["mean"]:
            return prequential_of(search)
    return None


def prequential_of(search: Search) -> PrequentialReport:
    """What a search of this kind found."""
    return msgspec.convert(search.about, PrequentialReport)


def prequential(
    runtime: Runtime,
    windows: int = 4,
    candidates: Sequence[str] | None = None,
    *,
    span_us: int | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
    stopwatch: Stopwatch | None = None,
) -> PrequentialReport:
    """Evaluate `candidates` (default: all) and the baselines on up to `windows` consecutive windows.

    `span_us`: how long each is; None for the length of the test window of learning. The report is kept among the
    searches of the registry; no version comes of it. Raises `NotFound` for a candidate that is not declared, `Refused`
    for too little data for even one window, `BadInput` for no windows or an empty one.
    """
    if windows < 1:
        raise BadInput("windows", "1 or more", windows)
    if span_us is not None and span_us < 1:
        raise BadInput("the length of a window", "longer than 0", f"{span_us} microseconds")
    app, now_us = runtime.app, runtime.clock.now_us()
    for name in candidates or ():
        if name not in app.candidates:
            raise NotFound("candidate", name, app.candidates)

    def show(step: Progress) -> None:
        progress(step.words)

    run = Run(id="", app=app.name, as_of_us=now_us, started_us=now_us, status="running")
    job = Job(runtime, run, show, 1, seed, "prequential", stopwatch or SystemStopwatch())
    with FileLock(runtime.home / LEARNING_LOCK, "learning"):
        catch_up(job)
        snapshot = snapshot_of(job)
    measured, note = _windows(job, snapshot, windows, span_us, candidates, progress)
    if not measured:
        raise Refused(note)
    values = _values(measured, app.choose.metric)
    shown = app.task.offline().plan().shown
    report = PrequentialReport(
        app=app.name,
        metric=app.choose.metric,
        seed=seed,
        as_of_us=now_us,
        snapshot=snapshot.name,
        windows=measured,
        mean={name: float(np.mean(value)) for name, value in values.items()},
        spread={name: float(np.std(value)) for name, value in values.items()},
        shown=tuple(dict.fromkeys([app.choose.metric, *shown])),
        params=msgspec.json.decode(  # as the registry gives them back
            msgspec.json.encode({name: params_of(model) for name, model in app.candidates.items()})
        ),
        note=note,
        seconds=job.seconds,
    )
    return _kept(runtime, report)


def _windows(
    job: Job,
    snapshot: Snapshot,
    windows: int,
    span_us: int | None,
    candidates: Sequence[str] | None,
    progress: Callable[[str], None],
) -> tuple[list[PrequentialWindow], str]:
    """What was measured in each window, the earliest first; and why there are fewer than `windows`, "" if there are
    not."""
    past, offline, measured = past_of(job, snapshot), job.runtime.app.task.offline(), list[PrequentialWindow]()
    features, window_us = features_of(job, past), None
    for number in range(windows):
        progress(f"window {windows - number} of {windows}")
        examples = examples_of(job, past, offline, window_us)
        if not isinstance(examples, str) and window_us is None and span_us is not None:
            end_us = examples.holdout.end_us
            examples = examples_of(job, past, offline, (end_us - span_us, end_us))
        if isinstance(examples, str):
            return measured, f"{number} of {windows} windows, since before them there is {examples}"
        measured.insert(0, _window(job, past, features, examples, candidates))
        start_us, end_us = examples.holdout.start_us, examples.holdout.end_us
        window_us = (start_us - (span_us or end_us - start_us), start_us)
    return measured, ""


def _kept(runtime: Runtime, report: PrequentialReport) -> PrequentialReport:
    """The same with its id, now among the searches: each fit is a trial."""
    trials = list[SearchTrial]()
    for window in report.windows:
        for name, metrics in [*window.metrics.items(), *((name, {}) for name in window.failed)]:
            value, reason = metrics.get(report.metric), window.failed.get(name, "")
            trial = SearchTrial(
                candidate=name,
                params=report.params.get(name, {}),
                share=1.0,
                value=None if value is None else value.value,
                failed=reason,
            )
            trials.append(trial)
    return kept_report(runtime, report, HOW, trials, budget=len(report.windows))


def _window(
    job: Job,
    past: SnapshotPast,
    features: OfflineFeatures | None,
    examples: Examples,
    candidates: Sequence[str] | None,
) -> PrequentialWindow:
    app, window = job.runtime.app, examples.holdout
    before, data = past.before(window.start_us), usual_data(job, examples.train)
    chosen = [*(candidates or job.challengers.candidates), *job.challengers.baselines]
    challengers = []
    for name in dict.fromkeys(chosen):
        model, role = job.challengers.models[name], CANDIDATE if name in app.candidates else BASELINE
        try:
            artifact = fitted_here(app, model, data, before, job.seed)
        except Exception as error:  # a model may raise anything; the others continue
            challengers.append(Challenger(name, role, failed=failure_text(error)))
            continue
        known_us = examples.train.as_of_us
        challengers.append(Challenger(name, role, model=model, artifact=artifact, as_of_us=known_us, features=features))
    report = evaluate(
        app.task, challengers, examples.evaluation, metrics=metrics_of(app), seed=job.seed, stopwatch=job.stopwatch
    )
    return PrequentialWindow(
        start_us=window.start_us,
        end_us=window.end_us,
        known_us=examples.train.as_of_us,
        requests=report.requests,
        metrics={name: dict(evaluated.metrics) for name, evaluated in report.evaluated.items() if not evaluated.failed},
        failed={name: evaluated.failed for name, evaluated in report.evaluated.items() if evaluated.failed},
    )


def _values(windows: Sequence[PrequentialWindow], metric: str) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for window in windows:
        for name, metrics in window.metrics.items():
            if metric in metrics:
                values.setdefault(name, []).append(metrics[metric].value)
    return values
