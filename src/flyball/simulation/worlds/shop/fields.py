"""Lines of declared event types: visitors and items in fields with a Ref, plausible values in the others."""

from typing import Any

import msgspec
from msgspec import inspect

from flyball.core import BadDeclaration
from flyball.events import Event, EventType, Schema

MAX_PRICE = 100.0


class Thing(msgspec.Struct, frozen=True):
    """An item of the shop."""

    id: int | str
    category: str
    price: float


class LineWriter:
    """Writes one event type as JSON lines: the first Ref is the visitor, the second the item.

    A number is the price of the item, moved into the declared range, and a text its category; a field of another type
    is omitted if it has a default. Raises an error for a field that cannot be filled.
    """

    def __init__(self, event: type[Event], schema: Schema, people: str | None, items: str) -> None:
        declared: EventType = schema.types[event.__name__.lower()]
        self.name, self._fields = declared.name, dict[str, Any]()
        entities = {entity: field for field, entity in declared.refs}
        missing = [entity for entity in (people, items) if entity is not None and entity not in entities]
        if missing:
            subject, refs = f"{event.__name__} in the shop's world", [entity for _, entity in declared.refs]
            raise BadDeclaration(subject, f"an event with a Ref to {' and '.join(missing)}", refs)
        self._person: str | None = None if people is None else entities[people]
        self._item = entities[items]
        for field in declared.declared:
            if field.entity is None and field.kind in (int, float, str):
                self._fields[field.name] = inspect.type_info(field.annotation)
            elif field.entity is None and field.required:
                must = "one that the shop's world can fill (a number or a text), or one with a default"
                raise BadDeclaration(f"field {event.__name__}.{field.name}", must, field.kind)

    def line(self, at_us: int, thing: Thing, person: int | None = None) -> bytes:
        """One event as a JSON line."""
        fields: dict[str, Any] = {"type": self.name, "at": at_us, self._item: thing.id}
        if self._person is not None:
            fields[self._person] = person
        fields |= {name: _value(kind, thing) for name, kind in self._fields.items()}
        return msgspec.json.encode(fields)


def _value(kind: inspect.Type, thing: Thing) -> int | float | str:
    if isinstance(kind, inspect.UnionType):  # an optional field
        kind = next(member for member in kind.types if not isinstance(member, inspect.NoneType))
    if not isinstance(kind, inspect.IntType | inspect.FloatType):
        return thing.category
    low = 0.0 if kind.ge is None else float(kind.ge)
    high = low + MAX_PRICE if kind.le is None else min(low + MAX_PRICE, float(kind.le))
    price = low + (high - low) * thing.price / MAX_PRICE
    return int(price) if isinstance(kind, inspect.IntType) else round(price, 2)
