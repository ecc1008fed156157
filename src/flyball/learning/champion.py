"""The champion, as candidates are compared with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import FlyballError
from flyball.learning.job import Job
from flyball.learning.report import failure_text
from flyball.models import artifact_folder, load_artifact, model_of
from flyball.registry import Version
from flyball.releases import ReleaseState


class Champion(msgspec.Struct, frozen=True):
    """The champion in a comparison. `saw_test_window`: it had learned from part of the test window.

    `name`: the challenger that candidates are compared with: the version as it is, or, when it saw the test window, its
    recipe fitted on what was known before the window. `beside`: the other of the two, for information. `folder`: of its
    artifact.
    """

    name: str
    beside: str
    version: Version
    model: Any
    folder: Path
    saw_test_window: bool


def champion_of(job: Job, state: ReleaseState, split_us: int) -> Champion | None:
    """The champion; None without one, and, with a note in the job, when its artifact cannot be used."""
    if state.champion is None:
        return None
    version = job.runtime.registry.version(state.champion)
    try:
        folder = artifact_folder(job.runtime.artifact_files, version.artifact, version.artifact_files)
        model = model_of(load_artifact(folder, version.artifact_files), job.runtime.app.model_classes)
    except FlyballError as error:
        job.notes.append(f"champion {version.id} could not be compared: {failure_text(error)}")
        return None
    seen = version.as_of_us >= split_us
    name = f"champion:{version.id}"
    return Champion(name, f"{name}:{'as-it-is' if seen else 'refitted'}", version, model, folder, seen)


def twin_of(models: Mapping[str, Any], champion: Champion | None) -> str:
    """The candidate with the champion's recipe, which fitted on the same data is the same model; "" without one."""
    for name, model in models.items():
        if champion is not None and type(model) is type(champion.model) and model == champion.model:
            return name
    return ""


def seen_note(champion: Champion | None, continues: bool) -> list[str]:
    """What a person should know of a champion that had learned from part of the test window."""
    if champion is None or not champion.saw_test_window:
        return []
    instead = (
        "its checkpoint, which knew nothing of the window,"
        if continues
        else "its recipe, fitted on what was known before the window like all others,"
    )
    return [
        f"champion {champion.version.id} had learned from part of the test window; {instead} is evaluated instead; "
        "its own metrics are too good"
    ]


def recipe_name(champion: Champion) -> str:
    """The name of the champion's recipe, fitted on what was known before the test window."""
    return champion.name if champion.saw_test_window else champion.beside
