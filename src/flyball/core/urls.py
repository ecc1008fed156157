"""Backends are chosen by URL: one table for each kind of store, one function to load them."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from flyball.core.errors import BadSetting, UnknownBackend


class Url(msgspec.Struct, frozen=True):
    """A store's address: `scheme://path?option=value`."""

    scheme: str
    path: str
    options: dict[str, str]

    def integer(self, name: str, default: int) -> int:
        """The whole-number option `name`, or `default`; raises `BadSetting` for anything else."""
        text = self.options.get(name)
        if text is None:
            return default
        if not text.isdecimal():
            raise BadSetting(f"option {name} of {self.scheme}:// must be a whole number, got {text!r}")
        return int(text)


def parse_url(text: str) -> Url:
    """`sqlite:///a/b.db?partitions=4` → Url("sqlite", "/a/b.db", {"partitions": "4"}); raises `BadSetting`."""
    parts = urlsplit(text)
    if not parts.scheme or "://" not in text:
        raise BadSetting(f"store URL must look like scheme://path, got {text!r}")
    return Url(parts.scheme, unquote(parts.netloc + parts.path), dict(parse_qsl(parts.query)))


def load_backend(kind: str, table: Mapping[str, str], scheme: str) -> Any:
    """The class that `table` ({scheme: "module:name"}) lists for `scheme`; raises `UnknownBackend`."""
    if scheme not in table:
        raise UnknownBackend(kind, scheme, table)
    module, name = table[scheme].split(":")
    return getattr(import_module(module), name)


def local_path(kind: str, url: str, scheme: str = "file") -> Path:
    """The path of a store that must be on this machine: `file:///srv/shop/history` → /srv/shop/history.

    Raises `UnknownBackend` for a URL with another scheme.
    """
    parsed = parse_url(url)
    if parsed.scheme != scheme:
        raise UnknownBackend(kind, parsed.scheme, [scheme])
    return Path(parsed.path)
