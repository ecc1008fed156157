"""The packages of an image: those that Flyball and the application use here, each by the version that is installed."""

import ast
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

_REQUIREMENT = re.compile(r"\A([A-Za-z0-9._-]+)(?:\[([^]]*)\])?\s*([^;]*)(?:;(.*))?\Z", re.S)
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
EXTRAS = ("kafka", "objects", "postgres", "redis")
"""What an application needs beside servers that machines share."""


def pinned_requirements(files: Iterable[Path]) -> list[str]:
    """Lines of a requirements file, sorted; what is not installed here has the range that Flyball states."""
    pinned: dict[str, str] = {}
    _add("flyball", EXTRAS, "", pinned)
    known = packages_distributions()
    for name in sorted({name for file in files for name in _imported(file)}):
        for package in known.get(name, ()):
            _add(package, (), "", pinned)
    return [pinned[name] for name in sorted(pinned)]


def _add(name: str, extras: Iterable[str], stated: str, pinned: dict[str, str]) -> None:
    key = re.sub(r"[-_.]+", "-", name).lower()
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        if stated:
            pinned.setdefault(key, f"{key}{stated}")
        return
    if key in pinned and not extras:
        return
    pinned[key] = f"{key}=={installed.version}"
    for line in installed.requires or ():
        match = _REQUIREMENT.match(line.strip())
        if match is None:
            continue
        marker = match[4] or ""
        needed_by = _EXTRA.search(marker)
        if needed_by is None or needed_by[1] in extras:
            optional = (match[2] or "").replace(" ", "").split(",") if match[2] else ()
            # a marker of a system or a Python that is not this one: what it names is not installed
            _add(match[1], optional, match[3].strip() if needed_by and name == "flyball" else "", pinned)


def _imported(file: Path) -> set[str]:
    """The packages that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.split(".")[0])
    return names
