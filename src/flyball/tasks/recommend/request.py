"""The request type of a recommendation task, for its types of users and items."""

from collections.abc import Sequence
from functools import lru_cache
from types import new_class
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import msgspec

from flyball.core import FlyballError
from flyball.events import Event, Ref
from flyball.tasks.recommend.declaration import MAX_K, Recommend, attributes_of, former_attributes
from flyball.tasks.request import Request

if TYPE_CHECKING:
    from flyball.features import Entity

MODEL, GENERAL, GROUP, POPULAR, COLD_START, CATALOG = "model", "general", "group", "popular", "cold_start", "catalog"
"""The sources of a ranked item: the scores of a personal model, those of a model that is not personal, the list of the
user's group, the popular list, a cold-start slot, and the order of the catalog."""


class RecommendRequest(Event, kw_only=True, forbid_unknown_fields=True):
    """A request for `k` items for `user`. `request_type` makes the class for the id types of a task.

    `include`, `exclude`: {attribute: values as text}. An item passes `include` if each of these attributes has one of
    its values, and `exclude` if none has. An attribute that is a list has all its elements as values; a missing
    attribute has no value. A renamed attribute may have its former name. `without`: items not to show.
    """

    user: Any
    k: Annotated[int, msgspec.Meta(ge=1, le=MAX_K)]
    include: dict[str, list[str]] = {}
    exclude: dict[str, list[str]] = {}
    without: list[Any] = []

    @property
    def filtered(self) -> bool:
        """Whether a short or empty list is correct."""
        return bool(self.include or self.exclude or self.without)


class BadScores(FlyballError):
    """A model returned scores that cannot be ranked: answer with another version."""

    def __init__(self, model: str, must: str, got: object) -> None:
        self.model, self.must, self.got = model, must, got
        super().__init__(f"scores of {model} must be {must}, got {got}")


def request_type(task: Recommend) -> type[RecommendRequest]:
    """The class of the requests of a task, the same one for equal declarations; by default `k` is that of the task."""
    user, item = _id_type(task, task.user), _id_type(task, task.item)
    attributes, former = attributes_of(task.item), tuple(former_attributes(task.item).items())
    return _request_class(user, item, task.k, attributes, former, task.context)


def fields_of(request: Request) -> RecommendRequest:
    """The event of a request. Raises `TypeError` for a request of another task."""
    if not isinstance(request.event, RecommendRequest):
        raise TypeError(f"event of a request must be a RecommendRequest, got {type(request.event).__name__}")
    return request.event


def _id_type(task: Recommend, entity: "Entity") -> Any:
    """The annotation of the first declared reference to `entity`; text if there is none."""
    profiles = [entity_declared.profile for entity_declared in task.entities if entity_declared.profile is not None]
    for event in (*task.event_types, *profiles):
        for annotation in get_type_hints(event, include_extras=True).values():
            marks = getattr(annotation, "__metadata__", ())
            if any(isinstance(mark, Ref) and mark.entity == entity.name for mark in marks):
                return annotation
    return Annotated[str, Ref(entity.name)]


@lru_cache
def _request_class(
    user: Any,
    item: Any,
    k: int,
    attributes: tuple[str, ...],
    former: tuple[tuple[str, str], ...],
    context: type[Event] | None = None,
) -> type[RecommendRequest]:
    names_now, more = dict(former), _context_fields(context)

    def check(self: RecommendRequest) -> str | None:
        return _unknown_attribute((*self.include, *self.exclude), attributes)

    def rename(self: RecommendRequest) -> None:
        for filters in (self.include, self.exclude):
            for name in [name for name in filters if name in names_now]:
                filters[names_now[name]] = filters.pop(name)

    body: dict[str, Any] = {
        "__annotations__": {
            "user": user,
            "k": RecommendRequest.__annotations__["k"],
            "without": list[item],
            **{name: hint for name, (hint, _) in more.items()},
        },
        "__doc__": RecommendRequest.__doc__,
        "__module__": __name__,
        "k": k,
        "without": [],
        **{name: default for name, (_, default) in more.items()},
        "check": check,
        **({"__post_init__": rename} if names_now else {}),
    }
    request_class = new_class(
        "RecommendRequest", (RecommendRequest,), {"kw_only": True}, lambda namespace: namespace.update(body)
    )
    return cast(type[RecommendRequest], request_class)


def _context_fields(context: type[Event] | None) -> dict[str, tuple[Any, Any]]:
    """{field: (its type or None, its default)} of what requests may carry besides."""
    if context is None:
        return {}
    hints = get_type_hints(context, include_extras=True)
    return {
        field.name: (hints[field.name] | None, None if field.default is msgspec.NODEFAULT else field.default)
        for field in msgspec.structs.fields(context)
        if field.name != "at"
    }


def _unknown_attribute(named: Sequence[str], known: tuple[str, ...]) -> str | None:
    unknown = next((name for name in named if name not in known), None)
    return None if unknown is None else f"filter attribute must be one of {', '.join(known) or 'none'}, got {unknown!r}"
