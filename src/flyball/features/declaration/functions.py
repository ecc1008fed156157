"""The functions that declare windowed aggregates, such as `fb.count(Watch, "7d")`, with their checks."""

import builtins
from collections.abc import Callable
from typing import Any

import msgspec

from flyball.core import BadDeclaration, InWords
from flyball.events import Event, Profile
from flyball.features.declaration.aggregates import (
    ATTRIBUTE,
    COUNT,
    DECAYED,
    DISTINCT,
    FIRST,
    HALF_LIVES,
    LAST,
    LAST_N,
    MAX,
    MEAN,
    MIN,
    STD,
    SUM,
    TARGET,
    Aggregate,
    Ratio,
)
from flyball.features.declaration.values import (
    BOOL,
    INT,
    LIST,
    PER_UNIT_DEFAULT,
    REAL,
    TEXT,
    declared_type,
    kind_of,
    per_unit_of,
    scale_of,
)
from flyball.features.declaration.windows import (
    EXACT,
    LIFETIME,
    LONGEST_US,
    MAX_TILES,
    TILED,
    Window,
    check_max_events,
    duration_us,
    window_of,
)
from flyball.policy import Expression, trace

_NUMERIC = (SUM, MEAN, STD, MIN, MAX, DECAYED, TARGET)

Read = Callable[[Any], Any]
Span = str | Window


def count(
    event: type[Event], window: Span, *, where: Read | None = None, delay: str = "0s", by: str | None = None
) -> Aggregate:
    """The number of events; 0 without any."""
    return _declare(COUNT, event, None, window, where, delay, by)


