"""What an answer was made from, rebuilt from the log and the artifacts."""

import msgspec

from flyball.core import Refused, format_timestamp
from flyball.events import Offsets
from flyball.outcomes import Prediction
from flyball.provenance.columns import everything, frames_before
from flyball.provenance.log_features import LogFeatures
from flyball.provenance.past import state_for
from flyball.registry import REMOVED, Version
from flyball.runtime import Runtime
from flyball.serving import Loaded, load_version
from flyball.state import Catalog, load_catalog
from flyball.tasks import Popular, UserHistory, popular_of, read_histories


class Rebuilt(msgspec.Struct, frozen=True):
    """The user's history at the answer's offsets, None when the answer read none, and the catalogue."""

    history: UserHistory | None
    catalog: Catalog


def rebuild(runtime: Runtime, prediction: Prediction) -> Rebuilt:
    """Fold the log again up to the stamped offsets, for this user alone.

    Raises `Refused` when the log does not reach the offsets.
    """
    history, store = None, None
    if prediction.offsets:
        store = state_for(runtime, prediction.offsets, [prediction.user])
        history = read_histories(store, runtime.signals, [prediction.user])[0][0]
    if store is None or prediction.catalog not in ((), prediction.offsets):
        store = state_for(runtime, prediction.catalog, [])
    return Rebuilt(history, load_catalog(store, runtime.app.task.item))


def popular_list(runtime: Runtime, prediction: Prediction) -> Popular:
    """What was popular at the offsets stamped for it, or else at those of the state, from everyone's events."""
    offsets = prediction.lists or prediction.offsets or prediction.catalog
    return popular_of(frames_before(runtime, offsets, runtime.signals.plans, everything), runtime.signals)


def load(runtime: Runtime, version: Version, catalog: Catalog, features: Offsets = ()) -> Loaded:
    """The version as serving loads it; raises `ArtifactCorrupt` when its files are not what was registered, `Refused`
    when they were removed.

    `features`: the offsets that the answer's features had been computed from.
    """
    if version.artifact and not (runtime.artifacts / version.artifact).is_dir():
        raise Refused(_gone(runtime, version))
    known = {type(model) for model in runtime.app.candidates.values()}
    read = LogFeatures(runtime, features)
    return load_version(runtime.app.task, version, runtime.artifacts, known, catalog, read, None)


def _gone(runtime: Runtime, version: Version) -> str:
    told = f"the artifact of {version.id} must still be in {runtime.artifacts} to compute with, got no such folder"
    removals = [one for one in runtime.registry.audit() if one.action == REMOVED and one.subject == version.id]
    if not removals:
        return told
    return (
        f"{told}: it was removed at {format_timestamp(removals[-1].at_us)}, since {removals[-1].reason} (keep_answers)"
    )
