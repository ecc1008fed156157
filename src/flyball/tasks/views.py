"""Which views of the log a task reads."""

from typing import Protocol, runtime_checkable

from flyball.events import EventLog, Schema
from flyball.state import ProfileView, View
from flyball.tasks.about import About
from flyball.tasks.labels import references


class Described(Protocol):
    """A task, as far as its description goes."""

    @property
    def about(self) -> About: ...


@runtime_checkable
class KeepsViews(Protocol):
    """A task that reads more online state than the profiles of its entities."""

    def views(self, schema: Schema, log: EventLog | None = None) -> list[View]:
        """Its own views, not yet folded. `log`: what they are folded from, for joined types, see `Joiner`."""
        ...


def task_views(task: Described, schema: Schema, log: EventLog | None = None) -> list[View]:
    """The views that `task` reads, its own first: those, and the profiles of its entities.

    Raises `BadDeclaration` for events that are not declared.
    """
    own = task.views(schema, log) if isinstance(task, KeepsViews) else []
    keyed = next(iter(references(task.about.request).values()), None)
    return [*own, *(ProfileView(schema, entity, keyed=entity.name == keyed) for entity in task.about.entities)]
