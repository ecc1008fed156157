"""Fit one contestant and save it as an artifact: the work that parallel processes do."""

import shutil
from pathlib import Path
from typing import Any

import msgspec

from flyball.app import App, AppSource
from flyball.core import Stopwatch
from flyball.learning.contestants import contestants, model_classes
from flyball.learning.handover import read_frames, read_interactions
from flyball.models import (
    Interactions,
    Learned,
    Ranker,
    Recommender,
    histories_of,
    kind_of,
    load_artifact,
    model_of,
    params_of,
    save_artifact,
)
from flyball.tasks import LogPast, check_features, fallback_arrays

_PROBED = 3


class FitOrder(msgspec.Struct, frozen=True):
    """What to fit on and where to put it. `data`: a folder of `write_interactions`; `folder`: the new artifact's.

    `events`: a folder of `write_frames`, for a model with features.
    """

    data: str
    folder: str
    seed: int
    manifest: dict[str, Any]
    events: str = ""


class Fitted(msgspec.Struct, frozen=True):
    """What came out: the artifact's files {name: sha256}, its size, and how long `fit` took."""

    files: dict[str, str]
    size: int
    seconds: float


def fit_named(source: AppSource, name: str, recipe: str, order: FitOrder, stopwatch: Stopwatch) -> Fitted:
    """`fit_model` in another process, which finds the application, and its own model classes, anew.

    `recipe`: the folder of an artifact whose model to fit again; "" for the contestant `name`.
    """
    app = source.load()
    if not recipe:
        return fit_model(app, contestants(app).models[name], order, stopwatch)
    return fit_model(app, model_of(load_artifact(Path(recipe)), model_classes(app)), order, stopwatch)


def fit_model(app: App, model: Recommender, order: FitOrder, stopwatch: Stopwatch) -> Fitted:
    """Fit `model` and save it whole or not at all; raises whatever the model raises."""
    data = read_interactions(Path(order.data))
    start = stopwatch.read_s()
    learned = _fit(app, model, data, order)
    seconds = stopwatch.read_s() - start
    if not (isinstance(model, Ranker) and model.hashes):  # those are asked through the pipeline only
        # a score that ends its process shall end this one, not the one that judges everybody
        model.score(learned, histories_of(data, range(min(_PROBED, len(data.users)))))
    folder = Path(order.folder)
    manifest = order.manifest | {"kind": kind_of(model), "params": params_of(model), "seed": order.seed}
    try:
        files = save_artifact(folder, manifest, {**fallback_arrays(data), **learned}, data.items)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Fitted(files, sum(path.stat().st_size for path in folder.iterdir()), seconds)


def _fit(app: App, model: Recommender, data: Interactions, order: FitOrder) -> Learned:
    if not (isinstance(model, Ranker) and order.events):
        return model.fit(data, order.seed)
    check_features(app.task, model)
    past = LogPast(app.task, app.schema, read_frames(Path(order.events)), model, data)
    return model.fit_past(past, order.seed)
