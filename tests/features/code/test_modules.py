"""Parsed files of modules that are not imported."""

import ast
from pathlib import Path

import pytest

from flyball.core import BadDeclaration
from flyball.features.code.modules import file_of_module, file_of_scope, package_of_scope, parsed_module, tree_of


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose modules fail when they are imported."""
    folder = tmp_path / "own_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name, text in (("late", "raise RuntimeError"), ("broken", "def (")):
        (tmp_path / f"own_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_module_is_parsed_and_not_imported(own: Path) -> None:
    tree, package = parsed_module("own_late", "model Own")
    assert (ast.unparse(tree), package) == ("raise RuntimeError", "")
    assert file_of_module("own_late") == str(own / "own_late.py")


def test_relative_imports_start_from_a_package_itself(own: Path) -> None:
    assert parsed_module("own_package", "model Own")[1] == "own_package"


@pytest.mark.parametrize("module", ["own_broken", "own_absent", "own_absent.part"])
def test_a_module_without_source_is_refused(own: Path, module: str) -> None:
    with pytest.raises(BadDeclaration, match=f"module {module}, which model Own imports must be one whose source"):
        parsed_module(module, "model Own")


def test_a_file_is_read_as_it_is_now(own: Path) -> None:
    file = own / "edited.py"
    texts = []
    for text in ("first = 1", "second = 22"):
        file.write_text(text)
        texts.append(ast.unparse(tree_of(str(file))))
    assert texts == ["first = 1", "second = 22"]


def test_names_say_their_file_and_package() -> None:
    assert (file_of_scope({}), package_of_scope({"__package__": None})) == ("", "")
    assert file_of_scope(globals()) == __file__
