"""Candidates, baselines and the champion on the same users, none of them having seen what they are judged on."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from flyball.core import FlyballError
from flyball.evaluation import BASELINE, CANDIDATE, CHAMPION, Contestant, GateResult, Report, check_gates, evaluate
from flyball.learning.contestants import model_classes
from flyball.learning.examples import Examples
from flyball.learning.fitting import Fitted
from flyball.learning.handover import write_interactions
from flyball.learning.job import Job
from flyball.learning.trials import Task, fit_all, words_of
from flyball.models import Recommender, load_artifact, model_of
from flyball.registry import Version
from flyball.releases import ReleaseState


class Champion(msgspec.Struct, frozen=True):
    """The version that serves now, as it takes part; `seen`: it had learned from part of the test window."""

    name: str
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
            "what was known before the window, like all others"
        )
    return Champion(f"champion:{version.id}", version, model, str(folder), seen)


def judge(job: Job, examples: Examples, champion: Champion | None) -> Report:
    """Fit everyone on what was known before the test window and evaluate them on its users."""
    app, data, trials = job.runtime.app, job.work / "train", job.work / "trials"
    write_interactions(data, examples.train)
    trials.mkdir()
    models = job.contestants.models
    tasks = [Task(name, model, trials / f"{place}") for place, (name, model) in enumerate(models.items())]
    twin = _twin(models, champion)
    if champion is not None and champion.seen and twin is None:
        tasks.append(Task(champion.name, champion.model, trials / "champion", champion.folder))
    fitted = fit_all(job, "fit", data, tasks)
    found = [_contestant(task, fitted[task.name], _role(job, task.name), examples) for task in tasks]
    if champion is not None and not champion.seen:
        found.append(_as_it_is(champion))
    elif champion is not None and twin is not None:
        same = next(each for each in found if each.name == twin)
        found.append(msgspec.structs.replace(same, name=champion.name, role=CHAMPION))
    report = evaluate(
        app.task, found, examples.cases, examples.train, metric=app.choose.metric, seed=job.seed,
        stopwatch=job.stopwatch,
    )  # fmt: skip
    job.tell("evaluate", f"{len(found)} contestants on {report.users:,} users")
    return report


def gates_of(job: Job, report: Report, champion: Champion | None) -> dict[str, list[GateResult]]:
    """Each candidate's gates; those who failed are no measure for others."""
    app = job.runtime.app
    held = champion.name if champion is not None and not report.of(champion.name).failed else None
    baselines = [name for name in job.contestants.baselines if not report.of(name).failed]
    metric = app.choose.metric
    return {name: check_gates(app.gates, report, name, held, baselines, metric) for name in job.contestants.candidates}


def rejection(gates: list[GateResult]) -> str:
    """Why the gates refuse, "" when they do not."""
    return "; ".join(f"{gate.name}: {gate.reason}" for gate in gates if not gate.passed)


def _twin(models: Mapping[str, Recommender], champion: Champion | None) -> str | None:
    """The contestant with the champion's recipe: fitted on the same data, it is the same."""
    for name, model in models.items():
        if champion is not None and type(model) is type(champion.model) and model == champion.model:
            return name
    return None


def _role(job: Job, name: str) -> str:
    if name in job.contestants.candidates:
        return CANDIDATE
    return BASELINE if name in job.contestants.baselines else CHAMPION


def _contestant(task: Task, result: Fitted | Exception, role: str, examples: Examples) -> Contestant:
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
    )


def _as_it_is(champion: Champion) -> Contestant:
    folder = Path(champion.folder)
    return Contestant(
        name=champion.name,
        role=CHAMPION,
        model=champion.model,
        artifact=load_artifact(folder, champion.version.artifact_files),
        as_of_us=champion.version.as_of_us,
        train_s=0.0,
        bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )
