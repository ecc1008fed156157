"""One request, the same struct for every task and on the whole way from HTTP to the re-ranking."""

import re
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, get_type_hints
from zlib import crc32

import msgspec

from flyball.core import NOTHING, BadInput, requirement
from flyball.events import Event, Ref, choices_of


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request, arrived at `at_us`. `id` becomes the prediction's id.

    `event`: of the task's request type, checked as the log's events are. `key`: the text of its first Ref; it decides
    the release arm, the partition of the prediction log and what is sampled. `arm`: the arm that a tester asked for,
    "" for whichever the key has. `traceparent`: the caller's trace, by the header of that name. `name`: what the sender
    calls its event, so that it is added once however often it comes (`events.name_of_request`), b"" for nothing.
    """

    id: str
    key: str
    at_us: int
    event: Event
    arm: str = ""
    traceparent: str = ""
    name: bytes = b""

    @property
    def seed(self) -> int:
        """The seed of every random draw in the response, a function of the id alone."""
        return seed_of(self.id)


def seed_of(prediction_id: str) -> int:
    """32 bits that depend on the id alone, so that a replay draws the same.

    >>> seed_of("01ARZ3NDEKTSV4RRFFQ69G5FAV") == seed_of("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    True
    """
    return crc32(prediction_id.encode())


def request_of(
    event_type: type[Event], id: str, at_us: int, fields: Mapping[str, Any], strict: bool = False
) -> Request:
    """The request with these fields as plain values; numbers may be given as text unless `strict`.

    Raises `BadInput` where one does not fit the type.
    """
    if "at" in fields:
        raise BadInput("field at", "left out: a request happens when it arrives", fields["at"])
    try:
        event = msgspec.convert({**fields, "at": at_us}, event_type, strict=strict)
    except msgspec.ValidationError as error:
        raise bad_request(str(error), event_type, fields) from None
    _check_numbers(event)
    wrong = event.check()
    if wrong is not None:
        raise BadInput("request", f"consistent ({wrong})", dict(fields))
    key = key_field(event_type)
    return Request(id, str(getattr(event, key)) if key else id, at_us, event)


def _check_numbers(event: Event) -> None:
    """Raise `BadInput` for a number, in a list or a map too, that the logs do not take: a whole one beyond 64 bits, one
    that is not finite."""
    for name in _numeric(type(event)):
        value = getattr(event, name)
        if value is None:
            continue
        if type(value) is float:
            if isfinite(value):
                continue
            raise BadInput(name, "a finite number, or left out where it may be missing", value)
        if not _fits(value):
            raise BadInput(name, "whole numbers that fit 64 bits and finite ones", str(value)[:40])


@lru_cache
def _numeric(event_type: type[Event]) -> tuple[str, ...]:
    """The fields that may hold a number: all but texts and booleans."""
    plain = (msgspec.inspect.StrType, msgspec.inspect.BoolType)
    info = msgspec.inspect.type_info(event_type)
    assert isinstance(info, msgspec.inspect.StructType)
    return tuple(field.name for field in info.fields if not isinstance(_bare(field.type), plain))


def _bare(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """Without what is noted beside a type."""
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _fits(value: object) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    if isinstance(value, Mapping):
        return all(map(_fits, value)) and all(map(_fits, value.values()))
    return all(map(_fits, value)) if isinstance(value, list | tuple | set | frozenset) else True


_EXPECTED = re.compile(r"Expected .*?(?: - at `\$\.?(?P<where>.*)`)?\Z")
_FIELD = re.compile(r"Object (missing|contains) (?:required|unknown) field `(\w+)`")
_STRANGE = re.compile(r"(?:(?P<kind>Invalid enum value).*?|Number out of range)(?: - at `\$\.?(?P<where>.*)`)?\Z", re.S)


def bad_request(message: str, struct: type[msgspec.Struct], fields: Mapping[str, Any]) -> BadInput:
    """What msgspec says of `fields`, in the words of an error of ours."""
    field = _FIELD.match(message)
    if field is not None and field[1] == "missing":
        return BadInput(f"field {field[2]}", "given", NOTHING)
    if field is not None:
        known = [name for name in struct.__struct_fields__ if name != "at"]
        return BadInput("field", f"one of {', '.join(known)}", field[2])
    strange = _STRANGE.match(message)
    if strange is not None and strange["where"]:
        where = strange["where"]
        must = _choices(struct, where) if strange["kind"] else "a number within range"
        return BadInput(where, must, _value_at(fields, where))
    expected = _EXPECTED.match(message)
    if expected is None:
        return BadInput("request", f"a request ({message})", dict(fields))
    where = expected["where"] or "request"
    return BadInput(where, requirement(message), _value_at(fields, where))


def _choices(struct: type[msgspec.Struct], where: str) -> str:
    """What a field may be, one of whose choices was not met."""
    hint = get_type_hints(struct).get(re.split(r"[.\[]", where)[0])
    choices = choices_of(hint)
    return f"one of {', '.join(map(str, choices))}" if choices else "one of its choices"


def _value_at(fields: Mapping[str, Any], where: str) -> Any:
    """The value at a path such as "without[0]"."""
    value: Any = fields
    for name, position in re.findall(r"(\w+)|\[(\d+)\]", where):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and position:
            value = value[int(position)]
    return value


@lru_cache
def key_field(event_type: type[Event]) -> str:
    """The name of the first field that is a Ref, whose value is the key of a request; "" where there is none."""
    for name, annotation in get_type_hints(event_type, include_extras=True).items():
        if any(isinstance(mark, Ref) for mark in getattr(annotation, "__metadata__", ())):
            return name
    return ""


def fields_of_event(event: Event) -> dict[str, Any]:
    """Its fields but `at` as plain values that msgpack and JSON hold."""
    fields: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    del fields["at"]
    return fields
