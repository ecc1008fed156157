"""Doors import what is behind them when it is first used."""

import ast
import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

from flyball.core.lazy import lazy_door, parse_source

ROOT = Path(__file__).parents[2] / "src" / "flyball"
DOORS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if "lazy_door(" in path.read_text())


def test_a_name_is_imported_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    door = tmp_path / "door"
    door.mkdir()
    (door / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nfrom flyball.core.lazy import lazy_door\n"
        "if TYPE_CHECKING:\n    from door.room import chair, table\n"
        "__getattr__ = lazy_door(__name__, __file__)\n"
    )
    (door / "room.py").write_text("chair = 'wood'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = import_module("door")
    assert "door.room" not in sys.modules
    assert module.chair == "wood"
    assert "door.room" in sys.modules
    assert vars(module)["chair"] == "wood", "asked for once only"
    for missing in ("lamp", "table"):
        with pytest.raises(AttributeError, match=missing):
            getattr(module, missing)


def test_some_doors_are_lazy() -> None:
    assert {"core", "serving", "operations", "tasks", "features"} <= set(DOORS)
    assert callable(lazy_door("door", "nowhere.py"))


@pytest.mark.parametrize("door", DOORS)
def test_every_name_that_a_lazy_door_lists_is_there_and_no_module_hides_it(door: str) -> None:
    """A submodule of the same name would be found instead once anything has imported it, unless it is what is meant:
    a module of functions, such as `fb.metric`, that the door itself imports."""
    module = import_module(f"flyball.{door}")
    tree = ast.parse((ROOT / door / "__init__.py").read_text())
    meant = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == f"flyball.{door}"
        for alias in node.names
    }
    for name in set(module.__all__) - meant:
        assert getattr(module, name) is not sys.modules.get(f"flyball.{door}.{name}"), name


@pytest.mark.parametrize(
    "words",
    ["--version", "ingest --help", "check shop.py", "status shop.py", "versions list shop.py", "settings shop.py"],
)
def test_a_command_that_computes_nothing_loads_nothing_heavy(words: str, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "flyball"]
    for first in ("new shop", "ingest shop.py shop-events.jsonl"):
        subprocess.run([*run, *first.split()], cwd=tmp_path, check=True, capture_output=True)
    code = (
        "import sys\nfrom flyball.cli import app\n"
        "try: app(sys.argv[1:])\nexcept SystemExit as end: assert not end.code, end.code\n"
        "heavy = ('numba', 'polars', 'scipy', 'lightgbm', 'starlette', 'uvicorn', 'rich')\n"
        "print('loaded:', [name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *words.split()], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert result.stdout.splitlines()[-1] == "loaded: []"


def test_threads_parse_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise Python 3.11 now and then fails: the collector may let another thread run within a parse."""
    parsing, most, real = set[int](), list[int](), ast.parse

    def parse(text: str) -> ast.Module:
        parsing.add(threading.get_ident())
        most.append(len(parsing))
        tree = real(text)
        os.sched_yield()  # lets another thread run
        parsing.discard(threading.get_ident())
        return tree

    threads = [threading.Thread(target=lambda: [parse_source("x = 1") for _ in range(200)]) for _ in range(4)]
    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", parse)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == [1] * 800


def test_an_application_of_lists_loads_no_models_of_tables() -> None:
    program = (
        "import sys, flyball.apps.movies\n"
        "rooms = ('models.tabular.', 'tasks.predict.', 'features.online.', 'history.')\n"
        "loaded = (name.removeprefix('flyball.') for name in sys.modules)\n"
        "print(sorted(name for name in loaded if name.startswith(rooms)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['models.tabular.table']"
