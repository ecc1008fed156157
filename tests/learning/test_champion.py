"""The champion as it takes part: as it is, or its recipe when it saw the test window; never where it cannot be read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

import flyball as fb
from flyball.learning.champion import Champion, champion_of, recipe_name, seen_note, twin_of
from flyball.models import kind_of, params_of, save_artifact
from flyball.registry import Version
from flyball.releases import ReleaseState

MODEL, SPLIT_US = fb.Popular(half_life="7d"), 1_000
FILES: dict[str, str] = {}
"""{file: sha256} of the artifact that was written last."""


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    """The folder of artifacts with one of `MODEL`."""
    manifest = {"kind": kind_of(MODEL), "params": params_of(MODEL)}
    FILES.update(save_artifact(tmp_path / "a1", manifest, {"scores": np.zeros(2, np.float32)}, ["x", "y"]))
    return tmp_path


def version(as_of_us: int, artifact: str = "a1") -> Version:
    given: dict[str, Any] = {"id": "v7", "as_of_us": as_of_us, "artifact": artifact, "artifact_files": dict(FILES)}
    values = {"str": "", "int": 0, "float": 0.0, "bool": False}
    for field in msgspec.structs.fields(Version):
        if field.required and field.name not in given:
            name = getattr(field.type, "__name__", "")
            given[field.name] = values.get(name, {} if "dict" in str(field.type) else "")
    return Version(**given)


def job(folder: Path, stored: Version) -> Any:
    registry = SimpleNamespace(version=lambda id: {stored.id: stored}[id])
    app = SimpleNamespace(model_classes=())
    return SimpleNamespace(runtime=SimpleNamespace(registry=registry, artifact_files=folder, app=app), notes=[])


def champion(folder: Path, as_of_us: int) -> Champion:
    found = champion_of(job(folder, version(as_of_us)), ReleaseState(champion="v7"), SPLIT_US)
    assert found is not None
    return found


def test_without_a_champion_there_is_none(learned: Path) -> None:
    assert champion_of(job(learned, version(0)), ReleaseState(), SPLIT_US) is None


def test_one_that_knew_nothing_of_the_window_takes_part_as_it_is_beside_its_recipe_on_newer_data(learned: Path) -> None:
    found = champion(learned, SPLIT_US - 1)
    assert (found.model, found.saw_test_window, found.folder) == (MODEL, False, learned / "a1")
    assert (found.name, found.beside) == ("champion:v7", "champion:v7:refitted")
    assert recipe_name(found) == "champion:v7:refitted"


def test_one_that_saw_the_window_takes_part_by_its_recipe_and_a_note_says_so(learned: Path) -> None:
    work = job(learned, version(SPLIT_US))
    found = champion_of(work, ReleaseState(champion="v7"), SPLIT_US)
    assert found is not None
    assert (found.saw_test_window, found.beside, recipe_name(found)) == (True, "champion:v7:as-it-is", "champion:v7")
    (note,) = seen_note(found, continues=False)
    assert note.startswith("champion v7 had learned from part of the test window; its recipe, fitted on what was known")
    assert "its checkpoint, which knew nothing of the window, is" in seen_note(found, continues=True)[0]


def test_one_whose_artifact_is_gone_is_not_compared_and_a_note_says_why(learned: Path) -> None:
    work = job(learned, version(0, artifact="a2"))
    assert champion_of(work, ReleaseState(champion="v7"), SPLIT_US) is None
    assert work.notes[0].startswith("champion v7 could not be compared: ")


def test_a_twin_has_the_class_and_every_parameter(learned: Path) -> None:
    found = champion(learned, 0)
    others = {"random": fb.Random(), "longer": fb.Popular(half_life="8d")}
    assert twin_of(others, found) == ""
    assert twin_of({**others, "same": fb.Popular(half_life="7d")}, found) == "same"
    assert twin_of({"same": MODEL}, None) == ""
