"""Computes a feature's value from fixed-point units: the only code, shared by all engines, that makes floats."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from flyball.features.declaration.aggregates import ATTRIBUTE, COUNT, MEAN, STD, SUM, TARGET, WEIGHT_ONE, Aggregate
from flyball.features.declaration.values import BOOL, REAL, TEXT, key_function, units_of
from flyball.policy import compile_python

EncodedEvent = tuple[tuple[str, ...], Any]
"""The keys that an event counts for, and its value: units of a number, a text, 1 without a value, any for
attributes."""


def encode_event(feature: Aggregate, fields: Sequence[str]) -> Callable[[Any], EncodedEvent | None]:
    """A function from an event of the feature's type to what it adds; None for nothing. `fields`: the key fields."""
    keys_of = [key_function(field) for field in fields]
    test = None if feature.where is None else compile_python(feature.where)
    read = None if feature.value is None else compile_python(feature.value)
    keep = feature.op == ATTRIBUTE
    text, per_unit = feature.kind == TEXT, feature.per_unit

    def encode(event: Any) -> EncodedEvent | None:
        if test is not None and not test(event):
            return None
        keys = tuple([key_of(event) for key_of in keys_of])
        if None in keys:
            return None
        if read is None:
            return keys, 1  # type: ignore[return-value]  # no key is None
        value = read(event)
        if not keep:
            value = value if text else units_of(value, per_unit)
            if value is None:
                return None
        return keys, value  # type: ignore[return-value]

    return encode


def added(feature: Aggregate, n: int, total: int, squares: int = 0) -> int | float | None:
    """count, sum, mean, std or target of `n` values with this sum and sum of squares in units."""
    if feature.op == COUNT:
        return n
    if feature.op == TARGET:
        return (float(total) / feature.per_unit + feature.prior * feature.weight) / (n + feature.weight)
    if n == 0 or (feature.op == STD and n < 2):
        return None
    if feature.op == SUM:
        return float(total) / feature.per_unit
    if feature.op == MEAN:
        return float(total) / float(n * feature.per_unit)
    if feature.op == STD:
        return math.sqrt(float(n * squares - total * total) / float(n * (n - 1))) / feature.per_unit
    raise ValueError(f"an aggregate that is added up must be given, got {feature.op}")


def shown(feature: Aggregate, value: Any) -> Any:
    """A value of min, max, last, first or last_n in its declared type."""
    if feature.kind == REAL:
        return value / feature.per_unit
    return bool(value) if feature.kind == BOOL else value


def decayed_value(feature: Aggregate, n: int, weighted: int) -> float | None:
    """`decayed` of `n` values; `weighted`: the sum of their units times `Aggregate.weights[age]`."""
    if n == 0 and feature.value is not None:
        return None
    return float(weighted) / (WEIGHT_ONE * feature.per_unit)


def divided(top: float | None, bottom: float | None) -> float | None:
    """The value of a ratio."""
    return None if top is None or bottom is None or bottom == 0 else top / bottom
