"""The fits of a run: all challengers on what was known before the test window, then candidates on everything known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from flyball.learning.challengers import needs_past, variant_name
from flyball.learning.champion import Champion, recipe_name, twin_of
from flyball.learning.cleanup import artifact_name
from flyball.learning.continuation import Continuation, continued_name
from flyball.learning.fit import FitOrder, FitStage
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast, event_names, write_past
from flyball.learning.shared_data import write_data
from flyball.learning.training_windows import WindowedData
from flyball.tasks import Examples


def trials_of(
    job: Job,
    past: SnapshotPast,
    examples: Examples,
    champion: Champion | None,
    plan: Continuation | None = None,
    windows: Sequence[WindowedData] = (),
) -> list[FitOrder]:
    """The fits for the evaluation, on what was known before the test window: all challengers, and the champion's
    recipe. `plan`: how the champion's candidate continues. `windows`: further ones that candidates are fitted on."""
    data, trials, models = job.work / "train", job.work / "trials", job.challengers.models
    write_data(data, examples.train)
    trials.mkdir()
    orders = [
        _starting(fit_order(job, past, "fit", name, model, data, trials / f"{index}"), plan, "trial")
        for index, (name, model) in enumerate(models.items())
    ]
    for data_of in windows:
        window = data_of.window.name
        write_data(job.work / f"train-{window}", data_of.train)
        for index, name in enumerate(job.challengers.candidates):
            folder = trials / f"{index}-{window}"
            variant = variant_name(name, window)
            orders.append(fit_order(job, past, "fit", variant, models[name], job.work / f"train-{window}", folder))
    if champion is not None and not twin_of(models, champion):
        name, folder = recipe_name(champion), trials / "champion"
        orders.append(fit_order(job, past, "fit", name, champion.model, data, folder, recipe=champion.folder))
    if champion is not None and plan is not None and plan.only_compared:
        name, folder = continued_name(champion), trials / "continued"
        order = fit_order(job, past, "fit", name, champion.model, data, folder, recipe=champion.folder)
        orders.append(msgspec.structs.replace(order, start=plan.trial))
    return orders


def refits_of(
    job: Job,
    past: SnapshotPast,
    examples: Examples,
    origin: Mapping[str, Any],
    plan: Continuation | None = None,
    windows: Sequence[WindowedData] = (),
) -> list[FitOrder]:
    """The fits for serving, on what is known now: all candidates. `origin`: for the manifests of their artifacts."""
    data, artifacts = job.work / "everything", job.runtime.artifacts
    write_data(data, examples.full)
    artifacts.mkdir(parents=True, exist_ok=True)
    orders = []
    for name in job.challengers.candidates:
        folder = artifacts / artifact_name(job.run.id, name)
        order = fit_order(job, past, "refit", name, job.challengers.models[name], data, folder)
        order = _starting(order, plan, "full")
        orders.append(msgspec.structs.replace(order, manifest={**origin, "candidate": name}))
    for data_of in windows:
        data = job.work / f"everything-{data_of.window.name}"
        write_data(data, data_of.full)
        for name in job.challengers.candidates:
            variant = variant_name(name, data_of.window.name)
            folder = artifacts / artifact_name(job.run.id, variant)
            order = fit_order(job, past, "refit", variant, job.challengers.models[name], data, folder)
            orders.append(msgspec.structs.replace(order, manifest={**origin, "candidate": name}))
    return orders


def _starting(order: FitOrder, plan: Continuation | None, start: Literal["trial", "full"]) -> FitOrder:
    """The order, continuing where the plan says so."""
    if plan is None or plan.only_compared or order.name != plan.candidate:
        return order
    return msgspec.structs.replace(order, start=getattr(plan, start))


def fit_order(
    job: Job,
    past: SnapshotPast,
    stage: FitStage,
    name: str,
    model: Any,
    data: Path,
    folder: Path,
    recipe: Path | None = None,
) -> FitOrder:
    """The fit of a challenger on everything in `data`."""
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
