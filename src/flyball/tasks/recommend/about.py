"""The description of a recommendation task, and the declaration that a version stores."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from types import FunctionType
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import BadDeclaration, Refused
from flyball.events import Event, FormerNames, WrittenType, read_type
from flyball.features import content_of, source_of
from flyball.policy import (
    AnyOf,
    Expression,
    Outcome,
    Value,
    differences,
    expression_of,
    in_words,
    outcome_words,
    outcomes_of,
)
from flyball.tasks.about import About
from flyball.tasks.recommend.declaration import attributes_of, former_attributes
from flyball.tasks.recommend.labels import recommend_labels
from flyball.tasks.recommend.request import request_type
from flyball.tasks.recommend.state.signals import hash_of_group, profile_originals

if TYPE_CHECKING:
    from flyball.tasks.recommend.declaration import Recommend

OUTCOMES = ("positive", "weak_positive", "negative")
"""The fields of `Recommend` that are outcomes; the names of their labels are the same."""

ARRANGEMENT = ("max_per", "cold_start_slots", "randomized_share", "popularity_penalty")
"""The fields of `Recommend` that re-rank the scores of a version: they may change without training."""

ABSENT = ("randomized_share", "popularity_penalty")
"""Those that an arrangement lacks at 0: so it is the same as before there were such fields."""

SOURCES = {
    "general": "ranked by a model that is the same for all users",
    "group": "liked by the group",
    "popular": "popular now",
    "cold_start": "new in the catalog, shown to learn about it",
    "catalog": "from the catalog, nothing better was known",
    "randomized": "drawn at random among all, to learn what is liked without being picked",
}
"""{source of an item: the reason for its place in a list}."""


@lru_cache(maxsize=128)
def about_of(task: "Recommend") -> About:
    """The task as plain values."""
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
        groups=tuple(task.groups),
        unit=task.user.name,
        counted="with positives",
        sources=SOURCES,
        unreleased="the popular list",
        first_needs=f"lists are empty: no {task.item.name} has a positive yet ({outcome_words(task.positive)} of one "
        f"{task.user.name}), and no catalog names any: ingest such events, or a catalog",
        arrangement={
            field: _listed(getattr(task, field)) for field in ARRANGEMENT if field not in ABSENT or getattr(task, field)
        },
        not_evaluated={"randomized_share": 0.0},
    )


def restored(
    task: "Recommend",
    declaration: Mapping[str, Any],
    event_types: Sequence[type[Event]],
    written: Sequence[WrittenType] = (),
) -> "Recommend":
    """`task` with the outcomes, the rating and, if any, the arrangement of `declaration`.

    Renamed types and fields are followed. Raises `Refused` where an event type, a field or an entity is no longer
    declared.
    """
    then = msgspec.convert(declaration.get("types", {}), dict[str, WrittenType])
    names = FormerNames((*task.event_types, *event_types), written, then)
    for field in ("user", "item"):
        if declaration[field] != getattr(task, field).name:
            raise Refused(
                f"{field} of the task must be {declaration[field]!r}, as when the version was learned, "
                f"got {getattr(task, field).name!r}: release a version learned since"
            )
    profiles = [entity.profile for entity in task.entities if entity.profile is not None]
    _check_same(task, declaration, FormerNames((*profiles, *task.event_types, *event_types), written, then))
    changed: dict[str, Any] = {field: _outcome_of(declaration[field], names) for field in OUTCOMES}
    rating, value = declaration["rating"], None
    if rating is not None:
        event = rating["event"]
        value = Value(names.type_of(event), _expression_of(event, rating["of"], names))
    changed["rating"] = value
    return arranged(msgspec.structs.replace(task, **changed), declaration)


def arranged(task: "Recommend", arrangement: Mapping[str, Any]) -> "Recommend":
    """`task` that re-ranks by `arrangement`, and by its own settings where `arrangement` has none.

    A renamed attribute is found by its former name; what an arrangement of `ABSENT` lacks is 0. Raises `Refused` for an
    attribute that is no longer declared.
    """
    changed = {field: arrangement[field] for field in ARRANGEMENT if field in arrangement}
    if not changed:
        return task
    changed = {**dict.fromkeys(ABSENT, 0.0), **changed}
    if changed.get("max_per") is not None:
        attribute, at_most = changed["max_per"]
        changed["max_per"] = _attribute_now(task, attribute), at_most
    return msgspec.structs.replace(task, **changed)


def _attribute_now(task: "Recommend", attribute: str) -> str:
    known = attributes_of(task.item)
    now = attribute if attribute in known else former_attributes(task.item).get(attribute)
    if now is None:
        raise Refused(
            f"max_per of the arrangement must name an attribute of entity {task.item.name!r} "
            f"({', '.join(known) or 'its profile is gone'}), got {attribute!r}, which is no longer declared: declare "
            f'it again, under another name with fb.renamed("{attribute}"), or release another arrangement'
        )
    return now


def _listed(value: Any) -> Any:
    """The value after a round trip through JSON."""
    return list(value) if isinstance(value, tuple) else value


def _check_same(task: "Recommend", declaration: Mapping[str, Any], names: FormerNames) -> None:
    """Raise `Refused` if the grouping of users or the catalog differs from the declaration: answers depend on both."""
    grouped = declaration.get("groups")
    if grouped is not None:
        grouped = {**grouped, "profile": _name_now(grouped["profile"], names)}
    now_grouped = _groups(task)
    if "groups" in declaration and _without_source(grouped) != _without_source(now_grouped):
        changes = differences("", _source_of_group(grouped), _source_of_group(now_grouped))
        raise Refused(
            f"group= of entity {task.user.name!r}, or its profile, must be as when the version was learned, "
            f"got another ({'; '.join(changes)}): declare it as it was, or release a version learned since"
        )
    then, now = declaration.get("catalog"), _catalog(task)
    if then is None:
        return
    then = {
        **then,
        "profile": None if then["profile"] is None else _name_now(then["profile"], names),
        "known_by": sorted(_name_now(name, names) for name in then["known_by"]),
    }
    for field, name in (("profile", "profile="), ("known_by", "known_by=")):
        if then[field] != now[field]:
            raise Refused(
                f"{name} of entity {task.item.name!r} must be {in_words(then[field])}, as when the version was "
                f"learned, got {in_words(now[field])}: declare it as it was, or release a version learned since"
            )
    known = {*now["attributes"], *former_attributes(task.item)}
    missing_fields = [field for field in then["attributes"] if field not in known]
    if missing_fields:
        raise Refused(
            f"profile of entity {task.item.name!r} must have {', '.join(missing_fields)}, as when the version was "
            f"learned, got {', '.join(now['attributes']) or 'none'}: declare it as it was, or release a version "
            "learned since"
        )


def _without_source(groups: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The part of the description that groups depend on, without its text."""
    return None if groups is None else {key: value for key, value in groups.items() if key != "source"}


