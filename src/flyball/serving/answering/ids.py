"""What a well-formed id is: what the declared events would accept in the field that names the entity."""

import re
from typing import Any, get_type_hints

import msgspec

from flyball.core import BadInput
from flyball.events import Schema

_LONGEST = 400
"""Bytes; what the log takes as a key."""

_WHOLE = re.compile(r"\A(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


class KeyRule:
    """Checks ids of one kind of entity against the type its references are declared with."""

    def __init__(self, schema: Schema, entity: str) -> None:
        self.entity = entity
        self._type = _declared(schema, entity)
        self._whole = isinstance(msgspec.inspect.type_info(self._type), msgspec.inspect.IntType)
        self.described: dict[str, Any] = msgspec.json.schema(self._type)

    def key(self, given: object) -> str:
        """The key that `given`, text or the declared type, stands for; raises `BadInput` when it is malformed."""
        value = given
        if self._whole and isinstance(given, str):
            if not _WHOLE.match(given):
                raise BadInput(f"{self.entity} id", self._must(), given)
            value = int(given)
        if isinstance(value, str) and not (
            value.isprintable() and 0 < len(value.encode()) <= _LONGEST and "\ufffd" not in value
        ):
            raise BadInput(f"{self.entity} id", f"printable text in UTF-8 of 1 to {_LONGEST} bytes", given)
        try:
            return str(msgspec.convert(value, self._type, strict=True))
        except msgspec.ValidationError:
            raise BadInput(f"{self.entity} id", self._must(), given) from None

    def _must(self) -> str:
        if not self._whole:
            limits = [f"{name} {self.described[name]}" for name in ("pattern", "maxLength") if name in self.described]
            return " with ".join(["text", *limits])
        low, high = self.described.get("minimum"), self.described.get("maximum")
        limits = [f"{word} {limit}" for word, limit in (("from", low), ("to", high)) if limit is not None]
        return " ".join(["a whole number in ASCII digits without leading zeros", *limits])


def _declared(schema: Schema, entity: str) -> Any:
    """The annotation of the first declared reference to `entity`; whole numbers and text when there is none."""
    for event in schema.types.values():
        for field, named in event.refs:
            if named == entity:
                return get_type_hints(event.cls, include_extras=True)[field]
    return str
