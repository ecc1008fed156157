"""The declaration of a recommendation task: users, items, and the outcomes that count as success."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from flyball.core import NOTHING, BadDeclaration, InWords, declared_duration, parse_duration
from flyball.events import Event, Profile, Schema, WrittenType, read_type
from flyball.models import Recommender
from flyball.policy import AnyOf, Expression, Outcome, Value, outcomes_of
from flyball.tasks.labels import references

if TYPE_CHECKING:
    from flyball.events import EventLog
    from flyball.features import Entity, Features, FeatureSet, Group
    from flyball.state import View
    from flyball.tasks.about import About
    from flyball.tasks.recommend.state.signals import Signals
    from flyball.tasks.task import Lookup, Offline, Online, Stores

MAX_K, MAX_INFLUENCE = 1_000, 1_000_000
MAX_RANDOMIZED, MAX_PENALTY, MAX_PROPENSITY_WEIGHT = 0.5, 10.0, 1_000.0

_DOORS = {
    "about_of": "flyball.tasks.recommend.about",
    "lookups_of": "flyball.tasks.recommend.lookups",
    "restored": "flyball.tasks.recommend.about",
    "bind_candidates": "flyball.tasks.recommend.ranked",
    "RecommendOffline": "flyball.tasks.recommend.offline",
    "RecommendOnline": "flyball.tasks.recommend.online",
    "check_user_groups": "flyball.tasks.recommend.user_groups",
}
"""Modules that are imported by name when needed, since they import this one."""


class Recommend(msgspec.Struct, frozen=True):
    """Recommend items to users.

    `positive`, `weak_positive`, `negative`: outcomes of a (user, item) with weights of 1, 0.25 and 0 in learning;
    evaluation uses `positive`. `rating`: the number that a rating model predicts. `k`: the length of a list.
    `deadline`: the time within which a request must be answered. `max_per`: (attribute of the item's profile, the most
    items with the same value in a list), relaxed if the list cannot be filled otherwise. `cold_start_slots`: positions
    of a list for items that no model can know yet (at most one in five, so lists shorter than five have none).
    `randomized_share`: of requests whose lists are drawn at random among all items that they may be shown, such as
    0.01, so that demand can be separated from what lists led to; `flyball exposure` says what it costs.
    `popularity_penalty`: how much items that many users had lose against others in the ranking of a personal model: at
    1 the most popular one loses what separates the best from the hundredth. `propensity_cap`: in training, positives of
    items that few users encountered count for more, up to so many times; 0: all alike.
    `features`: features of several keys together, such as user and item, or an `fb.FeatureSet` with these and derived
    features; the features of the entities are included. `influence_cap`: of one user, so many interactions count in
    training and in the popular lists of a version, the latest. `context`: an event class whose fields a request may
    carry besides, such as the device, the country or a session: models do not read them; releases divide, target and
    switch by them. `groups`: attributes of the user's profile that are no real numbers, by which quality must be equal:
    metrics are reported by them and their groups compared, with a missing value as a group of its own.

    Constructing one checks it: `BadDeclaration` names the field.
    """

    user: "Entity"
    item: "Entity"
    positive: Outcome | AnyOf
    weak_positive: Outcome | AnyOf | None = None
    negative: Outcome | AnyOf | None = None
    rating: Value | None = None
    k: int = 20
    deadline: str = "300ms"
    max_per: tuple[str, int] | None = None
    cold_start_slots: int = 1
    randomized_share: float = 0.0
    popularity_penalty: float = 0.0
    propensity_cap: float = 0.0
    influence_cap: int = 1_000
    features: "tuple[Features, ...] | FeatureSet" = ()
    context: type[Event] | None = None
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_entities(self.user, self.item)
        for field in ("positive", "weak_positive", "negative"):
            declared = getattr(self, field)
            if field == "positive" or declared is not None:
                _check_outcomes(field, declared, {self.user.name, self.item.name})
        if self.rating is not None:
            _check_rating(self.rating, {self.user.name, self.item.name})
        _check_whole("k", self.k, 1, MAX_K)
        _check_whole("cold_start_slots", self.cold_start_slots, 0, self.k)
        _check_share("randomized_share", self.randomized_share, MAX_RANDOMIZED)
        _check_share("popularity_penalty", self.popularity_penalty, MAX_PENALTY)
        _check_share("propensity_cap", self.propensity_cap, MAX_PROPENSITY_WEIGHT)
        _check_whole("influence_cap", self.influence_cap, 1, MAX_INFLUENCE)
        declared_duration("deadline of Recommend", self.deadline, least="1ms")
        if self.max_per is not None:
            _check_max_per(self.max_per, self.item)
        _check_features(self.features, (self.user.features, self.item.features))
        _check_context(self.context)
        if self.groups:
            _door("check_user_groups")(self.groups, self.user.profile)

    @property
    def about(self) -> "About":
        """The description of the task, for other packages."""
        about: About = _door("about_of")(self)
        return about

    def bind(self, candidates: Mapping[str, Any]) -> tuple["Recommend", dict[str, Recommender]]:
        """The task with the features of its `Stages`, and the candidates with the hashes of the features they read."""
        bound: tuple[Recommend, dict[str, Recommender]] = _door("bind_candidates")(self, candidates)
        return bound

    def restore(
        self,
        declaration: Mapping[str, Any],
        event_types: Sequence[type[Event]] = (),
        written: Sequence[WrittenType] = (),
    ) -> "Recommend":
        """The task as it was declared when a version was learned; see `restored`."""
        task: Recommend = _door("restored")(self, declaration, event_types, written)
        return task

    @property
    def feature_set(self) -> "FeatureSet":
        """Every declared feature: the user's, the item's, then `features`, and the values derived from them."""
        from flyball.features import FeatureSet

        features = self.features
        if isinstance(features, tuple):
            return FeatureSet(
                *_groups((self.user.features, self.item.features, *(entity.features for entity in features)))
            )
        return FeatureSet(*_groups((self.user.features, self.item.features, *features.groups)), **features.derived)

    @property
    def feature_groups(self) -> "tuple[Group, ...]":
        """The declared features by the keys they are kept for: the user's, the item's, then `features`."""
        return self.feature_set.groups

    @property
    def feature_hashes(self) -> dict[str, str]:
        """{feature: hash of its definition}, derived values among them."""
        return self.feature_set.hashes

    def with_features(self, more: "FeatureSet") -> "Recommend":
        """The same task with further features. Raises `BadDeclaration` for a name with two meanings."""
        from flyball.features import FeatureSet

        feature_set = self.feature_set
        _check_features(more, feature_set.groups)
        for name, derived_feature in more.derived.items():
            if name in feature_set.derived and feature_set.derived[name].hash != derived_feature.hash:
                raise BadDeclaration(
                    f"derived feature {name}", "the same wherever it is named", InWords("two definitions")
                )
        groups, derived = _groups((*feature_set.groups, *more.groups)), {**feature_set.derived, **more.derived}
        return msgspec.structs.replace(self, features=FeatureSet(*groups, **derived))

    @property
    def entities(self) -> "tuple[Entity, Entity]":
        """The user's and the item's entity."""
        return self.user, self.item

    @property
    def event_types(self) -> tuple[type[Event], ...]:
        """Every event type the task reads, each once."""
        used: list[type[Event]] = [
            outcome.event
            for field in (self.positive, self.weak_positive, self.negative)
            for outcome in outcomes_of(field)
        ]
        if self.rating is not None:
            used.append(self.rating.event)
        for entity in self.entities:
            used.extend(entity.known_by)
        for group in self.feature_groups:
            used.extend(event for event in group.event_types if not issubclass(event, Profile))
        return tuple(dict.fromkeys(used))

    @property
    def deadline_us(self) -> int:
        return parse_duration(self.deadline)

    def offline(self) -> "Offline":
        """The offline interface."""
        offline: Offline = _door("RecommendOffline")(self)
        return offline

    @property
    def lookups(self) -> "tuple[Lookup, ...]":
        """Queries that versions answer besides requests."""
        lookups: tuple[Lookup, ...] = _door("lookups_of")(self)
        return lookups

    def online(self, stores: "Stores") -> "Online":
        """The online interface; it does not load polars."""
        online: Online = _door("RecommendOnline")(self, stores)
        return online

    def views(self, schema: Schema, log: "EventLog | None" = None) -> "list[View]":
        """Users' histories and popular lists."""
        from flyball.tasks.recommend.state.view import UserItemsView

        return [UserItemsView(schema, self.signals(schema), log=log)]

    def signals(self, schema: Schema) -> "Signals":
        """The task's signals compiled for `schema`."""
        from flyball.tasks.recommend.state.signals import Signals

        return Signals(
            self.user, self.item, self.positive, self.weak_positive, self.negative, self.rating, schema=schema
        )


