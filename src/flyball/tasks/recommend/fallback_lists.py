"""The fallback of recommendations: lists in memory, so that a response needs neither a version nor a store."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.events import Offsets
from flyball.tasks.recommend.item_index import ItemCatalog, as_texts
from flyball.tasks.recommend.request import CATALOG, POPULAR, RecommendRequest, fields_of
from flyball.tasks.request import Request
from flyball.tasks.response import RankedItem, Response
from flyball.tasks.task import EMPTY_LEVEL, POPULAR_LEVEL, PRECOMPUTED_LEVEL

if TYPE_CHECKING:
    from flyball.tasks.recommend.state.user_history import UserHistory

EVERYONE = ""
"""The name of the list for users without a known group."""

LENGTH = 200
"""The length of lists in memory: enough for a full list after filters and without seen items."""

Passes = Callable[[str], bool]


class FallbackLists(msgspec.Struct, frozen=True):
    """Lists that are prepared before a request.

    `groups`: {group: list of the best version}, including `EVERYONE`. `popular`: (item, weight), the currently most
    popular first. `catalog`: all items, for filters and as the last level. `offsets`: the end of the events that
    `popular` is made from, () if it changed while it was read.
    """

    groups: Mapping[str, list[RankedItem]] = {}
    popular: list[tuple[str, float]] = []
    catalog: ItemCatalog | None = None
    offsets: Offsets = ()
    texts: dict[str, dict[str, tuple[str, ...]]] = msgspec.field(default_factory=dict)
    """{attribute: {item: its values as text}} of the catalog; an attribute is computed when a filter first needs it."""

    @property
    def ready(self) -> bool:
        """Whether any list has an item."""
        return bool(any(self.groups.values()) or self.popular or (self.catalog is not None and self.catalog.ids))

    def answer(self, request: Request, context: "UserHistory | None") -> tuple[str, Response]:
        """Up to k unseen items, from the best level that has any, then from lower levels."""
        event = fields_of(request)
        hidden = {str(item) for item in event.without}
        if context is not None:
            hidden.update(context.seen)
        level, items, passes = EMPTY_LEVEL, list[RankedItem](), self._filter(event)
        for name, ranking in self._levels(context):
            for item in ranking:
                if len(items) == event.k:
                    return level, Response(tuple(items))
                if item.item not in hidden and passes(item.item):
                    if not items:
                        level = name
                    hidden.add(item.item)
                    items.append(item)
        return level, Response(tuple(items))

    def _levels(self, context: "UserHistory | None") -> Iterator[tuple[str, Iterable[RankedItem]]]:
        group = EVERYONE if context is None or context.group is None else context.group
        for name in dict.fromkeys((group, EVERYONE)):
            yield PRECOMPUTED_LEVEL, self.groups.get(name, ())
        yield POPULAR_LEVEL, (RankedItem(item, weight, POPULAR) for item, weight in self.popular)
        if self.catalog is not None:
            yield EMPTY_LEVEL, (RankedItem(item, 0.0, CATALOG) for item in self.catalog.ids)

    def _filter(self, event: RecommendRequest) -> Passes:
        if not event.include and not event.exclude:
            return _everything
        include = [(self._texts_of(attribute), set(values)) for attribute, values in event.include.items()]
        exclude = [(self._texts_of(attribute), set(values)) for attribute, values in event.exclude.items()]

        def passes(item: str) -> bool:
            return all(not values.isdisjoint(texts.get(item, ())) for texts, values in include) and all(
                values.isdisjoint(texts.get(item, ())) for texts, values in exclude
            )

        return passes

    def _texts_of(self, attribute: str) -> dict[str, tuple[str, ...]]:
        """{item: its values of `attribute` as text}."""
        texts = self.texts.get(attribute)
        if texts is None:
            pairs: Iterable[tuple[str, Any]] = ()
            if self.catalog is not None:
                pairs = zip(self.catalog.ids, self.catalog.attributes(attribute), strict=True)
            texts = self.texts[attribute] = {item: as_texts(value) for item, value in pairs}
        return texts


def _everything(item: str) -> bool:
    return True
