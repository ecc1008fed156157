"""Candidates, baselines and the champion on the same users, none of them having seen what they are evaluated on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import FlyballError
from flyball.evaluation import BASELINE, CANDIDATE, CHAMPION, Challenger, Report, evaluate
from flyball.learning.fit import Fitted
from flyball.learning.fits import Batch, Fits, FitTask, words_of
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names
from flyball.learning.shared_data import write_data
from flyball.learning.split import metrics_of
from flyball.models import load_artifact, model_of
from flyball.registry import Version
from flyball.releases import ReleaseState
from flyball.tasks import Examples, OfflineFeatures


class Champion(msgspec.Struct, frozen=True):
    """The version that serves now, as it takes part; `saw_test_window`: it had learned from part of it.

    `name`: what candidates are held against, the version as it is, or when it saw that its recipe fitted on what was
    known before the window. The other of the two is `beside`, for comparison.
    """

    name: str
    beside: str
    version: Version
    model: Any
    folder: str
    saw_test_window: bool


def champion_of(job: Job, state: ReleaseState, split_us: int) -> Champion | None:
    """The champion as it takes part; None without one, or with a note when its artifact cannot be used."""
    if state.champion is None:
        return None
    version = job.runtime.registry.version(state.champion)
    folder = job.runtime.artifacts / version.artifact
    try:
        model = model_of(load_artifact(folder, version.artifact_files), job.runtime.app.model_classes)
    except FlyballError as error:
        job.notes.append(f"champion {version.id} could not be compared: {words_of(error)}")
        return None
    seen = version.as_of_us >= split_us
    if seen:
        job.notes.append(
            f"champion {version.id} had learned from part of the test window; it is evaluated as its recipe fitted on "
            "what was known before the window, like all others, and its own metrics flatter it"
        )
    name = f"champion:{version.id}"
    return Champion(name, f"{name}:{'as-it-is' if seen else 'refitted'}", version, model, str(folder), seen)


def trials_of(job: Job, examples: Examples, champion: Champion | None) -> Batch:
    """Everyone to fit on what was known before the test window, the champion's recipe among them."""
    data, trials = job.work / "train", job.work / "trials"
    write_data(data, examples.train)
    trials.mkdir()
    models = job.challengers.models
    tasks = [FitTask(name, model, trials / f"{index}") for index, (name, model) in enumerate(models.items())]
    if champion is not None and not twin_of(models, champion):
        tasks.append(FitTask(_recipe_name(champion), champion.model, trials / "champion", champion.folder))
    return Batch("fit", data, tasks, examples.evaluation)


def evaluate_all(
    job: Job, examples: Examples, past: SnapshotPast, champion: Champion | None, trials: Batch, fits: Fits
) -> Report:
    """Evaluate everyone, fitted on what was known before the test window, on its requests."""
    app, tasks = job.runtime.app, trials.tasks
    twin = twin_of(job.challengers.models, champion)
    fitted = fits.of("fit", [task.name for task in tasks])
    answered = {
        name: result.answered
        for name, result in fitted.items()
        if isinstance(result, Fitted) and result.answered is not None
    }
    features = features_of(job, past)
    challengers = [_challenger(task, fitted[task.name], _role(job, task.name), examples, features) for task in tasks]
    if champion is not None and twin:
        same = next(challenger for challenger in challengers if challenger.name == twin)
        challengers.append(msgspec.structs.replace(same, name=_recipe_name(champion), role=CHAMPION))
        answered |= {challengers[-1].name: answered[twin]} if twin in answered else {}
    if champion is not None:
        challengers.append(_as_it_is(champion, features))
    report = evaluate(
        app.task,
        challengers,
        examples.evaluation,
        metrics=metrics_of(app),
        seed=job.seed,
        stopwatch=job.stopwatch,
        answered=answered,
    )
    job.report("evaluate", f"{len(challengers)} challengers on {report.requests:,} requests of {report.units:,} users")
    job.notes.extend(report.notes)
    return report


def twin_of(models: Mapping[str, Any], champion: Champion | None) -> str:
    """The candidate with the champion's recipe: fitted on the same data, it is the same. "" when there is none."""
    for name, model in models.items():
        if champion is not None and type(model) is type(champion.model) and model == champion.model:
            return name
    return ""


def _recipe_name(champion: Champion) -> str:
    return champion.name if champion.saw_test_window else champion.beside


def _role(job: Job, name: str) -> str:
    if name in job.challengers.candidates:
        return CANDIDATE
    return BASELINE if name in job.challengers.baselines else CHAMPION


def features_of(job: Job, past: SnapshotPast) -> OfflineFeatures | None:
    """The declared features as they were known and applied at the requests of the test window; None without any."""
    about = job.runtime.app.task.about
    if not about.feature_groups:
        return None
    return OfflineFeatures(about.feature_groups, past.frames(event_names(about)), apply_delay_us=past.lag.features_us)


def _challenger(
    task: FitTask, result: Fitted | Exception, role: str, examples: Examples, features: OfflineFeatures | None
) -> Challenger:
    if isinstance(result, Exception):
        return Challenger(task.name, role, failed=words_of(result))
    return Challenger(
        name=task.name,
        role=role,
        model=task.model,
        artifact=load_artifact(task.folder, result.files),
        as_of_us=examples.train.as_of_us,
        train_s=result.seconds,
        bytes=result.size,
        features=features,
    )


def _as_it_is(champion: Champion, features: OfflineFeatures | None) -> Challenger:
    folder = Path(champion.folder)
    return Challenger(
        name=champion.beside if champion.saw_test_window else champion.name,
        role=CHAMPION,
        model=champion.model,
        artifact=load_artifact(folder, champion.version.artifact_files),
        as_of_us=champion.version.as_of_us,
        train_s=0.0,
        bytes=sum(path.stat().st_size for path in folder.iterdir()),
        features=features,
        saw_test_window=champion.saw_test_window,
    )
