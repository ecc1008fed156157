"""Targets given by later events: the time until an event, whether one occurs, or a value of one."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from flyball.core import BadDeclaration, declared_duration
from flyball.events import Event, Profile, join_of
from flyball.policy import Expression, trace
from flyball.tasks.about import Label
from flyball.tasks.labels import references

UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


class Target(msgspec.Struct, frozen=True):
    """Made by `elapsed`, `occurs` or `target_value`.

    `event`: the later event type. `by`: what both events name. `within_us`: how long after the request it counts.
    `censored_by`: event types that end the wait: the example is left out. `unit_us`: of elapsed time. `where`: which of
    the events count. `value`: the number of the event. `classes`: the texts that `value` may be. `latest`: whether the
    latest event decides, so that one which does not count takes back those before it.
    """

    kind: Literal["elapsed", "occurs", "value"]
    event: type[Event]
    by: str
    within_us: int
    censored_by: tuple[type[Event], ...] = ()
    unit_us: int = 1
    where: Expression | None = None
    value: Expression | None = None
    classes: tuple[str, ...] = ()
    latest: bool = False

    @property
    def name(self) -> str:
        """The name of the label: that of the event type in the declaration."""
        return self.event.__name__.lower()

    def plain(self) -> dict[str, Any]:
        """The target as plain values, for the declaration that is stored with a version."""
        return {
            "kind": self.kind,
            "event": self.event.__name__,
            "by": self.by,
            "within_us": self.within_us,
            "censored_by": [event.__name__ for event in self.censored_by],
            "unit_us": self.unit_us,
            "where": None if self.where is None else self.where.plain(),
            "value": None if self.value is None else self.value.plain(),
            "classes": list(self.classes),
            **({"latest": True} if self.latest else {}),
        }


def elapsed(
    event: type[Event], *, by: str, within: str, censored_by: Sequence[type[Event]] = (), unit: str = "s"
) -> Target:
    """Predict how long after the request the first `event` comes that names the same `by`.

    `by`: a field of both events, or the entity that a field of each refers to. `within`: the longest wait that counts;
    a request without one by then is left out. Of several such events the first counts, from each request that it
    follows. `censored_by`: events that end the wait without an answer, such as a cancellation. `unit`: of the predicted
    number: "s", "m", "h" or "d". `event` may be a type made by `fb.joined` that begins with the request. Raises
    `BadDeclaration`.
    """
    _check("elapsed", event, by, censored_by)
    if unit not in UNITS_US:
        raise BadDeclaration("unit of elapsed", f"one of {', '.join(UNITS_US)}", unit)
    return Target(
        "elapsed",
        event,
        by,
        declared_duration("within of elapsed", within, least="1ms"),
        tuple(censored_by),
        UNITS_US[unit],
    )


def occurs(
    event: type[Event],
    *,
    by: str,
    within: str,
    where: Callable[[Any], Any] | None = None,
    censored_by: Sequence[type[Event]] = (),
    latest: bool = False,
) -> Target:
    """Predict the probability that an `event` that names the same `by`, and passes `where`, comes within the span.

    A request is a negative example only once its span has passed. `latest`: of several events the latest decides: one
    that does not pass `where` takes back those before it, as a correction does. Raises `BadDeclaration`.
    """
    _check("occurs", event, by, censored_by)
    if latest is not False and (latest is not True or where is None):
        raise BadDeclaration(
            "latest of occurs", "True, beside where=, which says what the latest event must pass", latest
        )
    return Target(
        "occurs",
        event,
        by,
        declared_duration("within of occurs", within, least="1ms"),
        tuple(censored_by),
        where=None if where is None else trace(where),
        latest=latest,
    )


def target_value(
    event: type[Event],
    of: Callable[[Any], Any],
    *,
    by: str,
    within: str,
    where: Callable[[Any], Any] | None = None,
    censored_by: Sequence[type[Event]] = (),
    classes: Sequence[str] = (),
) -> Target:
    """Predict a number of the latest `event` that names the same `by` within the span; or, with `classes`, which text.

    A request without such an event is left out, and so is a text that is none of the classes. Raises `BadDeclaration`.
    """
    _check("target_value", event, by, censored_by)
    if not callable(of):
        raise BadDeclaration("number of target_value", "a function of an event, such as lambda b: b.total", of)
    if isinstance(classes, str) or len(set(classes)) != len(classes) or len(classes) == 1:
        raise BadDeclaration("classes of target_value", "two different texts or more", classes)
    return Target(
        "value",
        event,
        by,
        declared_duration("within of target_value", within, least="1ms"),
        tuple(censored_by),
        where=None if where is None else trace(where),
        value=trace(of),
        classes=tuple(classes),
    )


def label_of(target: Target, on: type[Event]) -> Label:
    """The label of a target of `on`. Raises `BadDeclaration` if its events do not fit."""
    event = outcome_type(target, on)
    value, where = target.value, target.where
    if target.classes and value is not None:
        equal = [Expression("==", (value, Expression("constant", (name,)))) for name in target.classes]
        known = equal[0]
        for condition in equal[1:]:
            known = Expression("|", (known, condition))
        where = known if where is None else Expression("&", (where, known))
        value = Expression("constant", (0,))
        for number, condition in enumerate(equal):
            value = Expression("+", (value, Expression("*", (condition, Expression("constant", (number,))))))
    return Label(
        name=target.name,
        event=event,
        by=(key_field_of(event, target.by),),
        value=value,
        where=where,
        within_us=target.within_us,
        otherwise=0.0 if target.kind == "occurs" else None,
        censored_by=target.censored_by,
        elapsed_unit_us=target.unit_us if target.kind == "elapsed" else 0,
        latest=target.latest,
    )


def outcome_type(target: Target, on: type[Event]) -> type[Event]:
    """The event type that the label reads; a joined event counts when it is complete."""
    join = join_of(target.event)
    if target.event is on:
        raise BadDeclaration("target of Predict", "about a later event, not the request itself", on)
    if target.kind == "elapsed" and join is not None and join.first is not on:
        raise BadDeclaration("joined event of elapsed", f"one that begins with {on.__name__}", join.first)
    return target.event


def key_field_of(event: type[Event], by: str) -> str:
    """The field of `event` named `by`, or its first field that refers to the entity `by`.

    Raises `BadDeclaration` if there is neither.
    """
    if by in event.__struct_fields__:
        return by
    named = [field for field, entity in references(event).items() if entity == by]
    if not named:
        raise BadDeclaration("by of a target", f"a field of {event.__name__}, or an entity that one refers to", by)
    return named[0]


def _check(owner: str, event: Any, by: Any, censored_by: Any) -> None:
    for event_type in (event, *censored_by):
        if not (isinstance(event_type, type) and issubclass(event_type, Event)) or issubclass(event_type, Profile):
            raise BadDeclaration(f"event of {owner}", "an event type, a class of fb.Event", event_type)
        key_field_of(event_type, by)