def _door(name: str) -> Any:
    return getattr(import_module(_DOORS[name]), name)


def attributes_of(entity: "Entity") -> tuple[str, ...]:
    """The fields of the entity's profile, without its time; none without a profile."""
    return () if entity.profile is None else tuple(name for name in entity.profile.__struct_fields__ if name != "at")


def former_attributes(entity: "Entity") -> dict[str, str]:
    """{name that an attribute had before: its name now}, by the `fb.renamed` of the entity's profile."""
    if entity.profile is None:
        return {}
    return {former: field.name for field in read_type(entity.profile).written.fields for former in field.former}


def _check_entities(user: Any, item: Any) -> None:
    for field, entity in (("user", user), ("item", item)):
        if not isinstance(getattr(entity, "name", None), str) or not hasattr(entity, "known_by"):
            raise BadDeclaration(f"{field} of Recommend", "an fb.Entity", entity)
    if user.name == item.name:
        raise BadDeclaration("item of Recommend", "another entity than the user", item.name)


OF_REQUEST = ("user", "k", "include", "exclude", "without", "reasons", "dry")
"""The names of what every request for a list may carry."""


def _check_context(context: Any) -> None:
    where = "context of Recommend"
    if context is None:
        return
    if not (isinstance(context, type) and issubclass(context, Event)):
        raise BadDeclaration(where, "an event class, such as class Place(fb.Event) with a field country", context)
    fields = [name for name in context.__struct_fields__ if name != "at"]
    if not fields:
        raise BadDeclaration(where, "an event class with a field or more", context)
    for name in fields:
        if name in OF_REQUEST:
            raise BadDeclaration(f"a field of {where}", f"none of {', '.join(OF_REQUEST)}, which requests have", name)