def sum(
    event: type[Event],
    value: Read,
    window: Span,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The sum of the values; missing when there were none."""
    return _declare(SUM, event, value, window, where, delay, by, scale)


def mean(
    event: type[Event],
    value: Read,
    window: Span,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The mean of the values; missing when there were none."""
    return _declare(MEAN, event, value, window, where, delay, by, scale)


def std(
    event: type[Event],
    value: Read,
    window: Span,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The standard deviation of a sample (divided by n - 1); missing for fewer than two values."""
    return _declare(STD, event, value, window, where, delay, by, scale)


def min(
    event: type[Event],
    value: Read,
    window: Span,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The smallest value; missing when there were none."""
    return _declare(MIN, event, value, window, where, delay, by, scale)


def max(
    event: type[Event],
    value: Read,
    window: Span,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The greatest value; missing when there were none."""
    return _declare(MAX, event, value, window, where, delay, by, scale)


def last(
    event: type[Event],
    value: Read,
    window: Span = LIFETIME,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The value of the latest event that has one; of several at the same time the greatest value."""
    return _declare(LAST, event, value, window, where, delay, by, scale)


def first(
    event: type[Event],
    value: Read,
    window: Span = LIFETIME,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The value of the earliest event that has one; of several at the same time the smallest."""
    return _declare(FIRST, event, value, window, where, delay, by, scale)


def last_n(
    event: type[Event],
    value: Read,
    n: int,
    window: Span = LIFETIME,
    *,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The values of the latest `n` events, latest first, at the same time the greatest first; empty for no events."""
    if type(n) is not int or not 1 <= n <= 1_000:
        raise BadDeclaration("n of last_n", "a whole number in 1..1000", n)
    return msgspec.structs.replace(_declare(LAST_N, event, value, window, where, delay, by, scale), n=n)


def distinct(
    event: type[Event],
    value: Read,
    window: Span,
    *,
    max_events: int = 1_000,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The number of distinct values; 0 without any, missing for more than `max_events`."""
    check_max_events("distinct", max_events)
    declared = _declare(DISTINCT, event, value, window, where, delay, by, scale)
    return msgspec.structs.replace(declared, max_events=max_events)


def decayed(
    event: type[Event],
    half_life: str,
    value: Read | None = None,
    *,
    tile: str | None = None,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """The sum of the values (of 1 without `value`), each halved every `half_life`; nothing older than 20 half-lives.

    Age counts in whole tiles: `floor(end / tile) - floor(at / tile)`. `tile`: an eighth of the half-life by default.
    0.0 when there were no events and no `value` is read, else missing.
    """
    half_us = duration_us("half_life of decayed", half_life)
    if HALF_LIVES * half_us >= LONGEST_US:
        raise BadDeclaration("half_life of decayed", f"shorter than 36,000 years divided by {HALF_LIVES}", half_life)
    if tile is not None:
        tile_us = duration_us("tile of decayed", tile)
    else:
        tile_us = half_us // 8 if half_us % 8 == 0 else half_us
    if half_us <= 0 or tile_us <= 0 or half_us % tile_us or HALF_LIVES * half_us // tile_us > MAX_TILES:
        raise BadDeclaration(
            f"tile of decayed with half-life {half_life!r}",
            f"a whole fraction of it, at most {MAX_TILES // HALF_LIVES} to the half-life",
            tile,
        )
    window = Window(TILED, HALF_LIVES * half_us, tile_us)
    declared = _declare(DECAYED, event, value, window, where, delay, by, scale)
    return msgspec.structs.replace(declared, half_life_us=half_us)


def target(
    event: type[Event],
    value: Read,
    window: Span = LIFETIME,
    *,
    prior: float,
    weight: float,
    where: Read | None = None,
    scale: float | None = None,
    delay: str = "0s",
    by: str | None = None,
) -> Aggregate:
    """A mean shrunk toward `prior`, which counts as `weight` events; `prior` itself without events.

    This is time-ordered target encoding: it is computed over the events that carry the label, so it only contains
    labels known by then.
    """
    if not (isinstance(prior, int | float) and -1e15 < prior < 1e15):
        raise BadDeclaration("prior of target", "a finite number", prior)
    if not (isinstance(weight, int | float) and 0 < weight < 1e15):
        raise BadDeclaration("weight of target", "a number above 0", weight)
    declared = _declare(TARGET, event, value, window, where, delay, by, scale)
    return msgspec.structs.replace(declared, prior=float(prior), weight=float(weight))


def ratio(top: Aggregate, bottom: Aggregate) -> Ratio:
    """`top / bottom`, each a count, distinct, sum or decayed; missing where either is missing or `bottom` is zero."""
    for part in (top, bottom):
        if not isinstance(part, Aggregate) or part.op not in (COUNT, DISTINCT, SUM, DECAYED):
            raise BadDeclaration("a part of ratio", "made by fb.count, fb.distinct, fb.sum or fb.decayed", part)
    return Ratio(top, bottom)


def attribute(profile: type[Profile], value: Read) -> Aggregate:
    """A field of the entity's latest profile as known at the time; missing where that profile has no value.

    Of several profiles at one time the later one in the log counts.
    """
    if not (isinstance(profile, type) and issubclass(profile, Profile)):
        raise BadDeclaration("an attribute", "of a subclass of fb.Profile", profile)
    return _declare(ATTRIBUTE, profile, value, LIFETIME, None, "0s", None)


def _declare(
    op: str,
    event: type[Event],
    value: Read | None,
    window: Span,
    where: Read | None,
    delay: str,
    by: str | None,
    scale: float | None = None,
) -> Aggregate:
    declared, span = declared_type(event), window_of(window)
    label = f"{op} over {event.__name__}"
    test = None if where is None else trace(where)
    if test is not None and kind_of(test, declared) != BOOL:
        raise BadDeclaration(f"where of {label}", "a comparison", test.text())
    if by is not None and by not in declared.fields:
        raise BadDeclaration(f"by of {label}", f"a field: {', '.join(declared.fields)}", by)
    read, kind, per_unit = _value(op, event, value, scale, label)
    if op != DECAYED and span.kind not in (TILED, EXACT, LIFETIME):
        raise BadDeclaration(f"window of {label}", "tiled, exact or lifetime", span.kind)
    return Aggregate(
        op=op,
        event=event,
        window=span,
        value=read,
        where=test,
        kind=kind,
        per_unit=per_unit,
        delay_us=duration_us(f"delay of {label}", delay),
        by=by,
    )


def _value(
    op: str, event: type[Event], value: Read | None, scale: float | None, label: str
) -> tuple[Expression | None, str, int]:
    if value is None:
        return None, INT, 1
    if not callable(value):
        raise BadDeclaration(f"value of {label}", "a function of the event, such as lambda r: r.stars", value)
    declared, read = declared_type(event), trace(value)
    kind = kind_of(read, declared)
    if op in _NUMERIC and kind not in (INT, REAL, BOOL):
        raise BadDeclaration(f"value of {label}", "a number", InWords(f"{read.text()}, which is {kind}"))
    if op != ATTRIBUTE and kind not in (INT, REAL, BOOL, TEXT):
        raise BadDeclaration(
            f"value of {label}", "a number, text or yes-or-no", InWords(f"{read.text()}, which is {kind}")
        )
    if kind in (TEXT, LIST) or op == ATTRIBUTE:
        if scale is not None:
            raise BadDeclaration(f"scale of {label}", "left out, as nothing is added up", scale)
        return read, kind, 1
    if scale is None:
        scale = scale_of(read, declared) or (1 / PER_UNIT_DEFAULT if kind == REAL else 1)
    per_unit = per_unit_of(scale, label)
    return read, REAL if per_unit > 1 else kind, per_unit


def keyed_by(feature: Aggregate, key: str, is_entity: bool, group: str) -> str:
    """The field of the feature's event that names `key`: a reference to that entity, or the field of that name."""
    declared = declared_type(feature.event)
    if is_entity:
        fields = [field for field, entity in declared.refs if entity == key]
        must = f"over an event that names a {key} by a field with Ref"
    else:
        fields = [key] if key in declared.fields else []
        fields += [] if feature.by is None else [feature.by]
        must = f"over an event with a field {key!r}"
    key_field = feature.by if feature.by in fields and is_entity else next(iter(fields), None)
    if key_field is None:
        raise BadDeclaration(f"{feature.text()} of {group}", must, builtins.list(declared.fields))
    kind = next(field.kind for field in declared.declared if field.name == key_field)
    if kind in (float, bool, builtins.list):
        raise BadDeclaration(
            f"key {key_field!r} of {feature.text()} of {group}", "whole numbers or text", kind.__name__
        )
    return key_field
