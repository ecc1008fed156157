"""A registered version made ready to answer: loaded, verified, warmed."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from flyball.core import Refused
from flyball.models import Recommender, load_artifact, model_of
from flyball.registry import Version
from flyball.serving.answering.fallback import EVERYONE
from flyball.state import Catalog
from flyball.tasks import NEWCOMER, Pipeline, Query, ReadFeatures, Recommend, Shown, UserHistory

LISTED = 200
"""Length of the lists kept in memory: enough that filters and seen items leave a full one."""

_WARM_HISTORY = 3


class Loaded(msgspec.Struct, frozen=True):
    """A version's pipeline and its lists by group."""

    pipeline: Pipeline
    groups: dict[str, list[Shown]]


def load_version(
    task: Recommend,
    version: Version,
    artifacts: Path,
    known: Iterable[type[Recommender]],
    catalog: Catalog | None,
    features: ReadFeatures | None = None,
    now_us: int | None = 0,
) -> Loaded:
    """Load `version` against the hashes the registry holds, and answer once with it, so that every kernel is compiled.

    `known`: the application's own model classes. `features`: what a version with features reads them from; `now_us`:
    the instant of that first answer where features are read, None for no such answer. Raises `ArtifactCorrupt`,
    `Refused` (also for features declared otherwise than the version learned them), or what the model raises.
    """
    if version.state == "rejected":
        raise Refused(f"{version.id} must have passed its gates to serve, got rejected: {version.reason}")
    if not version.artifact:
        raise Refused(f"{version.id} must have an artifact to serve, got none")
    artifact = load_artifact(artifacts / version.artifact, version.artifact_files)
    pipeline = Pipeline(task, artifact, model_of(artifact, known), features)
    if now_us is not None:
        warm(pipeline, catalog, 0 if features is None else now_us)
    return Loaded(pipeline, group_lists(pipeline, catalog))


def verify_version(version: Version, artifacts: Path) -> None:
    """Raises `ArtifactCorrupt` when a file of `version` is no longer what the registry says."""
    load_artifact(artifacts / version.artifact, version.artifact_files)


def warm(pipeline: Pipeline, catalog: Catalog | None, now_us: int = 0) -> None:
    """Answer for a stranger and for a user with a history, alone and together, so that the first request is quick."""
    items = pipeline.artifact.items[:_WARM_HISTORY]
    count = len(items)
    known = UserHistory(
        "", items, np.ones(count, np.float32), np.ones(count, np.float32), np.zeros(count, np.int64), items
    )
    k = pipeline.task.k
    for batch in ([nobody(None)], [known], [known, nobody(None)]):
        pipeline.answer([Query("", k, now_us=now_us) for _ in batch], batch, catalog)


def group_lists(pipeline: Pipeline, catalog: Catalog | None) -> dict[str, list[Shown]]:
    """{group: the list that needs no model}, with `EVERYONE` for users of no known group."""
    names = [EVERYONE, *pipeline.groups]
    lists = pipeline.popular([Query("", LISTED) for _ in names], [nobody(name or None) for name in names], catalog)
    return {name: [each for each in shown if each.source != NEWCOMER] for name, shown in zip(names, lists, strict=True)}


def nobody(group: str | None) -> UserHistory:
    """The history of a user of whom only the group is known."""
    nothing = np.empty(0, np.float32)
    return UserHistory("", [], nothing, nothing, np.empty(0, np.int64), [], group)


def with_catalog(loaded: Loaded, catalog: Catalog) -> Loaded:
    """The same version over another catalogue, its view of it made before the first request needs it."""
    before = loaded.pipeline
    pipeline = Pipeline(before.task, before.artifact, before.model, before.features)
    return Loaded(pipeline, group_lists(pipeline, catalog))
