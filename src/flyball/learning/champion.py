"""The version that serves now, as candidates are held against it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import FlyballError
from flyball.learning.job import Job
from flyball.learning.report import failure_text
from flyball.models import load_artifact, model_of
from flyball.registry import Version
from flyball.releases import ReleaseState


class Champion(msgspec.Struct, frozen=True):
    """The version that serves now, as it takes part; `saw_test_window`: it had learned from part of it.

    `name`: what candidates are held against, the version as it is, or when it saw that its recipe fitted on what was
    known before the window. The other of the two is `beside`, for comparison. `folder`: of its artifact.
    """

    name: str
    beside: str
    version: Version
    model: Any
    folder: Path
    saw_test_window: bool


def champion_of(job: Job, state: ReleaseState, split_us: int) -> Champion | None:
    """The champion as it takes part; None without one, or with a note when its artifact cannot be used."""
    if state.champion is None:
        return None
    version = job.runtime.registry.version(state.champion)
    folder = job.runtime.artifacts / version.artifact
    try:
        model = model_of(load_artifact(folder, version.artifact_files), job.runtime.app.model_classes)
    except FlyballError as error:
        job.notes.append(f"champion {version.id} could not be compared: {failure_text(error)}")
        return None
    seen = version.as_of_us >= split_us
    if seen:
        job.notes.append(
            f"champion {version.id} had learned from part of the test window; it is evaluated as its recipe fitted on "
            "what was known before the window, like all others, and its own metrics flatter it"
        )
    name = f"champion:{version.id}"
    return Champion(name, f"{name}:{'as-it-is' if seen else 'refitted'}", version, model, folder, seen)


def twin_of(models: Mapping[str, Any], champion: Champion | None) -> str:
    """The candidate with the champion's recipe: fitted on the same data, it is the same. "" when there is none."""
    for name, model in models.items():
        if champion is not None and type(model) is type(champion.model) and model == champion.model:
            return name
    return ""


def recipe_name(champion: Champion) -> str:
    """The name of its recipe, fitted on what was known before the test window."""
    return champion.name if champion.saw_test_window else champion.beside
