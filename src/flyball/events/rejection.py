"""Why an event is rejected: one stable word, and what the value must be and what it is."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import msgspec

from flyball.core import FlyballError, format_duration, format_timestamp, requirement
from flyball.events.declared import EventType, Field


class Rejected(FlyballError):
    """An event that fails a check. `reason` is one stable word; `detail` says what the value must be and what it is.

    Reasons: decode, unknown_type, missing_field, wrong_type, out_of_range, bad_text, bad_choice, bad_time, future,
    too_old, inconsistent, conflict; formats add their own.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why an event was rejected, as a value.

    Not an exception: thousands of these would keep their frames alive, which the garbage collector would traverse again
    and again (measured: 28 us a line instead of 5).
    """

    reason: str
    detail: str


def rejected_from(message: str, sent: Mapping[str, Any], declared: EventType, lax: bool) -> Rejected:
    """msgspec's message as a rejection with a stable reason; the value is added."""
    text, _, path = message.partition(" - at `$.")
    name = path.rstrip("`").split("[")[0].split(".")[0]
    missing = _MISSING.match(text)
    if missing is not None and not path:
        return Rejected("missing_field", f"{missing[1]} must be given")
    if lax and sent.get(name) == "":
        return Rejected("missing_field", empty_cell(name))
    field = next((field for field in declared.declared if field.name == name), None)
    if field is None or name not in sent:
        return Rejected(reason_of(text), f"{declared.name} must be {requirement(text)}, got {dict(sent)!r}"[:300])
    return Rejected(reason_of(text), detail_of(field, message, sent[name]))


def future_text(at_us: int, now_us: int, future_us: int) -> str:
    """What the time of an event from the future must be.

    >>> future_text(2_299_580_690_000_000, 1_793_986_789_000_000, 300_000_000)
    'time must be at most 5m after now, 2026-11-06T17:39:49Z, got 2042-11-14T12:24:50Z'
    """
    latest = f"{format_duration(future_us)} after now, {format_timestamp(now_us)}"
    return f"time must be at most {latest}, got {format_timestamp(at_us)}"


def empty_cell(name: str) -> str:
    """The detail of an empty cell where a value must be."""
    return f"{name} must be given, got an empty cell"


_MISSING = re.compile(r"Object missing required field `(\w+)`")


def detail_of(field: Field, message: str, value: Any) -> str:
    """What the field, or the element of its list that the message is about, must be, and what it is."""
    choices = choices_of(field.kind) if "enum value" in message else ()
    must = f"one of {', '.join(map(str, choices))}" if choices else requirement(message)
    element = _ELEMENT.search(message)
    where = field.name
    if element is not None and isinstance(value, list):
        where, value = f"{where}[{element[1]}]", value[int(element[1])]
    return f"{where} must be {must}, got {value!r}"[:300]


_ELEMENT = re.compile(r" - at `\$(?:\.\w+)?\[(\d+)\]`\Z")


def choices_of(kind: Any) -> tuple[Any, ...]:
    """What a value of this type may be, where it is a choice of texts or numbers; () for any other type.

    >>> choices_of(Literal["small", "large"] | None)
    ('small', 'large')
    """
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(member.value for member in kind)
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(choice for member in get_args(kind) for choice in choices_of(member))


def reason_of(text: str) -> str:
    """The stable word for a message of msgspec."""
    if "missing required field" in text:
        return "missing_field"
    if "enum value" in text:
        return "bad_choice"
    if "Number out of range" in text:
        return "out_of_range"
    if "matching regex" in text or "`str` of length" in text:
        return "bad_text"
    if any(sign in text for sign in (" >= ", " <= ", " < ", " > ", "multiple of", "of length")):
        return "out_of_range"
    return "wrong_type"
