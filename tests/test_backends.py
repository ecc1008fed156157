"""A backend costs its file and a row of a table: no other code knows its name."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "flyball"

TABLES = {
    "events/log.py": "BACKENDS",
    "events/quarantine.py": "QUARANTINE_BACKENDS",
    "events/known_entities.py": "CATALOG_BACKENDS",
    "stores/store.py": "STATE_BACKENDS",
    "registry/store.py": "BACKENDS",
}

EXEMPT = {
    ("sqlite", "home.py"): "the layout of a home says which store lies where by default",
    ("lmdb", "home.py"): "the same",
    ("sqlite", "core/__init__.py"): "the door to the file that SQLite backends share",
    ("sqlite", "core/sqlite_file.py"): "what SQLite backends share",
    ("sqlite", "events/sqlite_schemas.py"): "a part of the event log in SQLite",
    ("sqlite", "events/id_index.py"): "the same",
    ("sqlite", "outcomes/store.py"): "outcomes have no table yet: SQLite only",
    ("sqlite", "outcomes/intervals.py"): "nor have the intervals that outcomes move",
    ("sqlite", "outcomes/stream_file.py"): "what these two share",
    ("sqlite", "releases/exposure_counts.py"): "nor have the counts of answers by arm",
    ("sqlite", "releases/shadow_counts.py"): "nor have those of a shadow's answers",
    ("sqlite", "runtime.py"): "the same: where the outcomes lie",
}


def table_of(file: str) -> dict[str, str]:
    module = import_module("flyball." + file.removesuffix(".py").replace("/", "."))
    table: dict[str, str] = getattr(module, TABLES[file])
    return table


def words_of(path: Path) -> Iterator[str]:
    """Identifiers, imported modules and texts of the code, without comments and docstrings."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.add(id(node.value))  # the text under a constant
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (alias.name for alias in node.names)


def mentions(scheme: str) -> set[str]:
    """The files whose code names a backend, other than by what lies under `testing`."""
    pattern = re.compile(rf"(?<![a-z]){scheme}(?![a-z])|{scheme.title()}(?=[A-Z])", re.M)
    return {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] != "testing" and any(pattern.search(word) for word in words_of(path))
    }


SCHEMES = sorted({scheme for file in TABLES for scheme in table_of(file)} - {"memory"})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_backend_is_known_to_its_file_and_its_table_only(scheme: str) -> None:
    own = {
        module.split(":")[0].removeprefix("flyball.").replace(".", "/") + ".py"
        for file in TABLES
        for name, module in table_of(file).items()
        if name == scheme
    }
    tables = {file for file in TABLES if scheme in table_of(file)}
    exempt = {file for name, file in EXEMPT if name == scheme}
    assert mentions(scheme) - own - tables - exempt == set()
    assert exempt <= mentions(scheme), "an exemption that is needed no more"


def test_the_count_finds_a_planted_name(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text('"""redis in prose."""\n# redis\nurl = "redis://host"\n')
    assert list(words_of(planted)).count("redis://host") == 1
    assert len(SCHEMES) >= 3
