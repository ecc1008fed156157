"""Groups of features by their keys: an entity, or several keys together; each feature has a name and a hash."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from flyball.core import NOTHING, BadDeclaration, InWords
from flyball.events import Event, Profile, join_of, original_field_name, original_type_name
from flyball.features.declaration.aggregates import ATTRIBUTE, Aggregate, Feature, Ratio
from flyball.features.declaration.functions import keyed_by
from flyball.policy import Expression

_APART = ("event", "by", "freshness_us")
"""Fields of an aggregate that are hashed elsewhere, or do not change its values."""

SEMANTICS = 1
"""Increased when the same definition gets another value; part of every hash."""


class Definition(msgspec.Struct, frozen=True, dict=True):
    """One feature of a group. `name` is "user.watched"; `fields`: for each key the event's field that names it.

    For a ratio `fields` are the top's and `bottom_fields` the bottom's. `entity_keys`: which keys are entities, not
    fields. `hash`: 16 hex digits of everything besides events, keys and time that its value depends on; types and
    fields are hashed under their oldest declared names.
    """

    name: str
    keys: tuple[str, ...]
    feature: Feature
    fields: tuple[str, ...]
    bottom_fields: tuple[str, ...] = ()
    entity_keys: tuple[bool, ...] = ()

    @cached_property
    def hash(self) -> str:
        fields = [self._originals(0), self._originals(1)]
        keys = [
            key if entity else self._original_key(key)
            for key, entity in zip(self.keys, self.entity_keys or (True,) * len(self.keys), strict=True)
        ]
        return hash_of([SEMANTICS, keys, _content(self.feature), *fields])

    @property
    def plain(self) -> dict[str, Any]:
        """What its value depends on as plain values, for messages that compare two definitions."""
        fields = [field for field in (*self.fields, *self.bottom_fields) if field not in self.keys]
        return {**self.feature.plain(), "keys": list(self.keys), **({"fields": fields} if fields else {})}

    def _originals(self, part: int) -> list[str]:
        """The key fields of an aggregate under their oldest names; empty for the bottom of what is no ratio."""
        aggregates = self.aggregates[part : part + 1]
        return [original_field_name(aggregate.event, field) for aggregate, fields in aggregates for field in fields]

    def _original_key(self, key: str) -> str:
        """The oldest name of a key that is a field of an event; else the key itself."""
        events = [aggregate.event for aggregate, _ in self.aggregates if key in aggregate.event.__struct_fields__]
        return original_field_name(events[0], key) if events else key

    @property
    def aggregates(self) -> tuple[tuple[Aggregate, tuple[str, ...]], ...]:
        """Its aggregates with their key fields: one, or the two of a ratio."""
        if isinstance(self.feature, Ratio):
            return (self.feature.top, self.fields), (self.feature.bottom, self.bottom_fields)
        return ((self.feature, self.fields),)

    def is_settled(self, at_us: int, first_us: int) -> bool:
        """Whether its windows lie within a log that begins at `first_us`, as of `at_us`, so that its values do not grow
        with the log. A lifetime never does; an attribute has no window."""
        starts = [part.window.start_us(at_us - part.delay_us) for part, _ in self.aggregates if part.op != ATTRIBUTE]
        return all(start is not None and start >= first_us for start in starts)

    def since_us(self, at_us: int, fields: tuple[str, ...]) -> int | None:
        """The start of its longest window over events keyed by `fields`, as of `at_us`; None without a start."""
        starts = [
            part.window.start_us(at_us - part.delay_us) for part, key_fields in self.aggregates if key_fields == fields
        ]
        return None if None in starts else min(start for start in starts if start is not None)

    @property
    def result(self) -> str:
        """The type of its value: int, real, text, bool or list."""
        return self.feature.result


class Group(msgspec.Struct, frozen=True):
    """Features with the same keys. `keys`: names of entities, or of event fields where `entity_keys` is False."""

    name: str
    keys: tuple[str, ...]
    entity_keys: tuple[bool, ...]
    definitions: tuple[Definition, ...]

    @property
    def event_types(self) -> tuple[type[Event], ...]:
        """The event types that its features read, each once."""
        return tuple(dict.fromkeys(part.event for definition in self.definitions for part, _ in definition.aggregates))


def make_group(name: str, keys: Sequence[tuple[str, bool]], features: Mapping[str, Any]) -> Group:
    """Bind features to keys (name, is it an entity); raises `BadDeclaration` where they do not fit."""
    names, entities = tuple(key for key, _ in keys), tuple(entity for _, entity in keys)
    definitions = []
    for label, feature in features.items():
        where = f"{name}.{label}"
        if not isinstance(feature, Aggregate | Ratio):
            raise BadDeclaration(
                f"feature {where}", 'made by fb.count, fb.mean, ..., such as fb.count(Watch, "7d")', feature
            )
        parts = (feature,) if isinstance(feature, Aggregate) else (feature.top, feature.bottom)
        fields = [tuple(keyed_by(part, key, entity, name) for key, entity in keys) for part in parts]
        for part, field in zip(parts, fields, strict=True):
            if part.by is not None and part.by not in field:
                must = f"a field that names {' or '.join(names)}"
                raise BadDeclaration(f"by of {part.text()} of {name}", must, part.by)
        if isinstance(feature, Aggregate) and feature.op == ATTRIBUTE:
            _check_attribute(where, names, fields[0], feature)
        definitions.append(Definition(where, names, feature, fields[0], fields[1] if fields[1:] else (), entities))
    return Group(name, names, entities, tuple(definitions))


class Entity:
    """A kind of entity that events refer to.

    `profile`: the event type that describes an entity; the one with the latest `at` counts. `known_by`: further event
    types whose first reference to an entity makes it known (such as the creation of an account). `group`: a function
    from the profile to the name of its group, or None: `Entity("user", UserCard, group=lambda p: p.gender)`. Other
    keywords are its features: `Entity("film", FilmCard, views=count(Watch, "7d"))`.
    """

    def __init__(
        self,
        name: str,
        /,
        profile: type[Profile] | None = None,
        known_by: tuple[type[Event], ...] = (),
        group: Callable[[Any], Any] | None = None,
        **features: Feature,
    ) -> None:
        _check_name("Entity", name)
        if profile is not None and not _is_event(profile, Profile):
            raise BadDeclaration(f"profile of Entity {name!r}", "a class of fb.Profile", profile)
        if not isinstance(known_by, tuple | list) or not all(_is_event(event, Event) for event in known_by):
            raise BadDeclaration(f"known_by of Entity {name!r}", "a tuple of event types, such as (Joined,)", known_by)
        if group is not None and profile is None:
            raise BadDeclaration(
                f"group of Entity {name!r}", "over a profile, so the entity needs one", InWords("no profile")
            )
        self.name, self.profile, self.known_by = name, profile, tuple(known_by)
        self.group = group
        self.features = make_group(name, [(name, True)], features)

    def __repr__(self) -> str:
        return f"Entity({self.name!r})"


class Features:
    """Features of several keys together, or of a field that is no entity.

    `Features("user_film", keys=(user, film), seen=fb.count(Watch, "30d"))`; a key is an `Entity` or the name of a field
    of the events (`keys=("merchant",)`). Requests give each key by the entity's or field's name.
    """

    def __init__(self, name: str, /, keys: Sequence[Entity | str], **features: Feature) -> None:
        _check_name("Features", name)
        if not (isinstance(keys, tuple | list) and keys and all(isinstance(key, Entity | str) for key in keys)):
            raise BadDeclaration(f"keys of Features {name!r}", "a tuple of entities or field names", keys)
        named = [(key, False) if isinstance(key, str) else (key.name, True) for key in keys]
        if len({key for key, _ in named}) < len(named):
            raise BadDeclaration(f"keys of Features {name!r}", "different", [key for key, _ in named])
        if not features:
            raise BadDeclaration(f"Features {name!r}", "of one feature or more", NOTHING)
        self.name = name
        self.features = make_group(name, named, features)

    def __repr__(self) -> str:
        return f"Features({self.name!r})"


def _check_name(kind: str, name: Any) -> None:
    if not (isinstance(name, str) and name.isidentifier()):
        raise BadDeclaration(f"{kind} name", "a word of letters, digits and _", name)


def _is_event(declared: Any, base: type[Event]) -> bool:
    return isinstance(declared, type) and issubclass(declared, base)


def hash_of(content: Any) -> str:
    """16 hex digits of a value made of numbers, texts and lists."""
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


def _check_attribute(where: str, keys: tuple[str, ...], fields: tuple[str, ...], feature: Aggregate) -> None:
    own = next(name for name in feature.event.__struct_fields__ if name != "at")
    if len(keys) != 1 or fields != (own,):
        raise BadDeclaration(f"attribute {where}", "of the one entity its profile is about", list(keys))


def _content(feature: Feature) -> Any:
    if isinstance(feature, Ratio):
        return [feature.op, _content(feature.top), _content(feature.bottom)]
    fields = {field: getattr(feature, field) for field in feature.__struct_fields__ if field not in _APART}
    for name in ("value", "where"):
        fields[name] = _expression(fields[name], feature.event)
    join = join_of(feature.event)
    return [original_type_name(feature.event).lower(), fields, *([] if join is None else [join.hash])]


def _expression(expression: Expression | None, event: type[Event]) -> Any:
    return None if expression is None else _typed(expression.renamed(lambda field: original_field_name(event, field)))


def _typed(expression: Expression) -> Any:
    return [
        expression.op,
        *(_typed(arg) if isinstance(arg, Expression) else [type(arg).__name__, arg] for arg in expression.args),
    ]
