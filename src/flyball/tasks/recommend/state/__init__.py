"""The views of a recommendation task: the state of each user and item, users' histories, and popular lists."""

from collections.abc import Sequence

from flyball.core import BadDeclaration
from flyball.events import EventLog, Schema
from flyball.features import Entity
from flyball.state import ProfileView, View
from flyball.tasks.recommend.state.signals import Signals
from flyball.tasks.recommend.state.view import UserItemsView


def views_of(
    schema: Schema, signals: Signals, entities: Sequence[Entity] = (), log: EventLog | None = None
) -> list[View]:
    """The views of a recommendation task: histories, popular lists, and the profiles of users, items and others.

    `log`: the log that they are folded from, for joined types, see `Joiner`.
    """
    named: dict[str, Entity] = {}
    for entity in (*entities, signals.user, signals.item):
        if named.setdefault(entity.name, entity) is not entity:
            raise BadDeclaration("entities", "of different names", f"{entity.name!r} twice")
    profiles = [ProfileView(schema, entity, keyed=entity is signals.user) for entity in named.values()]
    return [UserItemsView(schema, signals, log=log), *profiles]
