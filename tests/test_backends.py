"""A backend costs its file and a row of a table: no other code knows its name."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "flyball"

TABLES = {
    "events/log.py": "BACKENDS",
    "events/line_streams.py": "LINE_STREAMS",
    "events/quarantine.py": "QUARANTINE_BACKENDS",
    "events/known_entities.py": "CATALOG_BACKENDS",
    "stores/store.py": "STATE_BACKENDS",
    "registry/store.py": "BACKENDS",
    "files/opening.py": "FILE_BACKENDS",
    "outcomes/tables.py": "OUTCOME_BACKENDS",
    "compute/opening.py": "COMPUTE_BACKENDS",
    "tracing/tracer.py": "TRACE_BACKENDS",
}

EXEMPT = {
    ("sqlite", "home.py"): "the layout of a home says which store lies where by default",
    ("lmdb", "home.py"): "the same",
    ("sqlite", "core/__init__.py"): "the door to the file that SQLite backends share",
    ("sqlite", "core/sqlite_file.py"): "what SQLite backends share",
    ("postgresql", "core/postgres_server.py"): "what PostgreSQL backends share",
    ("sqlite", "events/sqlite_schemas.py"): "a part of the event log in SQLite",
    ("sqlite", "events/id_index.py"): "the same",
    ("sqlite", "events/kafka/local_index.py"): "the ids in a topic lie in a SQLite file of the machine",
    ("kafka", "events/kafka/client.py"): "a part of the event log on Kafka",
    ("kafka", "events/kafka/fetcher.py"): "the same",
    ("kafka", "events/kafka/groups.py"): "the same",
    ("kafka", "events/kafka/local_index.py"): "the same",
    ("kafka", "events/kafka/options.py"): "the same",
    ("kafka", "events/kafka/rewriting.py"): "the same",
    ("kafka", "events/kafka/schemas.py"): "the same",
    ("kafka", "events/kafka/topic.py"): "the same",
    ("kafka", "events/kafka/writer.py"): "the same",
    ("sqlite", "releases/exposure_counts.py"): "the counts of answers by arm have no table yet: SQLite only",
    ("sqlite", "releases/shadow_counts.py"): "nor have those of a shadow's answers",
    ("ray", "compute/ray_cluster.py"): "a part of compute on Ray",
    ("kafka", "operations/deployment/requirements.py"): "the packages of an image for servers, by the names of extras",
    ("redis", "operations/deployment/requirements.py"): "the same",
    ("s3", "cli/search.py"): "the third search is called so",
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


@cache
def words_by_file() -> dict[str, str]:
    """{file: what its code names, a line each}; read once for all backends."""
    return {
        str(path.relative_to(ROOT)): "\n".join(words_of(path))
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] != "testing"
    }


def mentions(scheme: str) -> set[str]:
    """The files whose code names a backend, other than by what lies under `testing`."""
    pattern = re.compile(rf"(?<![a-z]){scheme}(?![a-z])|{scheme.title()}(?=[A-Z])", re.M)
    return {file for file, words in words_by_file().items() if pattern.search(words)}


SCHEMES = sorted(
    {scheme for file in TABLES for scheme in table_of(file)} - {"memory", "file", "processes"}
)  # words that mean more


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
