"""Rebuilds what an answer was made from, from the log and the artifacts, and loads it with the code of serving."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import Refused, format_timestamp
from flyball.events import Offsets
from flyball.models import has_artifact
from flyball.outcomes import Prediction, request_of_prediction
from flyball.provenance.columns import everything, frames_before
from flyball.provenance.log_features import LogFeatures
from flyball.registry import REMOVED, Version
from flyball.releases import arrangement_value
from flyball.runtime import Runtime
from flyball.serving import Loaded, VersionLoader, items_of, titles_of
from flyball.state import load_catalog, state_at
from flyball.stores import StateStore, open_state
from flyball.tasks import AnswersAtOnce, DescribesContexts, Fallback, Request, Stores

if TYPE_CHECKING:
    import polars


class Rebuilt(msgspec.Struct, frozen=True):
    """What an answer was made from. `version`: None when no version made it. `contexts`: the context of the request,
    None when no state was read; `knowledge`: the same as text. `titles`: {item: title} at that time."""

    request: Request
    version: Version | None
    contexts: list[Any] | None
    knowledge: str
    titles: Mapping[str, str]
    _runtime: Runtime
    _loader: VersionLoader
    _arrangement: Mapping[str, Any]

    def load(self) -> Loaded:
        """The version as serving loaded it.

        Raises `ArtifactCorrupt` when its files differ from what was registered, `Refused` when they were removed, and
        when no version made the answer.
        """
        if self.version is None:
            raise Refused(
                "a version must have made the answer to be loaded, got none: "
                "name the id of an answer that a version made"
            )
        if self.version.artifact and not has_artifact(self._runtime.artifact_files, self.version.artifact):
            raise Refused(_gone(self._runtime, self.version))
        return self._loader.load(self.version, self._arrangement, warm_at_us=None)

    def fallback(self) -> Fallback:
        """The fallback lists, with those that the version had precomputed."""
        task = self._runtime.app.task
        if self.version is None and isinstance(task, AnswersAtOnce):
            return task.first_fallback(self._arrangement)
        declaration = {} if self.version is None else self.version.declaration
        return self._loader.online(declaration).fallback(None if self.version is None else self.load().pipeline)


def rebuild(runtime: Runtime, prediction: Prediction) -> Rebuilt:
    """Apply the log up to the stamped offsets, for the key of this request alone, by the version's declaration.

    Raises `NotFound` for an unknown version or arrangement, and `Refused` when the log ends before the offsets, or when
    the request or the declaration does not fit the application as declared now.
    """
    version = runtime.registry.version(prediction.version) if prediction.version else None
    arrangement = arrangement_value(runtime.registry, prediction.arrangement, {})
    request = request_of_prediction(prediction, runtime.app.task.about.request)
    task = runtime.task_of({} if version is None else version.declaration)
    views = runtime.views_of(task)

    def state_of(offsets: Offsets, keys: list[str]) -> StateStore:
        return state_at(runtime.log, offsets, views, keys)

    def events(names: Iterable[str]) -> "dict[str, polars.DataFrame]":
        offsets = prediction.fallback or prediction.offsets or prediction.catalog
        return frames_before(runtime, offsets, names, everything)

    state = state_of(prediction.offsets, [prediction.key]) if prediction.offsets else None
    items = items_of(task.about)
    catalogs, titles = {}, dict[str, str]()
    if items is not None:
        same = state is not None and prediction.catalog in ((), prediction.offsets)
        catalog = load_catalog(state if same and state else state_of(prediction.catalog, []), items)
        catalogs, titles = {items.name: catalog}, titles_of(catalog, items)
    features = LogFeatures(runtime, prediction.reads[0].offsets if prediction.reads else ())
    shown = open_state("memory://") if state is None else state
    stores = Stores(
        shown,
        features,
        catalogs,
        events,
        lambda level: prediction.interval,
        lambda request, limit: prediction.reviews_today,
    )
    loader = VersionLoader(runtime.app, runtime.artifact_files, stores, runtime.schema.written)
    contexts, knowledge = None, ""
    if state is not None or not views:  # a task without views needs no offsets
        online = loader.online(None if version is None else version.declaration)
        contexts = list(online.contexts([request])[0])
        knowledge = online.describe(contexts[0]) if isinstance(online, DescribesContexts) else ""
    return Rebuilt(request, version, contexts, knowledge, titles, runtime, loader, arrangement)


def _gone(runtime: Runtime, version: Version) -> str:
    where = runtime.artifact_files.where
    missing = f"the artifact of {version.id} must still be in {where} to compute with, got no such folder"
    removals = [entry for entry in runtime.registry.audit() if entry.action == REMOVED and entry.subject == version.id]
    if not removals:
        return missing
    removed = removals[-1]
    return f"{missing}: it was removed at {format_timestamp(removed.at_us)}, since {removed.reason} (keep_answers)"
