"""The signals of events about a user and an item: the declaration of a task, compiled for the engines."""

from collections.abc import Callable
from hashlib import sha256
from types import CodeType, FunctionType
from typing import Any

import msgspec

from flyball.core import BadDeclaration
from flyball.events import Schema, defaults_in, join_of, original_field_name
from flyball.features import Entity, content_of
from flyball.policy import AnyOf, Expression, Outcome, Value, compile_python
from flyball.state import ViewSpec
from flyball.tasks.labels import LabelPlan, label_plans
from flyball.tasks.recommend import labels as labels_module
from flyball.tasks.recommend.labels import recommend_labels

POSITIVE, WEAK_POSITIVE, NEGATIVE = 1, 2, 4
_FLAGS = {
    labels_module.POSITIVE: POSITIVE,
    labels_module.WEAK_POSITIVE: WEAK_POSITIVE,
    labels_module.NEGATIVE: NEGATIVE,
}
POSITIVE_WEIGHT, WEAK_POSITIVE_WEIGHT = 1.0, 0.25


class Plan(msgspec.Struct, frozen=True):
    """The use of one event type: the fields of the pair, the outcomes that it may count for, and its rating.

    `tests`: (slot of the outcome, filter or None for every event).
    """

    type: str
    user_field: str
    item_field: str
    tests: tuple[tuple[int, Expression | None], ...]
    rating: Expression | None
    from_first: bool = False


class Signals:
    """The labels about a user and an item, by event type, for the view of users' histories.

    `outcomes`: the binary labels, one slot each; `slots_of[flag]`: slots of POSITIVE, WEAK_POSITIVE, NEGATIVE. Any
    event of these types with a user and an item makes the item seen. Raises `BadDeclaration` for an event that is not
    declared, has no field for the user or the item, or lacks a field of a filter.
    """

    def __init__(
        self,
        user: Entity,
        item: Entity,
        positive: Outcome | AnyOf,
        weak_positive: Outcome | AnyOf | None = None,
        negative: Outcome | AnyOf | None = None,
        rating: Value | None = None,
        *,
        schema: Schema,
        half_life_days: int = 14,
    ) -> None:
        self.user, self.item, self.rating, self.half_life_days = user, item, rating, half_life_days
        labels = [
            label
            for label in recommend_labels(user, item, positive, weak_positive, negative, rating)
            if label.name in (*_FLAGS, labels_module.RATING)
        ]
        self.outcomes = tuple(label for label in labels if label.name in _FLAGS)
        self.slots_of = {
            flag: tuple(slot for slot, label in enumerate(self.outcomes) if label.name == name)
            for name, flag in _FLAGS.items()
        }
        self.plans = {plan.type: self._plan(plan) for plan in label_plans(labels, schema)}
        self.keyed_by_user = all(
            name in schema.types and schema.types[name].key_field == plan.user_field
            for name, plan in self.plans.items()
        )
        self.spec = ViewSpec("user_items", self._hash())

    def _plan(self, plan: LabelPlan) -> Plan:
        rating = plan.values[0][1] if plan.values else None
        tests = tuple((slot, where) for slot, where in plan.tests if slot < len(self.outcomes))
        user_field, item_field = plan.fields
        return Plan(plan.type, user_field, item_field, tests, rating, plan.from_first)

    def _hash(self) -> str:
        """The definitions that the view of users and items depends on, besides events."""
        meaning = (
            self.user.name,
            self.item.name,
            self.half_life_days,
            [(plan.type, plan.user_field, plan.item_field) for plan in self.plans.values()],
            [(o.event.__name__, o.where and o.where.text(), o.at_least, o.within_us) for o in self.outcomes],
            [join.hash for outcome in self.outcomes if (join := join_of(outcome.event)) is not None],
            sorted(self.slots_of.items()),
            self.rating and (self.rating.event.__name__, self.rating.expression.text()),
            [
                *(
                    defaults_in(declared.event, "" if declared.where is None else declared.where.text())
                    for declared in self.outcomes
                ),
                self.rating and defaults_in(self.rating.event, self.rating.expression.text()),
            ],
            None if self.user.group is None else hash_of_group(self.user),
        )
        return sha256(repr(meaning).encode()).hexdigest()


def hash_of_group(user: Entity) -> str:
    """A text that identifies the `group` function of the entity in every process: its parsed source or its code.

    Fields of the profile have their oldest names, so that a declared renaming does not change the text.
    """
    function = user.group
    if not isinstance(function, FunctionType):
        return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"
    try:
        return content_of(function, profile_originals(user))
    except (BadDeclaration, OSError, TypeError):  # no source, or a closure over other than plain values
        return _text_of_code(function.__code__)


def profile_originals(user: Entity) -> dict[str, str]:
    """{field of the entity's profile: its oldest name}."""
    profile = user.profile
    return {} if profile is None else {name: original_field_name(profile, name) for name in profile.__struct_fields__}


def _text_of_code(code: CodeType) -> str:
    constants = [_text_of_code(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, constants))


def compile_test(expression: Expression | None) -> Callable[[Any], Any] | None:
    """A filter as a function of one event; None, for all events, stays None."""
    return None if expression is None else compile_python(expression)
