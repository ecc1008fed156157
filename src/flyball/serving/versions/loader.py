"""Loads a registered version: verifies its files, opens it with the task as declared then, and warms it up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.app import App
from flyball.core import Refused
from flyball.events import WrittenType
from flyball.files import FileStore
from flyball.models import Artifact, artifact_folder, check_task_code, load_artifact, model_of
from flyball.registry import Version
from flyball.releases import check_version_features
from flyball.tasks import Candidate, Online, Pipeline, Stores


class Loaded(msgspec.Struct, frozen=True):
    """A version that can answer: `online` reads the contexts of its requests. The rest is what it is made of.

    `revision`: of the arrangement, 0 for the one declared now.
    """

    pipeline: Pipeline
    online: Online
    version: Version
    arrangement: Mapping[str, Any]
    revision: int
    candidate: Candidate
    artifact: Artifact


class VersionLoader:
    """Opens versions of `app` over `stores`, each by the declaration it was made with.

    `written`: what the log's records were written with.
    """

    def __init__(
        self, app: App, artifacts: Path | FileStore, stores: Stores, written: Sequence[WrittenType] = ()
    ) -> None:
        self._app, self._artifacts, self._stores, self._written = app, artifacts, stores, written
        self._onlines: dict[str, Online] = {}

    def online(self, declaration: Mapping[str, Any] | None = None) -> Online:
        """The online interface of the task as in a version's `declaration` (default: as declared now).

        Raises `Refused` for what the application no longer declares.
        """
        declared = declaration or self._app.task.about.declaration
        name = msgspec.json.encode(declared, order="deterministic").decode()
        if name not in self._onlines:
            self._onlines[name] = self._app.task_of(declaration or {}, self._written).online(self._stores)
        return self._onlines[name]

    def load(
        self,
        version: Version,
        arrangement: Mapping[str, Any] | None = None,
        revision: int = 0,
        warm_at_us: int | None = 0,
    ) -> Loaded:
        """Load `version` against the hashes the registry holds, and warm it up.

        `arrangement`: what it serves by (default: as declared now). `warm_at_us`: the time of the made-up
        requests, None for none. Raises `ArtifactCorrupt`, `Refused` (also for what is declared otherwise than the
        version learned it), or what the model raises.
        """
        if version.state == "rejected":
            raise Refused(f"{version.id} must have passed its gates to serve, got rejected: {version.reason}")
        if not version.artifact:
            raise Refused(f"{version.id} must have an artifact to serve, got none: run flyball learn")
        check_task_code(version.code, self._app.task)
        artifact = load_artifact(self.folder(version), version.artifact_files)
        candidate = model_of(artifact, self._app.model_classes)
        online = self.online(version.declaration)
        check_version_features(self._app.task.about, version)
        pipeline = online.open(candidate, artifact, arrangement or {})
        if warm_at_us is not None:
            pipeline.warm(warm_at_us)
        return Loaded(pipeline, online, version, arrangement or {}, revision, candidate, artifact)

    def reopen(self, loaded: Loaded, arrangement: Mapping[str, Any], revision: int) -> Loaded:
        """A loaded version over the stores of this loader, which serves by `arrangement`."""
        online = self.online(loaded.version.declaration)
        pipeline = online.open(loaded.candidate, loaded.artifact, arrangement)
        return msgspec.structs.replace(
            loaded, pipeline=pipeline, online=online, arrangement=arrangement, revision=revision
        )

    def verify(self, version: Version) -> None:
        """Raise `ArtifactCorrupt` when a file of `version` differs from its hash in the registry."""
        load_artifact(self.folder(version), version.artifact_files)

    def folder(self, version: Version) -> Path:
        """The folder of a version's artifact on this machine, fetched where it is in an object store."""
        return artifact_folder(self._artifacts, version.artifact, version.artifact_files)
