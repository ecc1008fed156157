"""Fits one challenger, saves it as an artifact and evaluates it; runs in parallel processes."""

import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from flyball.app import App, AppSource
from flyball.core import BadInput, Stopwatch
from flyball.evaluation import Answered, Challenger, Evaluator
from flyball.learning.challengers import challengers_of, plain_name
from flyball.learning.past import SnapshotPast, read_features, read_past
from flyball.learning.shared_data import read_data
from flyball.models import Artifact, code_of, kind_of, load_artifact, model_of, params_of, save_artifact
from flyball.tasks import (
    ContinuesCandidates,
    EvaluationSet,
    ServingLag,
    Trained,
    TrainingData,
    TrainsCandidates,
)

FitStage = Literal["fit", "served", "refit"]


class FitStart(msgspec.Struct, frozen=True):
    """An artifact to continue from: its `folder`, its `files` {name: sha256}, and when what it learned was known."""

    folder: str
    files: dict[str, str]
    as_of_us: int


class FitOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger to fit, in this process or another one.

    `stage`: "fit" to evaluate it, "served" to compare it with what serves, "refit" to serve. `recipe`: the folder of
    the artifact whose model is fitted, "" for the application's challenger `name`. `data`: a folder of `write_data`.
    `folder`: of the new artifact; `manifest` is added to its manifest. `events`: a folder of `write_past` for a
    challenger that needs the past, else ""; `lag`: the delay with which serving saw events. `start`: what the
    challenger continues from, None for a fit on everything.
    """

    stage: FitStage
    name: str
    data: str
    folder: str
    seed: int
    recipe: str = ""
    manifest: dict[str, Any] = {}
    events: str = ""
    lag: ServingLag = ServingLag()
    start: FitStart | None = None


class Fitted(msgspec.Struct, frozen=True):
    """The result of a fit: the artifact's files {name: sha256}, its size in bytes, the time `fit` took, and its
    answers.

    `note`: a remark of the model on its fit.
    """

    files: dict[str, str]
    size: int
    seconds: float
    answered: Answered | None = None
    note: str = ""


def fit_elsewhere(source: AppSource, order: FitOrder, evaluation: bytes, stopwatch: Stopwatch) -> Fitted:
    """`fit_challenger` in another process, which loads the application. `evaluation`: made by `pack`."""
    app = source.load()  # first, since unpickling may need its classes
    # The bytes are an argument that the parent process sends through a private pipe, or within the Ray cluster, which
    # pickles all arguments itself. They are never in a file, and data and artifacts are never pickled. Another format
    # would have to be defined by each task, since contexts and truths may be of any class.
    unpacked = pickle.loads(evaluation)  # of our own parent process # noqa: S301 # nosec B301
    return fit_challenger(app, order, unpacked, stopwatch)


def pack(evaluation: EvaluationSet | None) -> bytes:
    """An evaluation set as bytes, to be unpickled once the application with its classes is loaded."""
    return pickle.dumps(evaluation, pickle.HIGHEST_PROTOCOL)


def fit_challenger(app: App, order: FitOrder, evaluation: EvaluationSet | None, stopwatch: Stopwatch) -> Fitted:
    """Fit a challenger, save it atomically, and evaluate it on `evaluation`; raises what the challenger raises."""
    if order.recipe:
        candidate = model_of(load_artifact(Path(order.recipe)), app.model_classes)
    else:
        candidate = challengers_of(app).models[plain_name(order.name)]
    described = {"kind": kind_of(candidate), "params": params_of(candidate), "code": code_of(candidate)}
    data = read_data(Path(order.data))
    past = read_past(Path(order.events), data.as_of_us, order.lag)
    start = stopwatch.read_s()
    trained = (
        train(app, candidate, data, past, order.seed)
        if order.start is None
        else _continued(app, candidate, data, order)
    )
    seconds = stopwatch.read_s() - start
    folder = Path(order.folder)
    manifest = order.manifest | described | {"seed": order.seed}
    try:
        files = save_artifact(folder, manifest, trained.arrays, texts=trained.texts)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    size = sum(path.stat().st_size for path in folder.iterdir())
    fitted = Fitted(files, size, seconds, note=trained.note)
    if evaluation is None:
        return fitted
    challenger = _challenger(app, candidate, data, order, files)
    return msgspec.structs.replace(fitted, answered=Evaluator(app.task, evaluation, stopwatch).answered(challenger))


def train(app: App, candidate: Any, data: TrainingData, past: SnapshotPast, seed: int) -> Trained:
    """Fit the candidate on `data`; `past`: the past as known at the data's `as_of_us`.

    Raises `BadInput` for a result that an artifact cannot hold, and what the candidate raises.
    """
    offline = app.task.offline()
    if isinstance(offline, TrainsCandidates):
        trained = offline.train(candidate, data, past, seed)
    else:
        trained = Trained(candidate.fit(data, past, seed))
    check_learned(candidate, trained.arrays)
    return trained


def _continued(app: App, candidate: Any, data: TrainingData, order: FitOrder) -> Trained:
    """What the candidate had learned at the start of the order, brought up to date by `data`."""
    offline, start = app.task.offline(), order.start
    if start is None or not isinstance(offline, ContinuesCandidates):
        raise BadInput("order to continue", "one of a task whose candidates can", type(app.task).__name__)
    learned = load_artifact(Path(start.folder), start.files)
    trained = offline.continued(candidate, learned, start.as_of_us, data, order.seed)
    check_learned(candidate, trained.arrays)
    return trained


def fitted_here(app: App, candidate: Any, data: TrainingData, past: SnapshotPast, seed: int) -> Artifact:
    """The fitted candidate as an artifact in memory, for an evaluation only."""
    return artifact_of(train(app, candidate, data, past, seed))


def artifact_of(trained: Trained) -> Artifact:
    """What was learned as an artifact in memory."""
    items = list(trained.texts.get("items", []))
    index = {item: number for number, item in enumerate(items)}
    return Artifact({}, dict(trained.arrays), items, index, dict(trained.texts))


def _challenger(app: App, candidate: Any, data: TrainingData, order: FitOrder, files: dict[str, str]) -> Challenger:
    return Challenger(
        order.name,
        model=candidate,
        artifact=load_artifact(Path(order.folder), files),
        as_of_us=data.as_of_us,
        features=read_features(app.task.about, order.events, order.lag),
    )


def check_learned(candidate: Any, learned: Any) -> None:
    """Raise `BadInput` unless an artifact can hold `learned`: {name: array of numbers or texts}."""
    what = f"what {type(candidate).__name__}.fit returns"
    if not isinstance(learned, Mapping):
        raise BadInput(what, "a dict of numpy arrays", type(learned).__name__)
    for name, array in learned.items():
        if not isinstance(array, np.ndarray):
            raise BadInput(what, f"numpy arrays, {name!r} too", type(array).__name__)
        if array.dtype.hasobject:
            raise BadInput(what, f"arrays of numbers or texts, {name!r} too", f"dtype {array.dtype}")
