"""Declares which events count as an outcome of a response.

Time spans are closed: two events exactly `within` apart are within the span, and an event exactly `within` after a
response still counts as its outcome. Only `together` implements this rule; training, online state and outcomes all call
it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from flyball.core import BadDeclaration, declared_duration, format_duration
from flyball.policy.expressions import Expression, trace


class Outcome(msgspec.Struct, frozen=True):
    """At least `at_least` events of type `event` that satisfy `where`, all of them within `within_us`."""

    event: type
    where: Expression | None
    at_least: int
    within_us: int


class AnyOf(msgspec.Struct, frozen=True):
    """Holds when any of its outcomes does."""

    outcomes: tuple[Outcome, ...]


class Value(msgspec.Struct, frozen=True):
    """A number read from an event, such as the stars of a rating; of several events the latest counts."""

    event: type
    expression: Expression


def outcome(event: type, where: Callable[[Any], Any] | None = None, at_least: int = 1, within: str = "1d") -> Outcome:
    """Declare an outcome per (user, item).

    `at_least`: how many such events there must be: a number of events, not of minutes or of anything that they hold.
    `within`: the longest time between the first and the last of the `at_least` events, and also the longest time after
    a response at which an event counts as its outcome; both are inclusive. Raises `BadDeclaration` if `event` is not an
    event type, for a count below 1, for a span below a millisecond and for a filter that cannot be traced.
    """
    name = _event_name("outcome", event)
    if not isinstance(at_least, int) or isinstance(at_least, bool) or at_least < 1:
        raise BadDeclaration(f"at_least of outcome({name})", "an integer from 1", at_least)
    if where is not None and not callable(where):
        raise BadDeclaration(
            f"where of outcome({name})", "a function of an event, such as lambda r: r.stars >= 4", where
        )
    within_us = declared_duration(f"within of outcome({name})", within, least="1ms")
    return Outcome(event, None if where is None else trace(where), at_least, within_us)


def any_of(*outcomes: Outcome | AnyOf) -> AnyOf:
    """The union of outcomes. Raises `BadDeclaration` for anything else."""
    for outcome in outcomes:
        if not isinstance(outcome, Outcome | AnyOf):
            raise BadDeclaration("what any_of is given", "outcomes, such as fb.outcome(Watch)", outcome)
    return AnyOf(tuple(single for outcome in outcomes for single in outcomes_of(outcome)))


def outcomes_of(declared: Outcome | AnyOf | None) -> tuple[Outcome, ...]:
    """The single outcomes that a declaration consists of; none for None."""
    if declared is None:
        return ()
    return declared.outcomes if isinstance(declared, AnyOf) else (declared,)


def outcome_words(declared: Outcome | AnyOf) -> str:
    """What must happen, for messages.

    >>> outcome_words(Outcome(type("Watch", (), {}), None, 30, 86_400_000_000))
    '30 watch events within 1d'
    """
    return " or ".join(_outcome_in_words(outcome) for outcome in outcomes_of(declared))


def _outcome_in_words(outcome: Outcome) -> str:
    chosen = "" if outcome.where is None else " that its condition accepts"
    name = outcome.event.__name__.lower()
    if outcome.at_least == 1:
        return f"1 {name} event{chosen}"
    return f"{outcome.at_least} {name} events{chosen} within {format_duration(outcome.within_us)}"


def together(first_at: Any, last_at: Any, within_us: int) -> Any:
    """Whether two timestamps are at most `within_us` apart; integers, arrays or polars expressions.

    >>> together(0, 60, 60), together(0, 61, 60)
    (True, False)
    """
    return last_at - first_at <= within_us


def first_hold(ats: Sequence[int], at_least: int, within_us: int, start: int = 0) -> int | None:
    """The index of the first of `ats` (ascending) that completes `at_least` times within a span; None if none does.

    `start`: the first index to check; those before it are known not to complete a span.

    >>> first_hold([0, 50, 90, 100], at_least=3, within_us=60)
    3
    """
    reach = at_least - 1
    for last in range(max(reach, start), len(ats)):
        if together(ats[last - reach], ats[last], within_us):
            return last
    return None


def value(event: type, of: Callable[[Any], Any]) -> Value:
    """Declare a number of an event: `value(Rate, lambda r: r.stars)`. Raises `BadDeclaration`."""
    name = _event_name("value", event)
    if not callable(of):
        raise BadDeclaration(f"number of value({name})", "a function of an event, such as lambda r: r.stars", of)
    return Value(event, trace(of))


def _event_name(what: str, event: type) -> str:
    """The name of an event type; raises `BadDeclaration` at once, where the outcome is declared."""
    if not isinstance(event, type):
        raise BadDeclaration(f"first argument of {what}", "an event type, a class of fb.Event", event)
    return event.__name__
