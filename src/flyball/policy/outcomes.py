"""What counts as an outcome of showing something to someone."""

from collections.abc import Callable
from typing import Any

import msgspec

from flyball.core import BadDeclaration, parse_duration
from flyball.policy.expressions import Expression, trace


class Outcome(msgspec.Struct, frozen=True):
    """At least `at_least` events of type `event` that satisfy `where`, all within some span of `within_us`."""

    event: type
    where: Expression | None
    at_least: int
    within_us: int


class AnyOf(msgspec.Struct, frozen=True):
    """Holds when any of its outcomes does."""

    outcomes: tuple[Outcome, ...]


class Value(msgspec.Struct, frozen=True):
    """A number read from an event, such as the stars of a rating; the latest by time counts."""

    event: type
    expression: Expression


def outcome(event: type, where: Callable[[Any], Any] | None = None, at_least: int = 1, within: str = "1d") -> Outcome:
    """Declare an outcome per (user, item).

    `within`: the span that must hold the `at_least` events, and how long after a prediction it still counts as its
    outcome. Raises `BadDeclaration` for what is no event type, a count below 1 or a filter that cannot be traced.
    """
    name = _event_name("outcome", event)
    if not isinstance(at_least, int) or isinstance(at_least, bool) or at_least < 1:
        raise BadDeclaration(f"at_least of outcome({name})", "a whole number from 1", at_least)
    if where is not None and not callable(where):
        raise BadDeclaration(
            f"where of outcome({name})", "a function of an event, such as lambda r: r.stars >= 4", where
        )
    if not isinstance(within, str):
        raise BadDeclaration(f"within of outcome({name})", "a duration as text, such as '1d'", within)
    return Outcome(event, None if where is None else trace(where), at_least, parse_duration(within))


def any_of(*outcomes: Outcome | AnyOf) -> AnyOf:
    """The union of outcomes. Raises `BadDeclaration` for anything else."""
    for each in outcomes:
        if not isinstance(each, Outcome | AnyOf):
            raise BadDeclaration("what any_of is given", "outcomes, such as fb.outcome(Watch)", each)
    return AnyOf(tuple(one for each in outcomes for one in outcomes_of(each)))


def outcomes_of(declared: Outcome | AnyOf | None) -> tuple[Outcome, ...]:
    """The single outcomes behind a declaration (none for None)."""
    if declared is None:
        return ()
    return declared.outcomes if isinstance(declared, AnyOf) else (declared,)


def value(event: type, of: Callable[[Any], Any]) -> Value:
    """Declare a number of an event: `value(Rate, lambda r: r.stars)`. Raises `BadDeclaration`."""
    name = _event_name("value", event)
    if not callable(of):
        raise BadDeclaration(f"number of value({name})", "a function of an event, such as lambda r: r.stars", of)
    return Value(event, trace(of))


def _event_name(what: str, event: type) -> str:
    """The name of an event type; raises `BadDeclaration` where it is declared, not where it is first used."""
    if not isinstance(event, type):
        raise BadDeclaration(f"first argument of {what}", "an event type, a class of fb.Event", event)
    return event.__name__
