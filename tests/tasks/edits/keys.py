"""Every key that a declaration can have, read off the classes: what is added to them tomorrow is among these, too."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import msgspec

import flyball as fb
from flyball import events, features, policy, tasks
from flyball.events import join_of
from flyball.features import Group
from flyball.policy import Expression

LEAVES = {Expression, Group, tasks.Label}
"""What users do not write: a traced function of an event, and what entities and features are made into."""

EVENT_KEYS = ("fields", "check")
"""What a class of events says beside its class variables."""

MODEL_KEYS = ("score", "open", "fit", "uses", "parameters", "search_space", "name", "layout")
"""What the class of a user's own model says, and what it uses."""


def keys() -> list[str]:
    """Such as "Predict.weight" and "Decide.control", of all that an application can be declared with."""
    found: dict[str, None] = {}
    waiting: list[type] = [fb.App, *task_classes()]
    seen: set[type] = {*LEAVES, events.Event}
    while waiting:
        owner = waiting.pop(0)
        if owner in seen:
            continue
        seen.add(owner)
        for name, hint in _parameters(owner):
            found[f"{owner.__name__}.{name}"] = None
            waiting += _declared_in(hint)
    found |= dict.fromkeys(f"Event.{name}" for name in (*events.Event.__annotations__, *EVENT_KEYS) if name != "at")
    found |= dict.fromkeys(f"Model.{name}" for name in MODEL_KEYS)
    found |= dict.fromkeys(f"joined.{name}" for name in inspect.signature(fb.joined).parameters)
    return list(found)


def task_classes() -> list[type]:
    """The kinds of task that users can declare."""
    public = [getattr(fb, name) for name in dir(fb) if not name.startswith("_")]
    members = ("about", "bind", "restore", "offline", "online")
    return [kind for kind in public if isinstance(kind, type) and all(hasattr(kind, member) for member in members)]


def _parameters(owner: type) -> Iterator[tuple[str, Any]]:
    names = {**vars(features), **vars(tasks), **vars(policy), **vars(events)}
    if issubclass(owner, msgspec.Struct):
        hints = get_type_hints(owner, localns=names)
        yield from ((name, hints[name]) for name in owner.__struct_fields__)
        return
    hints = get_type_hints(owner.__init__, localns=names)
    yield from ((name, hints[name]) for name in inspect.signature(owner).parameters)


def _declared_in(hint: Any) -> list[type]:
    """The classes of declarations in an annotation."""
    if isinstance(hint, type) and not get_args(hint):
        return [hint] if _is_declaration(hint) else []
    return [kind for part in get_args(hint) for kind in _declared_in(part)]


def _is_declaration(kind: type) -> bool:
    if not kind.__module__.startswith("flyball.") or kind is Callable or getattr(kind, "_is_protocol", False):
        return False
    return not issubclass(kind, events.Event) and join_of(kind) is None
