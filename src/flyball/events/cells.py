"""Values that one cell of a table holds as JSON: lists and maps, as exports write them."""

from typing import Any

import msgspec

from flyball.core import BadInput
from flyball.events.declared import Field


def read_cell(value: Any, field: Field) -> Any:
    """The value of a cell: a text in a field of a map or of a list is JSON, and any other value is as it is.

    In a list, a text that is no JSON array stays as it is. Raises `BadInput` for a map that is no JSON object.

    >>> from flyball.events import Event, read_type
    >>> class Shown(Event):
    ...     keyed = False
    ...     items: list[str]
    >>> items, = read_type(Shown).declared
    >>> read_cell('["a|b", "c"]', items), read_cell("a|c", items)
    (['a|b', 'c'], 'a|c')
    """
    if not isinstance(value, str):
        return value
    if field.kind is dict:
        return _object(value, field.name)
    return _array(value) if field.kind is list and value.startswith("[") else value


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise BadInput(f"value of {name}", "a JSON object", text[:80]) from None


def _array(text: str) -> Any:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.MsgspecError:
        return text
