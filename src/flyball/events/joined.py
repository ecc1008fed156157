"""Joined event types: an event of one type together with a later one of another type that has the same key.

A joined event has the fields of both and becomes known when the later of the two does. It is never written to the log:
consumers join while they read, history joins its frames. Every pair within the span is one event, so the order of
arrival does not matter and no joined event is ever retracted. A pair is not joined when one of its events becomes known
more than `LATE_US` after the span has closed, which bounds the number of waiting events. The two sides of history may
be imported one after the other, also into a log that receives live events. Imported events wait until imports of the
other side have passed them by the span, `LATE_US` and an hour, or live events have continued that long since the last
import. Live events wait until live events or imports of the other side have passed them. What is imported even later
is joined all the same: events that have expired by then are searched in the log. Source: windowed stream-stream inner
joins of Kafka Streams and Flink.
"""

from collections.abc import Sequence
from hashlib import sha256
from types import new_class
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from flyball.core import BadDeclaration, declared_duration
from flyball.events.declared import read_type
from flyball.events.original_names import original_field_names, original_type_name
from flyball.events.types import Event, Profile, Renamed

LATE_US = 7 * 86_400_000_000
_RULE = 4
"""The version of the rule by which pairs are made while reading. 1 lost pairs of a history whose sides were imported
one after the other; 2 lost them where live events had arrived before, 3 where the other side of a live
event was imported long after it."""


class Join(msgspec.Struct, frozen=True):
    """How two event types are joined. `first_key`, `second_key`: the fields that must be equal; both ends of the span
    are included."""

    first: type[Event]
    second: type[Event]
    first_key: str
    second_key: str
    within_us: int
    at: Literal["first", "second"]

    def plain(self) -> dict[str, Any]:
        """What the joined events depend on as plain values, in the words of the declaration."""
        keys = [self.first_key] if self.first_key == self.second_key else [self.first_key, self.second_key]
        return {
            "first": self.first.__name__,
            "second": self.second.__name__,
            "by": keys,
            "within_us": self.within_us,
            "at": self.at,
        }

    @property
    def hash(self) -> str:
        """16 hex digits: a hash of what the joined events depend on besides the log and the declarations of the two
        sides.

        Renaming a side or key does not change it, so events that wait for the other side are kept.
        """
        sides = [original_type_name(side) for side in (self.first, self.second)]
        first_key = original_field_name(self.first, self.first_key)
        second_key = original_field_name(self.second, self.second_key)
        meaning = (_RULE, sides, first_key, second_key, self.within_us, self.at)
        return sha256(repr(meaning).encode()).hexdigest()[:16]


def joined(
    name: str,
    first: type[Event],
    second: type[Event],
    *,
    by: str,
    within: str,
    at: Literal["first", "second"] = "first",
) -> type[Event]:
    """An event type that joins each `first` event to each `second` one that follows within the span with the same `by`.

    `by`: a field of both, or the entity that a field of each refers to. The type has the fields of both (a common field
    has the first's value) and `elapsed_us`, the time between them; its event time is that of the first or the second,
    as `at` says. Declare it in `events=`, and use it like any other in labels and features. Raises `BadDeclaration`.

    >>> from typing import Annotated
    >>> from flyball.events import Ref
    >>> class Order(Event):
    ...     order: Annotated[int, Ref("order")]
    ...     km: float
    >>> class Delivered(Event):
    ...     order: Annotated[int, Ref("order")]
    >>> joined("Delivery", Order, Delivered, by="order", within="1d").__struct_fields__
    ('at', 'order', 'km', 'elapsed_us')
    """
    where = f"joined({name!r})"
    if not (isinstance(name, str) and name.isidentifier()):
        raise BadDeclaration("first argument of joined", "the name of the new type, such as 'Fraud'", name)
    if at not in ("first", "second"):
        raise BadDeclaration(f"at of {where}", '"first" or "second"', at)
    for side in (first, second):
        if not (isinstance(side, type) and issubclass(side, Event)) or issubclass(side, Profile) or join_of(side):
            raise BadDeclaration(f"types of {where}", "two event types, neither a profile nor joined itself", side)
    if first is second:
        raise BadDeclaration(f"types of {where}", "two different ones", first)
    fields = fields_of(second) | fields_of(first)
    fields = {name: fields[name] for name in dict.fromkeys((*fields_of(first), *fields))}
    if "elapsed_us" in fields:
        raise BadDeclaration(f"fields of {where}", "other than elapsed_us, which it adds", "elapsed_us")
    join = Join(
        first,
        second,
        _key_field(where, first, by),
        _key_field(where, second, by),
        declared_duration(f"within of {where}", within),
        at,
    )
    hints = get_type_hints(second, include_extras=True) | get_type_hints(first, include_extras=True)
    namespace: dict[str, Any] = {
        "__module__": first.__module__,
        "__doc__": f"{first.__name__}, then {second.__name__} within {within}.",
        "__join__": join,
        "__annotations__": {**{name: _without_renames(hints[name]) for name in fields}, "elapsed_us": int},
        **{name: default for name, field in fields.items() if (default := _default(field)) is not msgspec.NODEFAULT},
    }
    event_class = new_class(name, (Event,), {"frozen": True, "kw_only": True}, lambda body: body.update(namespace))
    return event_class


def join_of(event: type) -> Join | None:
    """The join of a joined type; None for a type that is in the log."""
    join = getattr(event, "__join__", None)
    return join if isinstance(join, Join) else None


def original_field_name(event: type[Event], field: str) -> str:
    """The oldest declared name of a field; for a joined type, that of the side it comes from."""
    join = join_of(event)
    if join is None:
        return original_field_names(event).get(field, field)
    side = next((side for side in (join.first, join.second) if field in side.__struct_fields__), None)
    return field if side is None else original_field_name(side, field)


def logged_types(event_types: Sequence[type[Event]]) -> tuple[type[Event], ...]:
    """The types that are read from the log for these, each once: for a joined type both sides."""
    sides: list[type[Event]] = []
    for event in event_types:
        join = join_of(event)
        sides += [event] if join is None else [join.first, join.second]
    return tuple(dict.fromkeys(sides))


def fields_of(event: type[Event]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(event) if field.name != "at"}


def _without_renames(annotation: Any) -> Any:
    """An annotation without former names: a joined type is in no log and has none."""
    if get_origin(annotation) is not Annotated:
        return annotation
    inner, *marks = get_args(annotation)
    kept = [mark for mark in marks if not isinstance(mark, Renamed)]
    inner = _without_renames(inner)
    return Annotated[(inner, *kept)] if kept else inner


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """The field's default as it is written in a class body."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default


def _key_field(where: str, event: type[Event], by: str) -> str:
    refs = {entity: field for field, entity in reversed(read_type(event).refs)}
    field = by if by in fields_of(event) else refs.get(by)
    if field is None:
        raise BadDeclaration(f"by of {where}", f"a field of {event.__name__}, or an entity that one refers to", by)
    return field
