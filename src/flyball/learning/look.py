"""Measures what triggers decide by: labels that became final, and the champion on requests since its snapshot.

The champion answers these requests again, as it is, by the same offline evaluation that it once passed; so the two
values are of one kind, whatever the service answered then. The live value is measured at every look on all requests so
far; its interval is a confidence sequence, see `flyball.statistics.anytime`, from the standard error of the bootstrap.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import msgspec

from flyball.core import FileLock, FlyballError, HomeBusy, Stopwatch
from flyball.evaluation import CHAMPION, Challenger, Estimate, Report, evaluate
from flyball.features import read_apply_delays
from flyball.history import take_snapshot
from flyball.learning.causes import FEWEST_UNITS, LearningEvidence, Worsening
from flyball.learning.evaluate import features_of
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast
from flyball.learning.run import LEARNING_LOCK
from flyball.learning.snapshot import catch_up, left_out_of, past_of
from flyball.learning.split import metrics_of
from flyball.models import artifact_folder, load_artifact, model_of
from flyball.policy import OnPerformance, OnVolume, trigger_text
from flyball.registry import Run, Version
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.statistics import sequence_r2, sequence_reach
from flyball.tasks import CountsLabels

_SEED = 0
_Z95 = NormalDist().inv_cdf(0.975)


def measure_evidence(runtime: Runtime, now_us: int, stopwatch: Stopwatch) -> LearningEvidence:
    """The evidence about the champion for the triggers of the application, but for findings and releases.

    What cannot be measured is missing, with the reason. Raises `HomeBusy` while a run learns in the same home.
    """
    champion = current(runtime.registry).champion
    if champion is None:
        return LearningEvidence(at_us=now_us)
    version = runtime.registry.version(champion)
    evidence = LearningEvidence(champion, version.as_of_us, now_us)
    triggers = runtime.app.retrain
    run = Run(id="", app=runtime.app.name, as_of_us=now_us, started_us=now_us, status="running")
    job = Job(runtime, run, lambda step: None, 1, _SEED, "look", stopwatch)
    with FileLock(runtime.home / LEARNING_LOCK, "measuring for triggers"):
        catch_up(job)
    try:
        past = _past(job)
        if any(isinstance(trigger, OnVolume) for trigger in triggers):
            evidence = msgspec.structs.replace(evidence, labels=_labels(job, past, version))
        triggering = [trigger for trigger in triggers if isinstance(trigger, OnPerformance)]
        if triggering:
            evidence = msgspec.structs.replace(evidence, worsening=_worsening(job, past, version, triggering))
    except HomeBusy:
        raise
    except FlyballError as error:  # such as an artifact that is away: the schedule goes on
        evidence = msgspec.structs.replace(evidence, missing=str(error))
    return evidence


def _past(job: Job) -> SnapshotPast:
    """What is known now; the manifest of the snapshot is not kept."""
    runtime = job.runtime
    delays = read_apply_delays(runtime.apply_delays_path)
    with tempfile.TemporaryDirectory(prefix="flyball-look-") as folder:
        snapshot = take_snapshot(
            runtime.history_files, runtime.schema, job.run.as_of_us, Path(folder), delays, left_out_of(job)
        )
    return past_of(job, snapshot)


def _labels(job: Job, past: SnapshotPast, version: Version) -> int | None:
    """How many labels became final since the version's snapshot; None for a task that does not count them."""
    offline = job.runtime.app.task.offline()
    if not isinstance(offline, CountsLabels):
        return None
    return offline.count_labels(past, job.run.as_of_us) - offline.count_labels(past, version.as_of_us)


def _worsening(
    job: Job, past: SnapshotPast, version: Version, triggers: Sequence[OnPerformance]
) -> dict[str, Worsening]:
    app = job.runtime.app
    names = list(dict.fromkeys(trigger.metric for trigger in triggers))
    window_us = (version.as_of_us + 1, job.run.as_of_us + 1)
    examples = app.task.offline().examples(past, 1, _SEED, [*metrics_of(app), *names], window_us)
    if isinstance(examples, str):
        return {}
    folder = artifact_folder(job.runtime.artifact_files, version.artifact, version.artifact_files)
    artifact = load_artifact(folder, version.artifact_files)
    challenger = Challenger(
        CHAMPION,
        CHAMPION,
        model=model_of(artifact, app.model_classes),
        artifact=artifact,
        as_of_us=version.as_of_us,
        features=features_of(job, past),
    )
    report = evaluate(app.task, [challenger], examples.evaluation, metrics=names, seed=_SEED, stopwatch=job.stopwatch)
    expected = _evaluated_units(job.runtime, version)
    own = {name: msgspec.convert(plain, Estimate) for name, plain in version.metrics.items()}
    measured = {
        trigger_text(trigger): worsening_of(trigger, report, own.get(trigger.metric), expected) for trigger in triggers
    }
    return {text: worsening for text, worsening in measured.items() if worsening is not None}


def worsening_of(trigger: OnPerformance, report: Report, own: Estimate | None, expected_units: int) -> Worsening | None:
    """How much worse the champion is in `report` than its `own` evaluation; None where either lacks the metric.

    Each of the two values has its share of alpha: the champion's own an interval of one side, the live one a sequence
    that is narrowest at `expected_units`.
    """
    live = report.estimate(trigger.metric, CHAMPION)
    if live is None or own is None:
        return None
    worse = report.goodness(trigger.metric, own.value) - report.goodness(trigger.metric, live.value)
    low, errors = None, (_standard_error(own), _standard_error(live))
    if errors[0] is not None and errors[1] is not None and report.units >= FEWEST_UNITS:
        level = trigger.alpha / 2
        r2 = sequence_r2(level, max(expected_units, FEWEST_UNITS), "greater")
        reach = float(sequence_reach(errors[1], report.units, level, r2, "greater"))
        low = worse - reach - NormalDist().inv_cdf(1 - level) * errors[0]
    return Worsening(trigger.metric, own.value, live.value, worse, low, report.units, trigger.alpha)


def _standard_error(estimate: Estimate) -> float | None:
    if estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / (2 * _Z95)


def _evaluated_units(runtime: Runtime, version: Version) -> int:
    """The units that the version was evaluated on, 0 where its run does not say."""
    reports = {run.id: run.report for run in runtime.registry.runs()}
    return int(reports.get(version.run, {}).get("units", 0))
