"""The base classes and annotations of event types: frozen structs whose annotations declare constraints."""

import re
from typing import Any, ClassVar, dataclass_transform

import msgspec

from flyball.core import BadDeclaration


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class _EventMeta(msgspec.StructMeta):
    """Declares to type checkers that subclasses of a frozen struct are frozen, as msgspec makes them."""


class Event(msgspec.Struct, metaclass=_EventMeta, frozen=True, kw_only=True, gc=False):
    """Something that happened at `at` (microseconds since 1970, UTC).

    Subclass it with annotated fields. `natural_key`: names of the fields that identify the event, with "at" for its
    time; empty: all fields and `at`. `former_names`: earlier names of the class, under which events may be stored.
    `keyed = False`: no field is a Ref, and the key of an event is its identity.
    """

    natural_key: ClassVar[tuple[str, ...]] = ()
    former_names: ClassVar[tuple[str, ...]] = ()
    keyed: ClassVar[bool] = True
    at: int

    def check(self) -> str | None:
        """What is inconsistent between fields, or None. Override it where one field limits another."""
        return None


class Profile(Event, kw_only=True):
    """Attributes of one entity from `at` on; the first field refers to the entity. The profile with the latest `at`
    counts."""


class Ref(msgspec.Struct, frozen=True):
    """Marks a field that names an entity: `User = Annotated[int, Ref("user")]`."""

    entity: str


class Renamed(msgspec.Struct, frozen=True):
    """Marks a field that was renamed."""

    names: tuple[str, ...]


def renamed(*names: str) -> Renamed:
    """Declares a field's former names: `stars: Annotated[int, renamed("score")]` reads what was stored as `score`."""
    if not names or not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise BadDeclaration("renamed(...)", "the names that the field had before", names)
    return Renamed(names)


def integer(low: int, high: int | None = None) -> msgspec.Meta:
    """An integer in [low, high]; without `high`, up to the largest of 64 bits."""
    _check_limits("integer", int | float, low=low, high=high)
    if high is not None and low > high:
        raise BadDeclaration("integer(low, high)", "low <= high", (low, high))
    return msgspec.Meta(ge=low, le=high)


def real(low: float | None = None, high: float | None = None, scale: float | None = None) -> msgspec.Meta:
    """A finite number in [low, high], each optional. `scale`: the step to which sums in features round it (1e-6)."""
    _check_limits("real", int | float, low=low, high=high, scale=scale)
    if scale is not None and not scale > 0:
        raise BadDeclaration("scale of real(...)", "above 0", scale)
    if low is not None and high is not None and not low <= high:
        raise BadDeclaration("real(low, high)", "low <= high", (low, high))
    return msgspec.Meta(ge=low, le=high, extra=None if scale is None else {"scale": scale})


def text(pattern: str | None = None, max_length: int = 1_000, min_length: int = 1) -> msgspec.Meta:
    r"""Text of limited length. `pattern` is searched for, so anchor it with \A and \Z (`$` accepts a trailing
    newline)."""
    _check_limits("text", int, max_length=max_length, min_length=min_length)
    if not 0 <= min_length <= max_length:
        raise BadDeclaration("text(max_length, min_length)", "0 <= min_length <= max_length", (max_length, min_length))
    try:
        re.compile(pattern or "")
    except (re.error, TypeError) as error:
        raise BadDeclaration("pattern of text(...)", f"a regular expression ({error})", pattern) from None
    return msgspec.Meta(pattern=pattern, max_length=max_length, min_length=min_length)


def _check_limits(function: str, kind: Any, **limits: Any) -> None:
    for name, limit in limits.items():
        if limit is not None and (not isinstance(limit, kind) or isinstance(limit, bool)):
            must = "a whole number" if kind is int else "a number"
            raise BadDeclaration(f"{name} of {function}(...)", must, limit)


Fields = dict[str, Any]
