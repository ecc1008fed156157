"""The parsed files of modules, loaded or not; nothing is imported."""

import ast
import linecache
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flyball.core import BadDeclaration
from flyball.features.code.function_nodes import parsed_file


def tree_of(file: str) -> ast.Module:
    """A parsed file as it is now; empty where it cannot be read. Raises `SyntaxError`."""
    linecache.checkcache(file)
    return parsed_file("".join(linecache.getlines(file)))


def parsed_module(module: str, what: str) -> tuple[ast.Module, str]:
    """A parsed module, and the package that its relative imports start from.

    Raises `BadDeclaration`, which says that `what` imports it, where its source cannot be read.
    """
    file = file_of_module(module)
    try:
        tree = None if file is None else tree_of(file)
    except SyntaxError:
        tree = None
    if file is None or tree is None:
        raise BadDeclaration(f"module {module}, which {what} imports", "one whose source can be read", file)
    return tree, module if Path(file).stem == "__init__" else module.rpartition(".")[0]


def file_of_module(module: str) -> str | None:
    """The source of a module, whether it is loaded or not; None where there is none."""
    loaded = sys.modules.get(module)
    try:
        spec = find_spec(module) if loaded is None else None
    except (ImportError, ValueError):
        return None
    file = getattr(loaded, "__file__", None) or (None if spec is None else spec.origin)
    return str(file) if file is not None and Path(file).is_file() else None


def file_of_scope(scope: Mapping[str, Any]) -> str:
    """The file of a module with these names; "" for one without."""
    return str(scope.get("__file__", ""))


def package_of_scope(scope: Mapping[str, Any]) -> str:
    """The package of a module with these names; "" for one without."""
    return str(scope.get("__package__") or "")
