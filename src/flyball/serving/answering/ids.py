"""Checks ids: the values that a request type accepts in a field that refers to an entity."""

import re
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from flyball.core import BadInput
from flyball.events import Ref

_LONGEST = 400
"""The most bytes of an id, as of a key in the log."""

_INTEGER = re.compile(r"\A(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


class IdRule:
    """Checks ids of one kind of entity against the annotation that its references are declared with."""

    def __init__(self, entity: str, annotation: Any) -> None:
        self.entity, self._type = entity, annotation
        info = msgspec.inspect.type_info(annotation)
        self._integer = isinstance(info, msgspec.inspect.IntType)
        self._usual = _integers_of(info)
        self.json_schema: dict[str, Any] = msgspec.json.schema(annotation)

    def value(self, id: object) -> Any:
        """The id in its declared type, from text or that type; raises `BadInput` when it is malformed."""
        value = id
        if self._integer and isinstance(id, str):
            if not _INTEGER.match(id):
                raise BadInput(f"{self.entity} id", self._must(), id)
            value = int(id)
        if type(value) is int and value in self._usual:
            return value
        if isinstance(value, str) and not (
            value.isprintable() and 0 < len(value.encode()) <= _LONGEST and "\ufffd" not in value
        ):
            raise BadInput(f"{self.entity} id", f"printable text in UTF-8 of 1 to {_LONGEST} bytes", id)
        try:
            return msgspec.convert(value, self._type, strict=True)
        except msgspec.ValidationError:
            raise BadInput(f"{self.entity} id", self._must(), id) from None

    def _must(self) -> str:
        schema = self.json_schema
        if not self._integer:
            limits = [
                f"{name} {self.json_schema[name]}" for name in ("pattern", "maxLength") if name in self.json_schema
            ]
            return " with ".join(["text", *limits])
        low, high = schema.get("minimum"), schema.get("maximum")
        limits = [f"{word} {limit}" for word, limit in (("from", low), ("to", high)) if limit is not None]
        return " ".join(["an integer in ASCII digits without leading zeros", *limits])


def _integers_of(info: msgspec.inspect.Type) -> range:
    """Those that a type surely takes: none for a type of other values, or with other limits than a first and a last."""
    if not isinstance(info, msgspec.inspect.IntType) or (info.gt, info.lt, info.multiple_of) != (None, None, None):
        return range(0)
    first = -(1 << 63) if info.ge is None else info.ge
    last = (1 << 63) - 1 if info.le is None else info.le
    return range(first, last + 1)


def id_rules(struct: type[msgspec.Struct]) -> tuple[dict[str, IdRule], dict[str, IdRule]]:
    """({field: rule} of the fields that hold an id, {field: rule} of those that hold a list of ids)."""
    single, several = {}, {}
    for field, annotation in get_type_hints(struct, include_extras=True).items():
        if (entity := _entity_of(annotation)) is not None:
            single[field] = IdRule(entity, annotation)
        elif get_origin(annotation) is list and (entity := _entity_of(get_args(annotation)[0])) is not None:
            several[field] = IdRule(entity, get_args(annotation)[0])
    return single, several


def _entity_of(annotation: Any) -> str | None:
    return next((mark.entity for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Ref)), None)
