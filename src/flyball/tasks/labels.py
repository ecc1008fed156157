"""Compiles labels for all engines: which events belong to a request, which qualify, and their values.

Training, online state and the outcomes of live responses read the same plans and decide by the same two rules of
`policy`: `together` (spans are closed) and `first_hold` (when enough events are within one).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_args, get_type_hints

import msgspec

from flyball.core import BadDeclaration
from flyball.events import Event, Ref, Schema, join_of
from flyball.policy import Expression, compile_python
from flyball.tasks.about import Label


class LabelPlan(msgspec.Struct, frozen=True):
    """The contributions of one event type to the labels that join by the same names.

    `by`: the entity that each joining field refers to, or the field's own name; `fields`: these fields of the event.
    Labels are numbered in the order they were given. `tests`: (label, filter, None for every event) of those it may
    qualify for; `values`: (label, number of the event); `censors`: labels whose wait it ends. `joined`: of a joined
    type; `from_first`: one that has the time of its first side, it counts when it was complete.
    """

    type: str
    by: tuple[str, ...]
    fields: tuple[str, ...]
    tests: tuple[tuple[int, Expression | None], ...] = ()
    values: tuple[tuple[int, Expression], ...] = ()
    censors: tuple[int, ...] = ()
    joined: bool = False
    from_first: bool = False


def completed_at(event: Any) -> int:
    """When a joined event that has the time of its first side was complete."""
    at: int = event.at + event.elapsed_us
    return at


def label_plans(labels: Sequence[Label], schema: Schema) -> list[LabelPlan]:
    """A plan for each event type and names to join by, in the order they are first mentioned.

    Raises `BadDeclaration` for an event that is not declared, that lacks a field to join by or one that a filter or
    value reads, and for labels of one name that join differently.
    """
    names = [joining_names(label) for label in labels]
    _check_names(labels, names)
    pairs = dict.fromkeys(
        (event, by) for label, by in zip(labels, names, strict=True) for event in (label.event, *label.censored_by)
    )
    return [_plan(event, by, list(zip(labels, names, strict=True)), schema) for event, by in pairs]


def joining_names(label: Label) -> tuple[str, ...]:
    """The entity that each field of `by` refers to, else its own name, so that events may use other field names."""
    refs = references(label.event)
    return tuple(refs.get(name, name) for name in label.by)


@lru_cache(maxsize=1_024)
def references(event: type) -> dict[str, str]:
    """{field: entity it names} of an event type, in declared order."""
    hints = get_type_hints(event, include_extras=True)
    return {field: entity for field, hint in hints.items() for entity in _entities(hint)}


def _entities(hint: Any) -> list[str]:
    """The entity of an annotation with a Ref, also of an optional one."""
    own = [mark.entity for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Ref)]
    optional = [member for member in get_args(hint) if member is not type(None)] if type(None) in get_args(hint) else []
    return own or [entity for member in optional for entity in _entities(member)]


def _check_names(labels: Sequence[Label], names: Sequence[tuple[str, ...]]) -> None:
    first: dict[str, tuple[tuple[str, ...], bool, int]] = {}
    for label, by in zip(labels, names, strict=True):
        kind = by, label.value is None, label.elapsed_unit_us
        if first.setdefault(label.name, kind) != kind:
            must = "joined by the same names, all with a value or none"
            raise BadDeclaration(f"labels {label.name!r}", must, by)


def _plan(
    event: type[Event], by: tuple[str, ...], labels: Sequence[tuple[Label, tuple[str, ...]]], schema: Schema
) -> LabelPlan:
    type_, declared = declared_fields(event, schema)
    fields = tuple(field_named(event, name, declared) for name in by)
    numbered = [(number, label) for number, (label, names) in enumerate(labels) if names == by]
    own = [(number, label) for number, label in numbered if label.event is event]
    join = join_of(event)
    for _, label in own:
        for expression in (label.where, label.value):
            _check_expression(expression, event, declared)
    return LabelPlan(
        type_,
        by,
        fields,
        tuple((number, label.where) for number, label in own),
        tuple((number, label.value) for number, label in own if label.value is not None),
        tuple(number for number, label in numbered if event in label.censored_by),
        join is not None,
        join is not None and join.at == "first",
    )


def declared_fields(event: type[Event], schema: Schema) -> tuple[str, tuple[str, ...]]:
    """(name, fields) of a declared event type."""
    declared = schema.type_of(event)
    if declared is None:
        raise BadDeclaration(f"event {event.__name__} of the task", "among the declared events", sorted(schema.types))
    return declared.name, tuple(declared.fields)


def field_named(event: type, name: str, declared: Sequence[str]) -> str:
    """The first field that refers to the entity `name`, else the field of that name."""
    field = next((field for field, entity in references(event).items() if entity == name), name)
    if field not in declared:
        must = f"naming a {name} by a field with Ref"
        raise BadDeclaration(f"event {event.__name__} of the task", must, list(declared))
    return field


def _check_expression(expression: Expression | None, event: type[Event], declared: tuple[str, ...]) -> None:
    unknown = set() if expression is None else expression.fields() - {*declared, "at"}
    if expression is not None and unknown:
        raise BadDeclaration(f"filter {expression.text()} on {event.__name__}", "made of its fields", sorted(unknown))


Test = Callable[[Any], Any]


class CompiledPlan(msgspec.Struct, frozen=True):
    """A plan as functions of one event.

    `key`: the values of `by`, a tuple; of a test None passes every event. `at`: when it counts, of a joined event the
    time of its second side, whatever its own `at`.
    """

    type: str
    at: Callable[[Any], int]
    key: Callable[[Any], tuple[Any, ...]]
    tests: tuple[tuple[int, Test | None], ...]
    values: tuple[tuple[int, Test], ...]
    censors: tuple[int, ...]
    joined: bool = False


def compile_plan(plan: LabelPlan) -> CompiledPlan:
    """The functions behind a plan."""
    return CompiledPlan(
        plan.type,
        completed_at if plan.from_first else attrgetter("at"),
        _key_of(plan.fields),
        tuple((number, None if where is None else compile_python(where)) for number, where in plan.tests),
        tuple((number, compile_python(value)) for number, value in plan.values),
        plan.censors,
        plan.joined,
    )


def _key_of(fields: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(fields) == 1:
        (field,) = fields
        return lambda event: (getattr(event, field),)
    return attrgetter(*fields)
