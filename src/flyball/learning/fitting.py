"""Fit one challenger, save it as an artifact and ask it: the work that parallel processes do."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flyball.app import App, AppSource
from flyball.core import BadInput, Stopwatch
from flyball.evaluation import Answered, Challenger, Evaluator
from flyball.learning.contestants import contestants, model_classes
from flyball.learning.shared_data import read_frames, read_interactions
from flyball.models import (
    Interactions,
    Learned,
    Recommender,
    histories_of,
    kind_of,
    load_artifact,
    model_of,
    params_of,
    save_artifact,
    take,
)
from flyball.tasks import (
    BadScores,
    Behind,
    EvaluationSet,
    OfflineFeatures,
    RankingDataset,
    check_hashes,
    fallback_arrays,
)

_PROBED = 3


class FitOrder(msgspec.Struct, frozen=True):
    """What to fit on and where to put it. `data`: a folder of `write_interactions`; `folder`: the new artifact's.

    `events`: a folder of `write_frames`, for a model with features; `behind`: how late serving saw them.
    `evaluation`: what to ask once it is fitted.
    """

    data: str
    folder: str
    seed: int
    manifest: dict[str, Any]
    events: str = ""
    behind: Behind = Behind()
    evaluation: EvaluationSet | None = None


class Fitted(msgspec.Struct, frozen=True):
    """What came out: the artifact's files {name: sha256}, its size, how long `fit` took, and what it then answered."""

    files: dict[str, str]
    size: int
    seconds: float
    answered: Answered | None = None


def fit_named(source: AppSource, name: str, recipe: str, order: FitOrder, stopwatch: Stopwatch) -> Fitted:
    """`fit_model` in another process, which finds the application, and its own model classes, anew.

    `recipe`: the folder of an artifact whose model to fit again; "" for the challenger `name`.
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
    check_learned(model, learned)
    if not model.feature_hashes:  # those are asked through the pipeline only
        check_scores(model, learned, data)
    folder = Path(order.folder)
    manifest = order.manifest | {"kind": kind_of(model), "params": params_of(model), "seed": order.seed}
    try:
        files = save_artifact(folder, manifest, {**fallback_arrays(data), **learned}, data.items)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    fitted = Fitted(files, sum(path.stat().st_size for path in folder.iterdir()), seconds)
    if order.evaluation is None:
        return fitted
    return msgspec.structs.replace(fitted, answered=_ask(app, model, data, order, files, stopwatch))


def _ask(
    app: App, model: Recommender, data: Interactions, order: FitOrder, files: dict[str, str], stopwatch: Stopwatch
) -> Answered:
    assert order.evaluation is not None
    groups, features = app.task.about.feature_groups, None
    if groups and order.events:
        features = OfflineFeatures(groups, read_frames(Path(order.events)), apply_delay_us=order.behind.features_us)
    artifact = load_artifact(Path(order.folder), files)
    challenger = Challenger(
        Path(order.folder).name, model=model, artifact=artifact, as_of_us=data.as_of_us, features=features
    )
    return Evaluator(app.task, order.evaluation, stopwatch).answered(challenger)


def _fit(app: App, model: Recommender, data: Interactions, order: FitOrder) -> Learned:
    if not order.events:
        return model.fit(data, order.seed)
    check_hashes(app.task.about.feature_hashes, model.feature_hashes)
    past = RankingDataset(app.task, app.schema, read_frames(Path(order.events)), model, data, order.behind)
    return model.fit_past(past, order.seed)


def check_learned(model: Recommender, learned: Any) -> None:
    """Raises `BadInput` unless `learned` is what an artifact can hold: {name: array of numbers or texts}."""
    what = f"what {type(model).__name__}.fit returns"
    if not isinstance(learned, Mapping):
        raise BadInput(what, "a dict of numpy arrays", type(learned).__name__)
    for name, array in learned.items():
        if not isinstance(array, np.ndarray):
            raise BadInput(what, f"numpy arrays, {name!r} too", type(array).__name__)
        if array.dtype.hasobject:
            raise BadInput(what, f"arrays of numbers or texts, {name!r} too", f"dtype {array.dtype}")


def check_scores(model: Recommender, learned: Learned, data: Interactions) -> None:
    """Score a few users together and each alone: the bits must be the same, or no answer could be replayed.

    A score that ends its process ends this one, not the one that evaluates everybody. Raises `BadScores`.
    """
    frozen = {name: array.view() for name, array in learned.items()}
    for array in frozen.values():
        array.flags.writeable = False
    batch = histories_of(data, range(min(_PROBED, len(data.users))))
    together = model.score(frozen, batch)
    if not isinstance(together, np.ndarray) or together.shape != (batch.rows, len(data.items)):
        return  # the pipeline says what it must be
    for row in range(batch.rows):
        alone = model.score(frozen, take(batch, [row]))
        if not isinstance(alone, np.ndarray) or alone.tobytes() != together[row : row + 1].tobytes():
            raise BadScores(type(model).__name__, "the same bits each time and in any batch", "others for a user alone")
