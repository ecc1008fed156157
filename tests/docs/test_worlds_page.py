"""The page of worlds names every built-in world and every setting of it."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from flyball.policy import WORLDS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "worlds.md").read_text()


@pytest.mark.parametrize("name", WORLDS)
def test_each_world_has_a_section_with_its_settings(name: str) -> None:
    (section,) = re.findall(rf"^## `{name}`.*?(?=^## |\Z)", PAGE, re.M | re.S)
    module, made = WORLDS[name].split(":")
    settings = set(inspect.signature(getattr(import_module(module), made)).parameters) - {"seed", "start_us"}
    assert {setting for setting in settings if not re.search(rf"\b{setting}\b", section)} == set()
    for setting, default in re.findall(r"^\| `(\w+)` \| ([\d,.]+) \|", section, re.M):
        declared = inspect.signature(getattr(import_module(module), made)).parameters[setting].default
        assert float(default.replace(",", "")) == declared


def test_it_names_no_world_that_is_not_there() -> None:
    assert set(re.findall(r"^## `(\w+)`", PAGE, re.M)) == set(WORLDS)
