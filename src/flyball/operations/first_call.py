"""The example request that `flyball up` prints, made from the task's request type."""

import random
from collections.abc import Mapping
from typing import Any, get_type_hints
from urllib.parse import quote, urlencode

import msgspec
from msgspec.inspect import BoolType, EnumType, FloatType, IntType, LiteralType, Metadata, StrType, type_info

from flyball.core import BadInput, ManualClock
from flyball.serving import RequestReader
from flyball.tasks import About

_TEXTS = ("a", "a1", "1", "a-1", "aa", "11", "AA", "a-001", "2026-01-31")
"""Candidates for a text field; the first one that the field's pattern accepts is used."""


def first_call(about: About, url: str) -> str:
    """A command line that sends an example request to the service at `url`.

    It uses the shortest of the task's own GET paths, or `/v1/<kind>` with the required fields and the least values that
    they accept; where its type is one of the application's events, with `dry=true`, so that what is made up is neither
    kept nor learned from. Where no valid request can be made, the address of the page that lists all calls.
    """
    fields = _example(about.request)
    try:
        RequestReader(about.request, ManualClock(0), random.Random(0)).read(fields, strict=False)
    except BadInput:
        return f"{url}/docs, which lists all calls"
    templates = [path.partition(" ")[2] for path in about.paths if path.startswith("GET ")]
    for template in sorted(templates, key=len):
        if {part.partition("}")[0] for part in template.split("{")[1:]} == set(fields):
            return f"curl {url}{template.format_map({name: quote(str(fields[name])) for name in fields})}"
    if about.request not in about.event_types or "dry" in about.request.__struct_fields__:
        return f'curl "{url}/v1/{about.kind}?{urlencode(fields)}"'
    kept = f", of which nothing is kept; without dry=true it becomes an event {about.request.__name__.lower()}"
    return f'curl "{url}/v1/{about.kind}?{urlencode({**fields, "dry": "true"})}"{kept}'


def _example(request: type[msgspec.Struct]) -> Mapping[str, Any]:
    """{required field: a valid value}, without fields for which none can be made."""
    hints = get_type_hints(request, include_extras=True)
    required = [field.name for field in msgspec.structs.fields(request) if field.required and field.name != "at"]
    values = {name: _value(hints[name]) for name in required}
    return {name: value for name, value in values.items() if value is not None}


def _value(annotation: Any) -> Any:
    declared = type_info(annotation)
    match declared.type if isinstance(declared, Metadata) else declared:
        case IntType(gt=gt, ge=ge, le=le):
            return _near_one(ge if gt is None else gt + 1, le)
        case FloatType(ge=ge, le=le):
            return _near_one(ge, le)
        case BoolType():
            return "true"
        case LiteralType(values=values):
            return values[0]
        case EnumType(cls=enumeration):
            return next(iter(enumeration)).value
        case StrType():
            return next((text for text in _TEXTS if _accepted(text, annotation)), None)
    return None


def _near_one(least: float | None, most: float | None) -> float:
    """1, or the bound nearest to it."""
    if least is not None and least > 1:
        return least
    return most if most is not None and most < 1 else 1


def _accepted(text: str, annotation: Any) -> bool:
    try:
        msgspec.convert(text, annotation)
    except msgspec.ValidationError:
        return False
    return True
