"""What an answer was made from, rebuilt from the log and the artifacts."""

from typing import Any

import msgspec

from flyball.core import Refused, format_timestamp
from flyball.outcomes import Prediction, request_of_prediction
from flyball.provenance.columns import everything, frames_before
from flyball.provenance.log_features import LogFeatures
from flyball.provenance.past import state_for
from flyball.registry import REMOVED, Version
from flyball.releases import arrangement_value
from flyball.runtime import Runtime
from flyball.serving import Loaded, load_version
from flyball.state import Catalog, load_catalog
from flyball.stores import open_state
from flyball.tasks import Online, Popular, Recommend, Stores, popular_of

BY_VERSION = ("champion", "chosen", "previous")
"""The levels at which a version answers."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What an answer was made from: the online door, over rebuilt stores, of the task as its version declared it, and
    the context of its request, None when it read none. `catalog`: of the items, as it was. `task`: that task."""

    task: Recommend
    online: Online
    context: Any | None
    catalog: Catalog


def rebuild(runtime: Runtime, prediction: Prediction) -> Rebuilt:
    """Apply the log again up to the stamped offsets, for the key of this request alone.

    Raises `Refused` when the log does not reach the offsets, or when the request is not of the type declared now.
    """
    task = task_of(runtime, prediction)
    request = request_of_prediction(prediction, task.about.request)
    state = state_for(runtime, prediction.offsets, [prediction.key], task) if prediction.offsets else None
    if state is not None and prediction.catalog in ((), prediction.offsets):
        catalog = load_catalog(state, task.item)
    else:
        catalog = load_catalog(state_for(runtime, prediction.catalog, [], task), task.item)
    features = LogFeatures(runtime, prediction.reads[0].offsets if prediction.reads else ())
    stores = Stores(open_state("memory://") if state is None else state, features, {task.item.name: catalog})
    online = task.online(stores)
    return Rebuilt(task, online, None if state is None else online.contexts([request])[0][0], catalog)


def task_of(runtime: Runtime, prediction: Prediction) -> Recommend:
    """The task as the version that answered declared it; today's for a prediction by a level of the fallback."""
    if prediction.level not in BY_VERSION:
        return runtime.app.task
    return runtime.app.task_of(runtime.registry.version(prediction.version).declaration)


def popular_list(runtime: Runtime, prediction: Prediction) -> Popular:
    """What was popular at the offsets stamped for it, or else at those of the state, from everyone's events."""
    offsets = prediction.fallback or prediction.offsets or prediction.catalog
    return popular_of(frames_before(runtime, offsets, runtime.signals.plans, everything), runtime.signals)


def load(runtime: Runtime, version: Version, online: Online, arrangement: int) -> Loaded:
    """The version as serving loads it, re-ranked by a revision of the arrangement.

    Raises `ArtifactCorrupt` when its files are not what was registered, `Refused` when they were removed.
    """
    if version.artifact and not (runtime.artifacts / version.artifact).is_dir():
        raise Refused(_gone(runtime, version))
    rule = arrangement_value(runtime.registry, arrangement, runtime.app.task.about.arrangement)
    return load_version(online, version, runtime.artifacts, runtime.app.model_classes, None, rule)


def _gone(runtime: Runtime, version: Version) -> str:
    told = f"the artifact of {version.id} must still be in {runtime.artifacts} to compute with, got no such folder"
    removals = [one for one in runtime.registry.audit() if one.action == REMOVED and one.subject == version.id]
    if not removals:
        return told
    return (
        f"{told}: it was removed at {format_timestamp(removals[-1].at_us)}, since {removals[-1].reason} (keep_answers)"
    )
