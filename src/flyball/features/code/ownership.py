"""Whose code a module is: the user's own, or Flyball's, Python's or that of an installed package."""

import sys
from importlib.util import find_spec
from pathlib import Path

_APPS = "flyball.apps"
_INSTALLED = {"site-packages", "dist-packages"}


def is_own_module(module: str | None, package: str) -> bool:
    """Whether the module is the user's own: of `package`, or neither built in nor installed nor Flyball's."""
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names or top == "builtins":
        return False
    return top == package or (top != "flyball" and not _is_installed(top))


def is_own_code(module: str | None, package: str = "") -> bool:
    """The same where of Flyball the example applications alone are taken for the user's own.

    >>> [is_own_code(name) for name in ("flyball.models", "flyball.apps.movies", "msgspec", "pathlib", "my_shop")]
    [False, True, False, False, True]
    """
    name = module or ""
    return name.startswith(_APPS) if name.partition(".")[0] == "flyball" else is_own_module(name, package)


def _is_installed(top: str) -> bool:
    module = sys.modules.get(top)
    try:
        spec = getattr(module, "__spec__", None) if module is not None else find_spec(top)
    except (ImportError, ValueError):
        return False
    paths = [getattr(module, "__file__", None), *(spec.submodule_search_locations or () if spec is not None else ())]
    paths.append(spec.origin if spec is not None else None)
    return any(_INSTALLED & set(Path(path).parts) for path in paths if path)
