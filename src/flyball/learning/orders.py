"""The fits of a run: all challengers on what was known before the test window, then candidates on everything known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyball.learning.challengers import needs_past
from flyball.learning.champion import Champion, recipe_name, twin_of
from flyball.learning.cleanup import artifact_name
from flyball.learning.fit import FitOrder, FitStage
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names, write_past
from flyball.learning.shared_data import write_data
from flyball.tasks import Examples


def trials_of(job: Job, past: SnapshotPast, examples: Examples, champion: Champion | None) -> list[FitOrder]:
    """The fits for the evaluation, on what was known before the test window: all challengers, and the champion's
    recipe."""
    data, trials, models = job.work / "train", job.work / "trials", job.challengers.models
    write_data(data, examples.train)
    trials.mkdir()
    orders = [
        _order(job, past, "fit", name, model, data, trials / f"{index}")
        for index, (name, model) in enumerate(models.items())
    ]
    if champion is not None and not twin_of(models, champion):
        name, folder = recipe_name(champion), trials / "champion"
        orders.append(_order(job, past, "fit", name, champion.model, data, folder, recipe=champion.folder))
    return orders


def refits_of(job: Job, past: SnapshotPast, examples: Examples, origin: Mapping[str, Any]) -> list[FitOrder]:
    """The fits for serving, on everything known: all candidates. `origin`: for the manifests of their artifacts."""
    data, artifacts = job.work / "everything", job.runtime.artifacts
    write_data(data, examples.full)
    artifacts.mkdir(parents=True, exist_ok=True)
    orders = []
    for name in job.challengers.candidates:
        folder = artifacts / artifact_name(job.run.id, name)
        order = _order(job, past, "refit", name, job.challengers.models[name], data, folder)
        orders.append(msgspec.structs.replace(order, manifest={**origin, "candidate": name}))
    return orders


def _order(
    job: Job,
    past: SnapshotPast,
    stage: FitStage,
    name: str,
    model: Any,
    data: Path,
    folder: Path,
    recipe: Path | None = None,
) -> FitOrder:
    task, events = job.runtime.app.task, None
    if needs_past(task, model):
        events = job.work / "events"
        write_past(events, past, event_names(task.about))
    return FitOrder(
        stage=stage,
        name=name,
        data=str(data),
        folder=str(folder),
        seed=job.seed,
        recipe="" if recipe is None else str(recipe),
        events="" if events is None else str(events),
        lag=past.lag,
    )
