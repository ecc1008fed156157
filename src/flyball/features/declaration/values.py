"""Reads a feature's filter, value and keys from one event. Missing is None, never zero.

Numbers are converted to fixed point, integer units: `round(value * per_unit)`, half to even. None, NaN, infinities, a
division by zero and anything beyond 2**53 units are missing.
"""

from collections.abc import Callable
from functools import cache
from math import isfinite
from typing import Any, Literal, get_args, get_origin

import msgspec

from flyball.core import BadDeclaration
from flyball.events import Event, EventType, Field, Schema, logged_types
from flyball.policy import Expression, compile_python

INT, REAL, TEXT, BOOL, LIST = "int", "real", "text", "bool", "list"
_NONE = "none"
LARGEST_UNITS = 1 << 53
PER_UNIT_DEFAULT = 1_000_000
PER_UNIT_MOST = 1_000_000_000

_NUMBERS = {INT, REAL, BOOL}
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))


@cache
def declared_type(event: type[Event]) -> EventType:
    """The declaration of an event class; raises `BadDeclaration`."""
    declared = Schema([*dict.fromkeys((*logged_types([event]), event))]).type_of(event)
    assert declared is not None
    return declared


def kind_of(expression: Expression, event: EventType) -> str:
    """`int`, `real`, `text`, `bool` or `list`; raises `BadDeclaration` for unknown fields and wrong types."""
    where = f"{expression.text()} of {event.cls.__name__}"
    if expression.op == "field":
        return _kind_of_field(expression.args[0], event, where)
    if expression.op == "constant":
        return _kind_of_constant(expression.args[0], where)
    kinds = [kind_of(arg, event) for arg in expression.args]
    if expression.op in ("~", "&", "|"):
        if set(kinds) != {BOOL}:
            raise BadDeclaration(where, "made of comparisons and yes-or-no fields", " and ".join(kinds))
        return BOOL
    if expression.op in _COMPARISONS:
        same = {kind for kind in kinds if kind != _NONE or expression.op not in ("==", "!=")}
        if not (same <= _NUMBERS or same == {TEXT}):
            raise BadDeclaration(where, "a comparison of numbers with numbers or text with text", " and ".join(kinds))
        return BOOL
    if not set(kinds) <= _NUMBERS:
        raise BadDeclaration(where, "a calculation with numbers", " and ".join(kinds))
    return REAL if REAL in kinds or expression.op == "/" else INT


def scale_of(expression: Expression, event: EventType) -> float | None:
    """The `scale` that a plain field was declared with, or None."""
    if expression.op != "field" or expression.args[0] == "at":
        return None
    field = next(field for field in event.declared if field.name == expression.args[0])
    return next((extra["scale"] for extra in _extras(field.annotation) if "scale" in extra), None)


def per_unit_of(scale: float, where: str) -> int:
    """Units in one, of a scale such as 0.01 or 1e-6; raises `BadDeclaration` for one that is not a whole fraction."""
    if isinstance(scale, int | float) and not isinstance(scale, bool) and 0 < scale <= 1:
        per_unit = round(1 / scale)
        if per_unit <= PER_UNIT_MOST and abs(per_unit * scale - 1) < 1e-9:
            return per_unit
    raise BadDeclaration(f"scale of {where}", "one divided by a whole number, 1e-9 at the smallest", scale)


def units_of(value: Any, per_unit: int) -> int | None:
    """Whole units of a number, or None where it is missing.

    >>> units_of(0.125, 100), units_of(True, 1), units_of(float("nan"), 100)
    (12, 1, None)
    """
    if value is None or isinstance(value, str | list):
        return None
    if isinstance(value, float):
        value = value * per_unit
        if not -LARGEST_UNITS <= value <= LARGEST_UNITS:  # false for NaN too
            return None
        rounded: int = round(value)
        return rounded
    units = int(value) * per_unit
    return units if -LARGEST_UNITS <= units <= LARGEST_UNITS else None


def key_function(field: str) -> Callable[[Any], str | None]:
    """The text of a key field; None where it has no value."""
    get = compile_python(Expression("field", (field,)))

    def key(event: Any) -> str | None:
        value = get(event)
        return None if value is None else str(value)

    return key


def _kind_of_field(name: str, event: EventType, where: str) -> str:
    if name == "at":
        return INT
    field: Field | None = next((field for field in event.declared if field.name == name), None)
    if field is None:
        raise BadDeclaration(where, f"made of fields of {event.cls.__name__}: {', '.join(event.fields)}, at", name)
    plain = {int: INT, float: REAL, str: TEXT, bool: BOOL, list: LIST}
    if field.kind in plain:
        return plain[field.kind]
    choices = get_args(field.kind) if get_origin(field.kind) is Literal else [choice.value for choice in field.kind]
    kinds = {plain.get(type(choice)) for choice in choices}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None:
        raise BadDeclaration(where, "of one type in all its choices", sorted(map(repr, choices)))
    return kind


def _kind_of_constant(value: Any, where: str) -> str:
    kinds = {bool: BOOL, int: INT, float: REAL, str: TEXT, type(None): _NONE}
    if type(value) not in kinds:
        raise BadDeclaration(where, "made of fields, numbers and texts", value)
    return kinds[type(value)]


def _extras(annotation: Any) -> list[dict[str, Any]]:
    extras: list[dict[str, Any]] = []
    for part in get_args(annotation):
        if isinstance(part, msgspec.Meta) and part.extra:
            extras.append(part.extra)
        elif get_args(part):
            extras += _extras(part)
    return extras


def number_of(value: Any) -> float | None:
    """The value of an expression as a finite float; None where it is missing or not a number.

    >>> number_of(2), number_of(True), number_of(None), number_of("x"), number_of(float("inf"))
    (2.0, 1.0, None, None, None)
    """
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None
