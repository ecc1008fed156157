"""What an application is about: users, items, and what is known of them."""

from collections.abc import Callable
from typing import Any

from flyball.core import BadDeclaration
from flyball.events import Event, Profile
from flyball.features.declaration.aggregates import Feature
from flyball.features.declaration.groups import make_group


class Entity:
    """One kind of thing that events name.

    `profile`: the event type that describes one of them; the latest by `at` counts. `known_by`: further event types
    whose first reference to this kind makes it known (an account was created). `group`: a function of the profile
    giving the text of its group, or None: `Entity("user", UserCard, group=lambda p: p.gender)`. Every other
    keyword names a feature of it: `Entity("film", FilmCard, views=count(Watch, "7d"))`.
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
        if not name.isidentifier():
            raise BadDeclaration("Entity name", "a word of letters, digits and _", name)
        if group is not None and profile is None:
            raise BadDeclaration(f"group of Entity {name!r}", "over a profile, so the entity needs one", "no profile")
        self.name, self.profile, self.known_by = name, profile, tuple(known_by)
        self.group = group
        self.features = make_group(name, [(name, True)], features)

    def __repr__(self) -> str:
        return f"Entity({self.name!r})"
