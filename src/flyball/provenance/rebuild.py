"""What an answer was made from, rebuilt from the log and the artifacts."""

import msgspec

from flyball.events import Offsets
from flyball.features import Catalog, StateStore, UserHistory, load_catalog, read_histories, state_at
from flyball.outcomes import Prediction
from flyball.registry import Version
from flyball.runtime import Runtime
from flyball.serving import Loaded, load_version


class Rebuilt(msgspec.Struct, frozen=True):
    """The user's history at the answer's offsets (None when the answer read none) and the catalogue."""

    history: UserHistory | None
    catalog: Catalog
    store: StateStore


def rebuild(runtime: Runtime, prediction: Prediction, everyone: bool = False) -> Rebuilt:
    """Fold the log again up to the stamped offsets, for this user alone.

    `everyone` folds all users, as the popular lists need. Raises `Refused` when the log does not reach the offsets.
    """
    offsets = prediction.offsets or prediction.catalog
    store = _state(runtime, offsets, None if everyone else [prediction.user])
    history = None
    if prediction.offsets:
        history = read_histories(store, runtime.signals, [prediction.user])[0][0]
    catalogued = store
    if prediction.catalog and prediction.catalog != offsets:
        catalogued = _state(runtime, prediction.catalog, [])
    return Rebuilt(history, load_catalog(catalogued, runtime.app.task.item), store)


def _state(runtime: Runtime, offsets: Offsets, users: list[str] | None) -> StateStore:
    return state_at(runtime.log, offsets, users, runtime.schema, runtime.signals, runtime.app.task.entities)


def load(runtime: Runtime, version: Version, catalog: Catalog) -> Loaded:
    """The version as serving loads it; raises `ArtifactCorrupt` when its files are not what was registered."""
    known = {type(model) for model in runtime.app.candidates.values()}
    return load_version(runtime.app.task, version, runtime.artifacts, known, catalog)
