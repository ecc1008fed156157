"""The oracle of features: a naive implementation of a value as a function of the visible events, the keys and the time.

It shares no code with the engines: each aggregate has a few simple lines, over plain Python numbers.
"""

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from flyball.events import Event, Offsets
from flyball.features import Aggregate, Definition, Ratio


class Logged(msgspec.Struct, frozen=True):
    """An event with its position in the log; `known_at` in microseconds."""

    event: Event
    known_at: int
    partition: int
    offset: int


Sees = Callable[[Logged], bool]


def known_by(at_us: int, apply_delay_us: int = 0) -> Sees:
    """The visibility for an example at `at_us`: events that were known and applied by then."""
    return lambda logged: logged.known_at + apply_delay_us <= at_us


def before(offsets: Offsets) -> Sees:
    """The visibility for a logged prediction: the events before its offsets."""
    return lambda logged: logged.offset < offsets[logged.partition]


def value_of(definition: Definition, log: Sequence[Logged], keys: Mapping[str, str], at_us: int, sees: Sees) -> Any:
    """The value of the feature for `keys` at `at_us`; None if it is missing."""
    feature = definition.feature
    key = [keys[name] for name in definition.keys]
    if isinstance(feature, Ratio):
        top = aggregate(feature.top, definition.fields, log, key, at_us, sees)
        bottom = aggregate(feature.bottom, definition.bottom_fields, log, key, at_us, sees)
        return None if top is None or bottom is None or bottom == 0 else top / bottom
    return aggregate(feature, definition.fields, log, key, at_us, sees)


def aggregate(
    feature: Aggregate, fields: Sequence[str], log: Sequence[Logged], keys: Sequence[str], at_us: int, sees: Sees
) -> Any:
    """One aggregate over the events of these keys that are visible, in the window, and pass the filter."""
    end = at_us - feature.delay_us
    inside = [
        logged
        for logged in log
        if sees(logged)
        and type(logged.event) is feature.event
        and all(_plain(getattr(logged.event, field)) is not None for field in fields)
        and [str(_plain(getattr(logged.event, field))) for field in fields] == list(keys)
        and in_window(feature, logged.event.at, end)
        and (feature.where is None or bool(evaluate(feature.where, logged.event)))
    ]
    if feature.op == "attribute":
        latest = max(inside, key=lambda logged: (logged.event.at, logged.offset), default=None)
        return None if latest is None or feature.value is None else evaluate(feature.value, latest.event)
    if feature.value is None:
        read = [(logged.event.at, 1) for logged in inside]
    else:
        read = [(logged.event.at, usable(feature, evaluate(feature.value, logged.event))) for logged in inside]
    values = [(at, value) for at, value in read if value is not None]
    if feature.window.kind == "exact" and len(values) > feature.window.max_events:
        return None
    return _OPS[feature.op](feature, values, end)


def in_window(feature: Aggregate, at: int, end: int) -> bool:
    """Whether `at` is in the window [start, end); tiles start at multiples of their size from 1970 on."""
    window = feature.window
    if at >= end:
        return False
    if window.kind == "lifetime":
        return True
    start = end - window.size_us
    if window.kind == "tiled":
        start -= start % window.tile_us
    return start <= at


def usable(feature: Aggregate, value: Any) -> Any:
    """A number in whole units, a text unchanged; None for a missing, nan, infinite or too large number."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    scaled = value * feature.per_unit
    if abs(scaled) > 2**53:
        return None
    return round(scaled)


def evaluate(expression: Any, event: Event) -> Any:
    """The value of an expression over one event."""
    op, args = expression.op, expression.args
    if op == "field":
        return _plain(getattr(event, args[0]))
    if op == "constant":
        return args[0]
    values = [evaluate(arg, event) for arg in args]
    if op == "~":
        return not values[0]
    first, second = values
    if op == "&":
        return bool(first) and bool(second)
    if op == "|":
        return bool(first) or bool(second)
    if op == "==":
        return first == second
    if op == "!=":
        return first != second
    compared = op in ("<", "<=", ">", ">=")
    if first is None or second is None:
        return False if compared else None
    try:
        return {
            "<": lambda: first < second,
            "<=": lambda: first <= second,
            ">": lambda: first > second,
            ">=": lambda: first >= second,
            "+": lambda: first + second,
            "-": lambda: first - second,
            "*": lambda: first * second,
            "/": lambda: first / second,
            "//": lambda: first // second,
            "%": lambda: first % second,
        }[op]()
    except (ZeroDivisionError, OverflowError):
        return None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


TimedValues = list[tuple[int, Any]]


def _shown(feature: Aggregate, value: Any) -> Any:
    """A value in the type of its field."""
    if feature.kind == "real":
        return value / feature.per_unit
    return bool(value) if feature.kind == "bool" else value


def _count(feature: Aggregate, values: TimedValues, end: int) -> int:
    return len(values)


def _sum(feature: Aggregate, values: TimedValues, end: int) -> float | None:
    return float(sum(value for _, value in values)) / feature.per_unit if values else None


def _mean(feature: Aggregate, values: TimedValues, end: int) -> float | None:
    return float(sum(value for _, value in values)) / float(len(values) * feature.per_unit) if values else None


def _std(feature: Aggregate, values: TimedValues, end: int) -> float | None:
    n = len(values)
    if n < 2:
        return None
    total, squares = sum(value for _, value in values), sum(value * value for _, value in values)
    return math.sqrt(float(n * squares - total * total) / float(n * (n - 1))) / feature.per_unit


def _target(feature: Aggregate, values: TimedValues, end: int) -> float:
    total = float(sum(value for _, value in values)) / feature.per_unit
    return (total + feature.prior * feature.weight) / (len(values) + feature.weight)


def _min(feature: Aggregate, values: TimedValues, end: int) -> Any:
    return _shown(feature, min(value for _, value in values)) if values else None


def _max(feature: Aggregate, values: TimedValues, end: int) -> Any:
    return _shown(feature, max(value for _, value in values)) if values else None


def _last(feature: Aggregate, values: TimedValues, end: int) -> Any:
    return _shown(feature, max(values)[1]) if values else None


def _first(feature: Aggregate, values: TimedValues, end: int) -> Any:
    return _shown(feature, min(values)[1]) if values else None


def _last_n(feature: Aggregate, values: TimedValues, end: int) -> list[Any]:
    return [_shown(feature, value) for _, value in sorted(values, reverse=True)[: feature.n]]


def _distinct(feature: Aggregate, values: TimedValues, end: int) -> int | None:
    different = len({value for _, value in values})
    return None if different > feature.max_events else different


def _decayed(feature: Aggregate, values: TimedValues, end: int) -> float | None:
    if not values and feature.value is not None:
        return None
    tile = feature.window.tile_us
    total = 0
    for at, value in values:
        age = end // tile - at // tile
        total += value * round(2**24 * 2.0 ** (-age * tile / feature.half_life_us))
    return float(total) / (2**24 * feature.per_unit)


_OPS: dict[str, Callable[[Aggregate, TimedValues, int], Any]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "target": _target,
    "min": _min,
    "max": _max,
    "last": _last,
    "first": _first,
    "last_n": _last_n,
    "distinct": _distinct,
    "decayed": _decayed,
}
