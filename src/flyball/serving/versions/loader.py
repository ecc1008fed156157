"""A registered version made ready to answer: loaded, verified, warmed."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from flyball.core import Refused
from flyball.models import Artifact, Recommender, load_artifact, model_of
from flyball.registry import Version
from flyball.tasks import Online, Pipeline


class Loaded(msgspec.Struct, frozen=True):
    """A version's pipeline and what it is made of, to open it again over other stores."""

    candidate: Recommender
    artifact: Artifact
    pipeline: Pipeline


def load_version(
    online: Online,
    version: Version,
    artifacts: Path,
    known: Iterable[type[Recommender]],
    warm_at_us: int | None = 0,
) -> Loaded:
    """Load `version` against the hashes the registry holds, and warm it up.

    `known`: the application's own model classes. `warm_at_us`: the time of the made-up requests, None for none. Raises
    `ArtifactCorrupt`, `Refused` (also for features declared otherwise than the version learned them), or what the model
    raises.
    """
    if version.state == "rejected":
        raise Refused(f"{version.id} must have passed its gates to serve, got rejected: {version.reason}")
    if not version.artifact:
        raise Refused(f"{version.id} must have an artifact to serve, got none")
    artifact = load_artifact(artifacts / version.artifact, version.artifact_files)
    candidate = model_of(artifact, known)
    pipeline = online.open(candidate, artifact, {})
    if warm_at_us is not None:
        pipeline.warm(warm_at_us)
    return Loaded(candidate, artifact, pipeline)


def reopen(loaded: Loaded, online: Online) -> Loaded:
    """The same version over other stores."""
    return msgspec.structs.replace(loaded, pipeline=online.open(loaded.candidate, loaded.artifact, {}))


def verify_version(version: Version, artifacts: Path) -> None:
    """Raises `ArtifactCorrupt` when a file of `version` is no longer what the registry says."""
    load_artifact(artifacts / version.artifact, version.artifact_files)
