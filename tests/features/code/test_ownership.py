"""Whose code a module is."""

from pathlib import Path

import pytest

from flyball.features import is_own_code
from flyball.features.code.ownership import is_own_module


def test_flyball_what_is_installed_and_python_are_not_the_users_own() -> None:
    others = ("flyball.models.recommenders.ease", "msgspec", "numpy.linalg", "pathlib", "builtins")
    assert [is_own_code(module) for module in others] == [False] * 5
    assert is_own_code("flyball.apps.movies")


def test_a_file_that_can_be_imported_and_one_that_cannot_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_shop.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert is_own_code("own_shop")
    assert is_own_code("loaded_by_path.part")


def test_an_installed_package_is_its_own() -> None:
    assert is_own_module("msgspec.json", "msgspec")
    assert not is_own_module("msgspec.json", "other")
    assert not is_own_module("pathlib", "pathlib")
