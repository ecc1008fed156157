"""One run of learning, from the log to a released version."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import BadInput, FileLock, FlyballError, Stopwatch, SystemStopwatch, format_timestamp, parse_duration
from flyball.evaluation import Report
from flyball.learning.case_log import CaseLog, close_cases, open_manual
from flyball.learning.champion import champion_of, seen_note
from flyball.learning.cleanup import clean_leftovers, remove_outdated, remove_unregistered
from flyball.learning.continuation import (
    Continuation,
    continuation_of,
    records_of,
    training_report,
    with_windows,
)
from flyball.learning.evaluate import evaluate_all
from flyball.learning.fit import FitStage
from flyball.learning.gates import gates_of
from flyball.learning.job import Job
from flyball.learning.orders import refits_of, trials_of
from flyball.learning.register import candidate_reports, origin_of, passed_all, register
from flyball.learning.release import release
from flyball.learning.report import LearnReport, Progress, ShowProgress, failure_text
from flyball.learning.scheduler import FitScheduler
from flyball.learning.served_champion import compare_served, served_orders, served_plan_of
from flyball.learning.signs_of_life import giving_signs
from flyball.learning.snapshot import catch_up, past_of, snapshot_of
from flyball.learning.split import examples_of
from flyball.learning.training_windows import choose_windows, renamed, variants_of, window_words, windowed_examples
from flyball.registry import begin_run, end_run, link_run
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.tasks import EvaluationSet

LEARNING_LOCK = "learn.lock"


def learn(
    runtime: Runtime,
    as_of_us: int | None = None,
    progress: ShowProgress | None = None,
    *,
    workers: int = 2,
    seed: int = 0,
    by: str = "learn",
    keep_runs: int | None = None,
    stopwatch: Stopwatch | None = None,
    cases: Sequence[str] = (),
    without: Mapping[str, float] | None = None,
    train_window: str | Sequence[str] | None = None,
) -> LearnReport:
    """Learn from what was known at `as_of_us` (default: now) and release the winner when it passes its gates.

    Candidates are fitted in `workers` processes; with one worker, or for an application that is not in a file, in this
    process. The same snapshot and `seed` give the same metrics and the same artifacts, bit for bit; costs are measured
    with `stopwatch`. `by`: who started the run, for the audit trail. `cases`: the ids of the cases that led to it;
    without any it opens one. `without`: {account: the share of its events that counts in this run}, besides those that
    are held. `train_window`: in this run instead of the declared one, as `fb.App` takes it. Of versions that never
    served, the artifacts of the last `keep_runs` runs (default: of the settings) are kept, see `remove_outdated`.
    Raises `HomeBusy` while another run learns in the same home; any other exception is registered with the run, and the
    registry holds only complete versions.
    """
    now_us = runtime.clock.now_us()
    if as_of_us is not None and as_of_us > now_us:
        raise BadInput("as_of of a run", f"now ({format_timestamp(now_us)}) or before", format_timestamp(as_of_us))
    windows = None if train_window is None else runtime.app.windows_of(train_window)
    with FileLock(runtime.home / LEARNING_LOCK, "learning"):
        notes = clean_leftovers(runtime.registry, runtime.home, runtime.artifact_files, now_us)
        CaseLog(runtime.registry, runtime.app.name).recover(now_us, cases)
        case_ids = tuple(cases) or (open_manual(runtime, by, now_us).id,)
        run = begin_run(runtime.registry, runtime.app.name, now_us if as_of_us is None else as_of_us, now_us)
        link_run(runtime.registry, case_ids, run)
        job = Job(runtime, run, progress or _silent, workers, seed, by, stopwatch or SystemStopwatch())
        job.notes.extend(notes)
        job.without = dict(without or {})
        job.windows = job.windows if windows is None else windows
        try:
            with giving_signs(runtime.settings.registry, f"run {run.id}"):
                report = _learn(job)
            settings = runtime.settings
            if removed := remove_outdated(
                runtime.registry,
                runtime.artifact_files,
                settings.keep_runs if keep_runs is None else keep_runs,
                parse_duration(settings.keep_answers),
                runtime.clock.now_us(),
            ):
                job.notes.append(f"removed the artifacts of {', '.join(removed)}, which are outdated")
        except BaseException as error:
            _give_up(job, error)
            close_cases(runtime, case_ids, failure_text(error) if isinstance(error, Exception) else "stopped")
            raise
        finally:
            shutil.rmtree(job.work, ignore_errors=True)
        report = msgspec.structs.replace(report, seconds=job.seconds)
        plain = msgspec.to_builtins(report)
        end_run(runtime.registry, run, report.status, runtime.clock.now_us(), report=plain, snapshot=report.snapshot)
        close_cases(runtime, case_ids, report.reason)
        return report


def _learn(job: Job) -> LearnReport:
    """The steps of a run, each a module of this package: snapshot, split, fit, evaluate, gates, register, release."""
    before = current(job.runtime.registry)
    job.work.mkdir(parents=True)
    catch_up(job)
    snapshot = snapshot_of(job)
    report = LearnReport(
        run=job.run.id,
        app=job.runtime.app.name,
        status="done",
        as_of_us=job.run.as_of_us,
        seed=job.seed,
        snapshot=snapshot.name,
        events={name: type_snapshot.rows for name, type_snapshot in snapshot.types.items()},
        champion=before.champion,
        champion_before=before.champion,
        notes=job.notes,
    )
    past = past_of(job, snapshot)
    examples = examples_of(job, past)
    if isinstance(examples, str):
        return msgspec.structs.replace(report, status="too_little_data", reason=examples)
    examples, windows = windowed_examples(job, past, examples)
    champion, origin = champion_of(job, before, examples.holdout.start_us), origin_of(job, snapshot)
    declared = continuation_of(job, champion, examples)
    plan = declared if isinstance(declared, Continuation) else None
    job.notes.extend(seen_note(champion, plan is not None and not plan.only_compared))
    trials = trials_of(job, past, examples, champion, plan, windows[1:])
    beside = served_plan_of(job, past, champion, plan)
    orders = served_orders(job, past, beside)
    refits = refits_of(job, past, examples, origin, plan, windows[1:])
    evaluations: dict[FitStage, EvaluationSet] = {"fit": examples.evaluation}
    if beside is not None and beside.examples is not None:
        evaluations["served"] = beside.examples.evaluation
    with FitScheduler(job, [*trials, *orders, *refits], evaluations) as fits:
        fitted = fits.results("fit", [order.name for order in trials])
        evaluated = evaluate_all(job, examples, past, champion, trials, fitted, plan)
        served, served_report = None, None
        if beside is not None:
            again = fits.results("served", [order.name for order in orders])
            served, served_report = compare_served(job, past, beside, orders, again)
        chosen = choose_windows(job, evaluated, windows)
        variants = variants_of(chosen, windows)
        evaluated = renamed(evaluated, chosen, windows[0].window)
        gates = gates_of(job, evaluated, champion, served, served_report)
        names = {variants.get(name, name): name for name in passed_all(job, gates)}
        refitted = {names[fit]: result for fit, result in fits.results("refit", list(names)).items()}
        records = records_of(job, declared, examples, trials, fitted, refitted, variants)
        records = with_windows(job, records, chosen)
        versions = register(job, origin, evaluated, gates, refitted, records, variants)
    # A refit may have begun before its candidate was rejected.
    remove_unregistered(job.runtime.registry, job.runtime.artifact_files)
    decision = release(job, evaluated, versions, before)
    return msgspec.structs.replace(
        report,
        **_evaluation_fields(job, evaluated),
        window=examples.holdout,
        candidates=candidate_reports(evaluated, gates, versions, window_words(job, chosen, windows)),
        chosen=decision.chosen,
        released=decision.released,
        reason=decision.reason,
        champion=decision.champion,
        training=training_report(job, declared, champion, fitted, evaluated),
        served=served,
    )


def _evaluation_fields(job: Job, evaluated: Report) -> dict[str, Any]:
    """The fields of a run's report that come from its evaluation."""
    metric = job.runtime.app.choose.metric
    return {
        "units": evaluated.units,
        "requests": evaluated.requests,
        "last_request_us": evaluated.last_us,
        "metric": metric,
        "decided_by": evaluated.deciding(metric),
        "shown": list(evaluated.shown),
        "evaluation": msgspec.to_builtins(evaluated),
    }


def _give_up(job: Job, error: BaseException) -> None:
    """Remove incomplete versions and register the error; what fails here (such as on a full disk) the next run does."""
    stopped = not isinstance(error, Exception)
    reason = "stopped" if stopped else failure_text(error) if isinstance(error, Exception) else ""
    try:
        remove_unregistered(job.runtime.registry, job.runtime.artifact_files)
        end_run(
            job.runtime.registry,
            job.run,
            "interrupted" if stopped else "failed",
            job.runtime.clock.now_us(),
            report={"reason": reason},
        )
    except (FlyballError, OSError) as further:
        error.add_note(f"the run could not be closed either: {further}")


def _silent(_: Progress) -> None:
    """Ignore progress."""
