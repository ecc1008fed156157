"""The settings of a home that are no stores: they hold wherever its stores lie."""

import tomllib
from pathlib import Path

import msgspec

from flyball.core import write_atomic
from flyball.settings import STORES


def own_settings(path: Path) -> dict[str, str]:
    """{name: line} of the settings in a file that are no stores."""
    if not path.exists():
        return {}
    values = tomllib.loads(path.read_text())
    return {name: _toml_line(name, value) for name, value in values.items() if name not in STORES}


def write_own_settings(source: Path, target: Path) -> None:
    """Write the settings of one file that are no stores into another."""
    lines = own_settings(source).values()
    if lines or target.exists():
        write_atomic(target, "".join(f"{line}\n" for line in lines).encode())


def _toml_line(name: str, value: object) -> str:
    """A setting as it is written in TOML, whose values are those of JSON but for tables.

    >>> _toml_line("sinks", ["log://"]), _toml_line("app", {"stars": 10})
    ('sinks = ["log://"]', 'app = {stars = 10}')
    """
    if isinstance(value, dict):
        return f"{name} = {{{', '.join(_toml_line(key, inner) for key, inner in value.items())}}}"
    return f"{name} = {msgspec.json.format(msgspec.json.encode(value), indent=0).decode()}"
