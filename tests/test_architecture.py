"""The house keeps its plan: imports point down and go through the door, type-only and local ones too."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "flyball"

FLOORS = {
    "core": 0,
    "tracing": 0,
    "home": 1,
    "settings": 2,
    "events": 1,
    "compute": 1,
    "files": 1,
    "limits": 1,
    "statistics": 1,
    "policy": 1,
    "stores": 2,
    "history": 2,
    "features": 3,
    "state": 4,
    "models": 5,
    "tasks": 6,
    "outcomes": 7,
    "evaluation": 8,
    "registry": 9,
    "access": 10,
    "cutover": 10,
    "releases": 10,
    "app": 11,
    "runtime": 11,
    "data": 12,
    "experiments": 12,
    "monitoring": 13,
    "serving": 14,
    "learning": 15,
    "provenance": 16,
    "operations": 17,
    "migration": 18,
    "removal": 18,
    "capacity": 18,
    "simulation": 18,
    "backup": 19,
    "cli": 20,
    "dashboard": 20,
}
OUTSIDE = {"apps", "testing", "__init__", "__main__"}
SAME_FLOOR = {("runtime", "app"), ("tracing", "core")}


def imports_of(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(line, module, names) of every flyball import in the file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "flyball":
                    yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "relative", []
            elif (node.module or "").split(".")[0] == "flyball":
                yield node.lineno, node.module or "", [alias.name for alias in node.names]


def names_listed_by(door: Path) -> set[str]:
    """What a door's `__all__` lists."""
    for node in ast.parse(door.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return set(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return set()


def fault(room: str, module: str, names: list[str]) -> str | None:
    """Why a file of `room` may not import `names` from `module`; None when it may."""
    if module == "relative":
        return "imports are absolute"
    parts = module.split(".")
    if len(parts) == 1:
        return None if names == ["__version__"] else "rooms do not import the facade"
    target = parts[1]
    if target == room:
        return None
    if target not in FLOORS:
        return f"{target} is not a room that others import"
    if len(parts) > 2:
        return f"{target} is entered by its door"
    listed = names_listed_by(ROOT / target / "__init__.py") if (ROOT / target).is_dir() else set(names)
    if not set(names) <= listed:
        return f"{target} is entered by its door, not by its files"
    if FLOORS[target] < FLOORS[room] or (room, target) in SAME_FLOOR:
        return None
    return f"{target} (floor {FLOORS[target]}) is not below {room} (floor {FLOORS[room]})"


def files() -> list[tuple[str, Path]]:
    found = [(path.relative_to(ROOT).parts[0].removesuffix(".py"), path) for path in sorted(ROOT.rglob("*.py"))]
    assert len(found) > 20
    return [(room, path) for room, path in found if room not in OUTSIDE]


def test_imports_point_down_and_go_through_the_door() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {module}: {why}"
        for room, path in files()
        for line, module, names in imports_of(path)
        if (why := fault(room, module, names))
    ]
    assert not faults, "\n".join(faults)


def test_every_room_is_on_the_plan_and_has_a_door() -> None:
    for folder in (path for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"):
        if folder.name in OUTSIDE:
            continue
        assert folder.name in FLOORS, f"{folder.name} has no floor"
        door = ast.parse((folder / "__init__.py").read_text())
        assert ast.get_docstring(door), f"{folder.name} states no promise"
        names = {target.id for node in door.body if isinstance(node, ast.Assign) for target in node.targets}
        names |= {node.target.id for node in door.body if isinstance(node, ast.AnnAssign)}
        assert "__all__" in names, f"{folder.name} lists nothing"


def modules() -> dict[str, Path]:
    """{dotted name: file} of everything but doors, which import what they lead to."""
    return {
        ".".join(("flyball", *path.relative_to(ROOT).with_suffix("").parts)): path
        for path in sorted(ROOT.rglob("*.py"))
        if path.name != "__init__.py"
    }


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or not (Tarjan, SIAM J. Comput. 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for target in sorted(imports[module]):
            if target not in order:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], order[target])
        if lowest[module] == order[module]:
            circle = [stack.pop()]
            while circle[-1] != module:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in imports:
        if module not in order:
            visit(module)
    return found


def module_imports(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """{module: the modules it imports}, type-only and local imports too; through a door, nothing."""
    return {
        name: {
            target
            for _, module, names in imports_of(path)
            for target in (module, *(f"{module}.{each}" for each in names))
            if target in files and target != name
        }
        for name, path in files.items()
    }


CIRCLES: dict[frozenset[str], str] = {}
"""Circles that are there, with the reason."""


def test_no_modules_of_a_room_import_each_other_in_a_circle() -> None:
    found = {
        frozenset(name.removeprefix("flyball.") for name in circle) for circle in circles(module_imports(modules()))
    }
    assert found == set(CIRCLES)


def test_the_search_for_circles_finds_a_planted_one() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


SUBROOMS = {
    "features": ("code", "declaration", "offline", "online"),
    "models": ("kernels", "recommenders", "combined"),
    "serving": ("answering", "versions", "http", "processes"),
}
"""Floors inside rooms, the lowest first: a sub-room imports only from those before it."""

SAME_LEVEL = {("online", "offline"), ("offline", "online")}
"""Sub-rooms that stand side by side: neither imports the other."""


def test_sub_rooms_import_downward_only() -> None:
    faults = []
    for room, floors in SUBROOMS.items():
        for path in sorted((ROOT / room).rglob("*.py")):
            own = path.relative_to(ROOT / room).parts[0]
            if own not in floors:
                continue
            for line, module, _ in imports_of(path):
                parts = module.split(".")
                target = parts[2] if parts[1:2] == [room] and len(parts) > 2 else ""
                if target not in floors or target == own:
                    continue
                if floors.index(target) > floors.index(own) or (own, target) in SAME_LEVEL:
                    faults.append(f"{path.relative_to(ROOT)}:{line}: {room}/{own} imports {room}/{target}")
    assert not faults, "\n".join(faults)


SEVERAL: dict[str, str] = {"Result": "a type variable that does not leave its file"}
"""Public names that mean several things, with the reason."""


def public_names(path: Path) -> Iterator[str]:
    """The public classes and type aliases that a file defines."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name[0].isupper() and not name.isupper():
                yield name


def test_a_public_name_means_one_thing() -> None:
    where: dict[str, list[str]] = {}
    for room, path in files():
        if room != "testing":
            for name in public_names(path):
                where.setdefault(name, []).append(str(path.relative_to(ROOT)))
    several = {name: paths for name, paths in where.items() if len(paths) > 1}
    assert {name: paths for name, paths in several.items() if name not in SEVERAL} == {}
    assert set(SEVERAL) <= set(several), "an exemption for a name that is there once"


@pytest.mark.parametrize(
    ("room", "module", "names"),
    [
        ("events", "flyball.history", ["History"]),
        ("serving", "flyball.events.sqlite", ["SqliteLog"]),
        ("serving", "flyball.events", ["sqlite"]),
        ("tasks", "flyball", ["App"]),
        ("events", "flyball.policy", ["Outcome"]),
        ("events", "relative", []),
        ("core", "flyball.testing", ["x"]),
    ],
)
def test_the_check_finds_planted_faults(room: str, module: str, names: list[str]) -> None:
    assert fault(room, module, names)


def test_the_check_reads_local_and_type_only_imports(tmp_path: Path) -> None:
    source = tmp_path / "planted.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from flyball.cli import main\n"
        "def f():\n    import flyball.serving.http.app\n"
    )
    assert [module for _, module, _ in imports_of(source)] == ["flyball.cli", "flyball.serving.http.app"]
