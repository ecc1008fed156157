"""Writes documents of text, numbers, lists and mappings as YAML, so that people can read and change them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_PLAIN = re.compile(r"\A[A-Za-z_][A-Za-z0-9_.-]*\Z")
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def to_yaml(document: Any) -> str:
    """The document as YAML 1.2; texts are quoted unless they are words.

    >>> print(to_yaml({"groups": [{"name": "a", "rules": [{"expr": 'up{job="x"} == 0', "for": "5m"}]}]}), end="")
    groups:
      - name: a
        rules:
          - expr: 'up{job="x"} == 0'
            for: "5m"
    """
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(document: Any) -> Iterator[str]:
    if isinstance(document, Mapping):
        for name, value in document.items():
            if isinstance(value, Mapping | list | tuple) and value:
                yield f"{_scalar(name)}:"
                yield from (f"  {line}" for line in _lines(value))
            else:
                yield f"{_scalar(name)}: {_scalar(value)}"
    elif isinstance(document, Sequence) and not isinstance(document, str):
        for member in document:
            first, *others = _lines(member)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    else:
        yield _scalar(document)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _RESERVED:
        return value
    if isinstance(value, str) and '"' in value and value.isprintable():
        doubled = value.replace("'", "''")
        return f"'{doubled}'"
    return msgspec.json.encode(value).decode()
