"""What other rooms may know of a recommendation task, and what a version keeps of it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import Refused
from flyball.events import Event
from flyball.policy import AnyOf, Outcome, Value, expression_of, outcomes_of
from flyball.tasks.about import About
from flyball.tasks.recommend.labels import recommend_labels
from flyball.tasks.recommend.request import request_type

if TYPE_CHECKING:
    from flyball.tasks.recommend.declaration import Recommend

OUTCOMES = ("positive", "weak_positive", "negative")
"""The fields of `Recommend` that are outcomes; also the names of their labels."""

ARRANGEMENT = ("max_per", "cold_start_slots")
"""The fields of `Recommend` that re-rank what a version scored: they may change without training."""


@lru_cache(maxsize=128)
def about_of(task: "Recommend") -> About:
    """The task as inert values."""
    return About(
        kind="recommend",
        request=request_type(task),
        items=task.item.name,
        labels=recommend_labels(task.user, task.item, task.positive, task.weak_positive, task.negative, task.rating),
        entities=task.entities,
        features=task.feature_set,
        event_types=task.event_types,
        deadline_us=task.deadline_us,
        k=task.k,
        declaration=_declaration(task),
        paths={"GET /recommend/{user}": "lines"},
        arrangement={field: _listed(getattr(task, field)) for field in ARRANGEMENT},
    )


def restored(task: "Recommend", declaration: Mapping[str, Any], event_types: Sequence[type[Event]]) -> "Recommend":
    """`task` with the outcomes and the rating of `declaration`, and the arrangement where that holds one.

    Raises `Refused` where an event type or an entity of then is not declared any more.
    """
    known = {event.__name__: event for event in (*task.event_types, *event_types)}
    for field in ("user", "item"):
        if declaration[field] != getattr(task, field).name:
            raise Refused(
                f"{field} of the task must be {declaration[field]!r}, as when the version was learned, "
                f"got {getattr(task, field).name!r}: release a version learned since"
            )
    changed: dict[str, Any] = {field: _outcome_of(declaration[field], known) for field in OUTCOMES}
    rating = declaration["rating"]
    changed["rating"] = None if rating is None else Value(_event(rating, known), expression_of(rating["of"]))
    return arranged(msgspec.structs.replace(task, **changed), declaration)


def arranged(task: "Recommend", arrangement: Mapping[str, Any]) -> "Recommend":
    """`task` that re-ranks by `arrangement`; by its own where that names nothing."""
    changed = {field: arrangement[field] for field in ARRANGEMENT if field in arrangement}
    if not changed:
        return task
    tuples = {field: tuple(value) if isinstance(value, list) else value for field, value in changed.items()}
    return msgspec.structs.replace(task, **tuples)


def _listed(value: Any) -> Any:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _declaration(task: "Recommend") -> dict[str, Any]:
    rating = task.rating
    return {
        "user": task.user.name,
        "item": task.item.name,
        **{field: _plain(getattr(task, field)) for field in OUTCOMES},
        "rating": None if rating is None else {"event": rating.event.__name__, "of": rating.expression.plain()},
    }


def _plain(declared: Outcome | AnyOf | None) -> list[dict[str, Any]] | None:
    if declared is None:
        return None
    return [
        {
            "event": one.event.__name__,
            "where": None if one.where is None else one.where.plain(),
            "at_least": one.at_least,
            "within_us": one.within_us,
        }
        for one in outcomes_of(declared)
    ]


def _outcome_of(plain: Sequence[Mapping[str, Any]] | None, known: Mapping[str, type[Event]]) -> Outcome | AnyOf | None:
    if plain is None:
        return None
    outcomes = [
        Outcome(
            _event(one, known),
            None if one["where"] is None else expression_of(one["where"]),
            one["at_least"],
            one["within_us"],
        )
        for one in plain
    ]
    return outcomes[0] if len(outcomes) == 1 else AnyOf(tuple(outcomes))


def _event(plain: Mapping[str, Any], known: Mapping[str, type[Event]]) -> type[Event]:
    name = plain["event"]
    if name not in known:
        raise Refused(
            f"event type {name} must be declared, since the version was learned from it, got {', '.join(known)}: "
            "declare it again, or release a version learned since"
        )
    return known[name]
