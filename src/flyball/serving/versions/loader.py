"""A registered version made ready to answer: loaded, verified, warmed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import Refused
from flyball.models import Artifact, Recommender, load_artifact, model_of
from flyball.registry import Version
from flyball.tasks import Online, Pipeline


class Loaded(msgspec.Struct, frozen=True):
    """A version's pipeline and what it is made of, to open it again over other stores or by another arrangement.

    `declaration`: what its task declared when it was learned. `online`: the door of that task.
    """

    candidate: Recommender
    artifact: Artifact
    pipeline: Pipeline
    online: Online
    declaration: dict[str, Any]


def load_version(
    online: Online,
    version: Version,
    artifacts: Path,
    known: Iterable[type[Recommender]],
    warm_at_us: int | None = 0,
    arrangement: Mapping[str, Any] | None = None,
) -> Loaded:
    """Load `version` against the hashes the registry holds, and warm it up.

    `online`: the door of the task as the version's declaration restores it. `known`: the application's own model
    classes. `arrangement`: what it re-ranks by, None for what the task declares. `warm_at_us`: the time of the made-up
    requests, None for none. Raises `ArtifactCorrupt`, `Refused` (also for features declared otherwise than the version
    learned them), or what the model raises.
    """
    if version.state == "rejected":
        raise Refused(f"{version.id} must have passed its gates to serve, got rejected: {version.reason}")
    if not version.artifact:
        raise Refused(f"{version.id} must have an artifact to serve, got none")
    artifact = load_artifact(artifacts / version.artifact, version.artifact_files)
    candidate = model_of(artifact, known)
    pipeline = online.open(candidate, artifact, arrangement or {})
    if warm_at_us is not None:
        pipeline.warm(warm_at_us)
    return Loaded(candidate, artifact, pipeline, online, version.declaration)


def reopen(loaded: Loaded, online: Online, arrangement: Mapping[str, Any]) -> Loaded:
    """The same version over other stores, or by another arrangement."""
    pipeline = online.open(loaded.candidate, loaded.artifact, arrangement)
    return msgspec.structs.replace(loaded, pipeline=pipeline, online=online)


def verify_version(version: Version, artifacts: Path) -> None:
    """Raises `ArtifactCorrupt` when a file of `version` is no longer what the registry says."""
    load_artifact(artifacts / version.artifact, version.artifact_files)