def _check_features(declared: Any, known: "Sequence[Group]") -> None:
    where, hashes = "features of Recommend", {group.name: _meaning(group) for group in known if group.definitions}
    if not isinstance(declared, tuple):
        if not hasattr(declared, "derived"):
            raise BadDeclaration(where, "a tuple of fb.Features, or an fb.FeatureSet", declared)
        for group in declared.groups:
            if hashes.get(group.name, _meaning(group)) != _meaning(group):
                raise BadDeclaration(
                    f"features of {group.name}", "the same wherever they are named", InWords("two definitions")
                )
        return
    if any(not hasattr(feature_group, "features") for feature_group in declared):
        raise BadDeclaration(where, "a tuple of fb.Features, or an fb.FeatureSet", declared)
    names = [feature_group.name for feature_group in declared]
    if len(set(names)) < len(names) or hashes.keys() & set(names):
        raise BadDeclaration(where, "of different names, none the user's or the item's", names)


def _meaning(group: "Group") -> list[tuple[str, str]]:
    return [(definition.name, definition.hash) for definition in group.definitions]


def _groups(groups: "Sequence[Group]") -> "list[Group]":
    """Each group once, without groups that have no features."""
    group_of: dict[str, Group] = {}
    for group in groups:
        if group.definitions:
            group_of.setdefault(group.name, group)
    return list(group_of.values())


def _check_outcomes(field: str, declared: Any, entities: set[str]) -> None:
    where = f"{field} of Recommend"
    if not isinstance(declared, Outcome | AnyOf):
        raise BadDeclaration(where, "made by fb.outcome(...) or fb.any_of(...)", declared)
    if not outcomes_of(declared):
        raise BadDeclaration(where, "one outcome or more", NOTHING)
    for outcome in outcomes_of(declared):
        _check_event(where, outcome.event, entities, outcome.where.fields() if outcome.where is not None else set())
        if outcome.where is not None:
            _check_compared(where, outcome.where, get_type_hints(outcome.event))