def _source_of_group(groups: Mapping[str, Any] | None) -> dict[str, Any]:
    """The text for people and the profile."""
    if groups is None:
        return {"group": None}
    source = groups.get("source") or {"function": f"with hash {groups['function']}"}
    return {"group": source["function"], "reads": source.get("reads", {}), "profile": groups["profile"]}


def _name_now(name: str, names: FormerNames) -> str:
    """The present name of an event type; the old name if it is no longer declared."""
    try:
        return names.type_of(name).__name__
    except Refused:
        return name


def _groups(task: "Recommend") -> dict[str, Any] | None:
    """The definitions that the groups of users depend on, besides profiles."""
    user = task.user
    if user.group is None or user.profile is None:
        return None
    try:
        originals = profile_originals(user)
        content = content_of(user.group, originals) if isinstance(user.group, FunctionType) else hash_of_group(user)
    except BadDeclaration as error:
        raise BadDeclaration(f"group of Entity {user.name!r}", "a function of numbers and texts", str(error)) from None
    return {
        "function": sha256(content.encode()).hexdigest()[:16],
        "profile": user.profile.__name__,
        "source": source_of(user.group) if isinstance(user.group, FunctionType) else None,
    }


def _catalog(task: "Recommend") -> dict[str, Any]:
    """The definitions that the catalog of items depends on, besides events."""
    item = task.item
    return {
        "profile": None if item.profile is None else item.profile.__name__,
        "attributes": list(attributes_of(item)),
        "known_by": sorted(event.__name__ for event in item.known_by),
    }


def _declaration(task: "Recommend") -> dict[str, Any]:
    rating = task.rating
    return {
        "user": task.user.name,
        "item": task.item.name,
        "groups": _groups(task),
        "definitions": task.feature_set.definitions,
        "catalog": _catalog(task),
        **{field: _plain(getattr(task, field)) for field in OUTCOMES},
        "influence_cap": task.influence_cap,
        "propensity_cap": task.propensity_cap,
        "rating": None if rating is None else {"event": rating.event.__name__, "of": rating.expression.plain()},
        "types": {event.__name__: msgspec.to_builtins(read_type(event).written) for event in _read_types(task)},
    }


def _read_types(task: "Recommend") -> list[type[Event]]:
    """The event types of the outcomes and of the rating."""
    declared = [declared_outcome for field in OUTCOMES if (declared_outcome := getattr(task, field)) is not None]
    events = [outcome.event for declared_outcome in declared for outcome in outcomes_of(declared_outcome)]
    return list(dict.fromkeys(events if task.rating is None else [*events, task.rating.event]))


def _plain(declared: Outcome | AnyOf | None) -> list[dict[str, Any]] | None:
    if declared is None:
        return None
    return [
        {
            "event": outcome.event.__name__,
            "where": None if outcome.where is None else outcome.where.plain(),
            "at_least": outcome.at_least,
            "within_us": outcome.within_us,
        }
        for outcome in outcomes_of(declared)
    ]


def _outcome_of(plain: Sequence[Mapping[str, Any]] | None, names: FormerNames) -> Outcome | AnyOf | None:
    if plain is None:
        return None
    outcomes = [
        Outcome(
            names.type_of(outcome["event"]),
            None if outcome["where"] is None else _expression_of(outcome["event"], outcome["where"], names),
            outcome["at_least"],
            outcome["within_us"],
        )
        for outcome in plain
    ]
    return outcomes[0] if len(outcomes) == 1 else AnyOf(tuple(outcomes))


def _expression_of(event: str, plain: Sequence[Any], names: FormerNames) -> Expression:
    return expression_of(plain).renamed(lambda field: names.field_of(event, field))
