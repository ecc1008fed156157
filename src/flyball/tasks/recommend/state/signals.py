"""What events say about a user and an item: a task's declaration, compiled for the engines."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from flyball.core import BadDeclaration
from flyball.events import Schema
from flyball.features import Entity
from flyball.policy import AnyOf, Expression, Outcome, Value, compile_python, outcomes_of, trace
from flyball.state import ViewSpec

POSITIVE, HINT, NEGATIVE = 1, 2, 4
POSITIVE_WEIGHT, HINT_WEIGHT = 1.0, 0.25


class Plan(msgspec.Struct, frozen=True):
    """What one event type contributes: which fields name the pair, which outcomes it may serve, which number it rates.

    `tests`: (slot of the outcome, filter or None for every event).
    """

    type: str
    user_field: str
    item_field: str
    tests: tuple[tuple[int, Expression | None], ...]
    rating: Expression | None


class Signals:
    """The outcomes and the rating of a task, by event type.

    `outcomes`: all single outcomes, a slot each; `slots_of[flag]`: the slots behind POSITIVE, HINT, NEGATIVE. Any event
    of a mentioned type that names both user and item makes the item seen. Raises `BadDeclaration` for an event that
    is not declared, does not name both, or has no field a filter reads.
    """

    def __init__(
        self,
        user: Entity,
        item: Entity,
        positive: Outcome | AnyOf,
        hint: Outcome | AnyOf | None = None,
        negative: Outcome | AnyOf | None = None,
        rating: Value | None = None,
        *,
        schema: Schema,
        half_life_days: int = 14,
    ) -> None:
        self.user, self.item, self.rating, self.half_life_days = user, item, rating, half_life_days
        outcomes: list[Outcome] = []
        self.slots_of: dict[int, tuple[int, ...]] = {}
        for flag, declared in ((POSITIVE, positive), (HINT, hint), (NEGATIVE, negative)):
            single = outcomes_of(declared)
            self.slots_of[flag] = tuple(range(len(outcomes), len(outcomes) + len(single)))
            outcomes.extend(single)
        self.outcomes = tuple(outcomes)
        mentioned = dict.fromkeys([one.event for one in outcomes] + ([rating.event] if rating else []))
        self.plans = {plan.type: plan for plan in (self._plan(event, schema) for event in mentioned)}
        self.keyed_by_user = all(schema.types[plan.type].key_field == plan.user_field for plan in self.plans.values())

        self.spec = ViewSpec("user_items", self._hash())

    def _hash(self) -> str:
        """Of everything but events that the view of user and item depends on."""
        meaning = (
            self.user.name,
            self.item.name,
            self.half_life_days,
            [(plan.type, plan.user_field, plan.item_field) for plan in self.plans.values()],
            [(o.event.__name__, o.where and o.where.text(), o.at_least, o.within_us) for o in self.outcomes],
            sorted(self.slots_of.items()),
            self.rating and (self.rating.event.__name__, self.rating.expression.text()),
            None if self.user.group is None else hash_of_function(self.user.group),
        )
        return sha256(repr(meaning).encode()).hexdigest()

    def _plan(self, event: type, schema: Schema) -> Plan:
        name = next((name for name, declared in schema.types.items() if declared.cls is event), None)
        if name is None:
            raise BadDeclaration(
                f"event {event.__name__} of the task", "among the declared events", sorted(schema.types)
            )
        declared = schema.types[name]
        fields = {entity: field for field, entity in reversed(declared.refs)}
        for entity in (self.user, self.item):
            if entity.name not in fields:
                raise BadDeclaration(
                    f"event {event.__name__} of the task",
                    f"naming a {entity.name} by a field with Ref",
                    list(declared.fields),
                )
        tests = tuple((slot, one.where) for slot, one in enumerate(self.outcomes) if one.event is event)
        rating = self.rating.expression if self.rating is not None and self.rating.event is event else None
        for expression in [where for _, where in tests if where is not None] + ([rating] if rating else []):
            unknown = expression.fields() - {*declared.fields, "at"}
            if unknown:
                raise BadDeclaration(
                    f"filter {expression.text()} on {event.__name__}", "made of its fields", sorted(unknown)
                )
        return Plan(name, fields[self.user.name], fields[self.item.name], tests, rating)


def hash_of_function(function: Callable[[Any], Any]) -> str:
    """A text that changes when the function does: what a lambda says when traced, else its compiled code."""
    try:
        return trace(function).text()
    except BadDeclaration:
        code = function.__code__
        return repr((code.co_code.hex(), code.co_names, [str(constant) for constant in code.co_consts]))


def compile_test(expression: Expression | None) -> Callable[[Any], Any] | None:
    """A filter as a function of one event; None stays None (every event)."""
    return None if expression is None else compile_python(expression)
