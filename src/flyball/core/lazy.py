"""Packages that import a name when it is first used, so that a command loads only what it needs."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

_PARSING = Lock()


def parse_source(text: str) -> "ast.Module":
    """Parse Python source; raises `SyntaxError`.

    A lock lets one thread parse at a time: in Python 3.11 two at once fail with `SystemError: AST constructor recursion
    depth mismatch` (github.com/python/cpython/issues/106905).

    >>> parse_source("x = 1").body[0].lineno
    1
    """
    import ast  # takes 10 ms, and is needed only once a lazy name is used

    with _PARSING:
        return ast.parse(text)


def lazy_door(door: str, file: str) -> Callable[[str], Any]:
    """The `__getattr__` of the package `door`, whose source is `file`: its lazy names are those that it imports under
    `if TYPE_CHECKING`.

    So each name is written once, where readers and type checkers find it.
    """
    modules: dict[str, str] = {}

    def __getattr__(name: str) -> Any:
        if not modules and not name.startswith("__"):
            modules.update(_type_only_imports(Path(file)))
        if name not in modules:
            raise AttributeError(f"module {door!r} has no attribute {name!r}", name=name, obj=sys.modules[door])
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[door], name, value)
        return value

    return __getattr__


def _type_only_imports(file: Path) -> dict[str, str]:
    """{name: module} of `from module import name` under `if TYPE_CHECKING`."""
    import ast

    blocks = [
        node.body
        for node in parse_source(file.read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    return {
        alias.name: node.module
        for block in blocks
        for node in block
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
