"""Candidates, baselines and the champion on the same users, none of them having seen what they are judged on."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from flyball.core import FlyballError
from flyball.evaluation import BASELINE, CANDIDATE, CHAMPION, Contestant, GateResult, Report, check_gates, evaluate
from flyball.learning.contestants import model_classes
from flyball.learning.examples import Examples
from flyball.learning.fitting import Fitted
from flyball.learning.job import Job
from flyball.learning.shared_data import write_interactions
from flyball.learning.trials import Batch, Fits, Task, words_of
from flyball.models import Recommender, load_artifact, model_of
from flyball.outcomes import shown_items
from flyball.registry import Version
from flyball.releases import ReleaseState
from flyball.tasks import OfflineFeatures

_SHOWN_BEFORE_US = 86_400_000_000
"""What was shown a day before something was liked may have led to it, as outcomes count."""


class Champion(msgspec.Struct, frozen=True):
    """The version that serves now, as it takes part; `seen`: it had learned from part of the test window.

    `name`: what candidates are held against, the version as it is, or when `seen` its recipe fitted on what was known
    before the window. The other of the two is `beside`, for comparison.
    """

    name: str
    beside: str
    version: Version
    model: Recommender
    folder: str
    seen: bool


def champion_of(job: Job, state: ReleaseState, split_us: int) -> Champion | None:
    """The champion as a contestant; None without one, or with a note when its artifact cannot be used."""
    if state.champion is None:
        return None
    version = job.runtime.registry.version(state.champion)
    folder = job.runtime.artifacts / version.artifact
    try:
        model = model_of(load_artifact(folder, version.artifact_files), model_classes(job.runtime.app))
    except FlyballError as error:
        job.notes.append(f"champion {version.id} could not be compared: {words_of(error)}")
        return None
    seen = version.as_of_us >= split_us
    if seen:
        job.notes.append(
            f"champion {version.id} had learned from part of the test window; it is judged as its recipe fitted on "
            "what was known before the window, like all others, and its own figures flatter it"
        )
    name = f"champion:{version.id}"
    return Champion(name, f"{name}:{'as-it-is' if seen else 'refitted'}", version, model, str(folder), seen)


def trials_of(job: Job, examples: Examples, champion: Champion | None) -> Batch:
    """Everyone to fit on what was known before the test window, the champion's recipe among them."""
    data, trials = job.work / "train", job.work / "trials"
    write_interactions(data, examples.train)
    trials.mkdir()
    models = job.contestants.models
    tasks = [Task(name, model, trials / f"{place}") for place, (name, model) in enumerate(models.items())]
    if champion is not None and not twin_of(models, champion):
        tasks.append(Task(_recipe_name(champion), champion.model, trials / "champion", champion.folder))
    return Batch("fit", data, tasks, examples.cases)


def judge(job: Job, examples: Examples, champion: Champion | None, trials: Batch, fits: Fits) -> Report:
    """Evaluate everyone, fitted on what was known before the test window, on its users."""
    app, tasks = job.runtime.app, trials.tasks
    twin = twin_of(job.contestants.models, champion)
    fitted = fits.of("fit", [task.name for task in tasks])
    answers = {name: one.answers for name, one in fitted.items() if isinstance(one, Fitted) and one.answers is not None}
    features = _features(job, examples)
    found = [_contestant(task, fitted[task.name], _role(job, task.name), examples, features) for task in tasks]
    if champion is not None and twin:
        same = next(each for each in found if each.name == twin)
        found.append(msgspec.structs.replace(same, name=_recipe_name(champion), role=CHAMPION))
        answers |= {found[-1].name: answers[twin]} if twin in answers else {}
    if champion is not None:
        found.append(_as_it_is(champion, features))
    report = evaluate(
        app.task, found, examples.cases, examples.train, metric=app.choose.metric, seed=job.seed,
        stopwatch=job.stopwatch, weigh_targets=app.choose.weigh, shown=_shown(job, examples),
        least=app.gates.min_examples, answers=answers,
    )  # fmt: skip
    job.tell("evaluate", f"{len(found)} contestants on {report.users:,} users")
    if report.weighed is not None and (report.weighed.targets_shown or not report.weighed.decides):
        job.notes.append(report.weighed.text())
    return report


def gates_of(job: Job, report: Report, champion: Champion | None) -> dict[str, list[GateResult]]:
    """Each candidate's gates; those who failed are no measure for others."""
    app = job.runtime.app
    held = champion.name if champion is not None and not report.of(champion.name).failed else None
    baselines = [name for name in job.contestants.baselines if not report.of(name).failed]
    metric, twin = app.choose.metric, twin_of(job.contestants.models, champion)
    return {
        name: check_gates(app.gates, report, name, held, baselines, metric, same_recipe=name == twin)
        for name in job.contestants.candidates
    }


def rejection(gates: list[GateResult]) -> str:
    """Why the gates refuse, "" when they do not."""
    return "; ".join(f"{gate.name}: {gate.reason}" for gate in gates if not gate.passed)


def twin_of(models: Mapping[str, Recommender], champion: Champion | None) -> str:
    """The contestant with the champion's recipe: fitted on the same data, it is the same. "" when there is none."""
    for name, model in models.items():
        if champion is not None and type(model) is type(champion.model) and model == champion.model:
            return name
    return ""


def _shown(job: Job, examples: Examples) -> dict[str, dict[str, int]]:
    """What the service showed the users of the cases in the test window, and just before it."""
    window = examples.window
    return shown_items(job.runtime.predictions, examples.cases.users, window.start_us - _SHOWN_BEFORE_US, window.end_us)


def _recipe_name(champion: Champion) -> str:
    return champion.name if champion.seen else champion.beside


def _role(job: Job, name: str) -> str:
    if name in job.contestants.candidates:
        return CANDIDATE
    return BASELINE if name in job.contestants.baselines else CHAMPION


def _features(job: Job, examples: Examples) -> OfflineFeatures | None:
    """The declared features as they were known and applied at the questions of the test window."""
    groups = job.runtime.app.task.about.feature_groups
    delay_us = examples.behind.features_us
    return OfflineFeatures(groups, examples.frames, apply_delay_us=delay_us) if groups else None


def _contestant(
    task: Task, result: Fitted | Exception, role: str, examples: Examples, features: OfflineFeatures | None
) -> Contestant:
    if isinstance(result, Exception):
        return Contestant(task.name, role, failed=words_of(result))
    return Contestant(
        name=task.name,
        role=role,
        model=task.model,
        artifact=load_artifact(task.folder, result.files),
        as_of_us=examples.train.as_of_us,
        train_s=result.seconds,
        bytes=result.size,
        features=features,
    )


def _as_it_is(champion: Champion, features: OfflineFeatures | None) -> Contestant:
    folder = Path(champion.folder)
    return Contestant(
        name=champion.beside if champion.seen else champion.name,
        role=CHAMPION,
        model=champion.model,
        artifact=load_artifact(folder, champion.version.artifact_files),
        as_of_us=champion.version.as_of_us,
        train_s=0.0,
        bytes=sum(path.stat().st_size for path in folder.iterdir()),
        features=features,
        flattered=champion.seen,
    )