def _check_rating(declared: Any, entities: set[str]) -> None:
    if not isinstance(declared, Value):
        raise BadDeclaration("rating of Recommend", "made by fb.value(...)", declared)
    _check_event("rating of Recommend", declared.event, entities, declared.expression.fields())
    texts = _texts_in(declared.expression, get_type_hints(declared.event))
    if texts:
        raise BadDeclaration("rating of Recommend", "a number", InWords(f"text: {', '.join(sorted(texts))}"))


def _texts_in(expression: Expression, hints: dict[str, Any]) -> set[str]:
    """The text fields that an expression computes a number from; comparisons of texts are numbers."""
    if expression.op == "field":
        return {expression.args[0]} if _is_text(hints[expression.args[0]]) else set()
    if expression.op in ("==", "!=", "<", "<=", ">", ">="):
        return set()
    return set().union(*(_texts_in(part, hints) for part in expression.args if isinstance(part, Expression)))


def _check_event(where: str, event: Any, entities: set[str], fields: set[str]) -> None:
    if not (isinstance(event, type) and issubclass(event, Event)):
        raise BadDeclaration(where, "about a class that derives from fb.Event", event)
    missing = entities - set(references(event).values())
    if missing:
        raise BadDeclaration(
            where,
            f"about events that refer to {' and '.join(sorted(entities))}",
            InWords(f"{event.__name__}, which does not"),
        )
    strange = fields - set(event.__struct_fields__)
    if strange:
        known = ", ".join(event.__struct_fields__)
        raise BadDeclaration(where, f"about fields of {event.__name__} ({known})", ", ".join(sorted(strange)))


def _check_compared(where: str, expression: Expression, hints: dict[str, Any]) -> None:
    """Raise `BadDeclaration` for an order of a field and a constant of another kind, which would fail at an event."""
    parts = [arg for arg in expression.args if isinstance(arg, Expression)]
    for part in parts:
        _check_compared(where, part, hints)
    if expression.op not in ("<", "<=", ">", ">="):
        return
    kinds = {part.args[0]: _is_text(hints[part.args[0]]) for part in parts if part.op == "field"}
    for value in (part.args[0] for part in parts if part.op == "constant"):
        for field, text in kinds.items():
            if text is not None and text != isinstance(value, str):
                raise BadDeclaration(f"what {where} compares {field} with", "text" if text else "a number", value)


def _is_text(hint: Any) -> bool | None:
    """Whether a field is text (True), a number (False) or something else (None)."""
    kinds = {kind for kind in get_args(hint) or (hint,) if kind is not type(None)}
    return True if kinds == {str} else False if kinds <= {int, float} else None


def _check_whole(field: str, got: Any, low: int, high: int) -> None:
    if not isinstance(got, int) or isinstance(got, bool) or not low <= got <= high:
        raise BadDeclaration(f"{field} of Recommend", f"a whole number from {low} to {high}", got)


def _check_share(field: str, got: Any, most: float) -> None:
    if not isinstance(got, int | float) or isinstance(got, bool) or not 0 <= got <= most:
        raise BadDeclaration(f"{field} of Recommend", f"a number from 0 to {most:g}", got)


def _check_max_per(max_per: Any, item: "Entity") -> None:
    where = "max_per of Recommend"
    if not (isinstance(max_per, tuple) and len(max_per) == 2 and isinstance(max_per[0], str)):
        raise BadDeclaration(where, "(attribute, at most so many)", max_per)
    attribute, at_most = max_per
    if not isinstance(at_most, int) or isinstance(at_most, bool) or at_most < 1:
        raise BadDeclaration(where, "(attribute, 1 or more)", max_per)
    known = attributes_of(item)
    if attribute not in known:
        must = f"an attribute of {item.name}'s profile ({', '.join(known) or 'it has none'})"
        raise BadDeclaration(where, must, attribute)
