"""The name by which a class or a function of an installed package counts: the one that its package exports.

Where inside the package it is defined is the package's own affair: what moves from one inner module to another is the
same, as long as its public name is.
"""

import sys
import warnings
from collections.abc import Iterator
from operator import attrgetter
from typing import Any


def public_name(value: Any, module: str, name: str) -> str:
    """The shortest name of `value`, which `module` defines as `name`, in the packages that the module is in.

    A class of Flyball counts without its module, since there each name of a class occurs once. What no package exports
    counts with the module that defines it.

    >>> import pathlib, json
    >>> public_name(pathlib.Path, pathlib.Path.__module__, "Path")  # pathlib._local.Path in Python 3.13
    'pathlib.Path'
    >>> public_name(json.JSONDecoder, "json.decoder", "JSONDecoder")
    'json.JSONDecoder'
    """
    top = module.partition(".")[0]
    if top == "flyball" and isinstance(value, type):
        return f"{top}.{name}"
    exporting = (package for package in _packages_of(module) if _has(package, name, value))
    return f"{next(exporting, module)}.{name}"


def _packages_of(module: str) -> Iterator[str]:
    """The packages that a module is in, the outermost first, and the module itself."""
    parts = module.split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)))


def _has(package: str, name: str, value: Any) -> bool:
    loaded = sys.modules.get(package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that a package exports, but no longer likes to
        try:
            return attrgetter(name)(loaded) is value
        except (AttributeError, ImportError):
            return False
