"""The lower rungs: lists that lie in memory, so that an answer needs neither a version nor a store."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from flyball.events import Offsets
from flyball.features import Reading
from flyball.serving.answering.request import Ask
from flyball.state import Catalog
from flyball.tasks import Shown, UserHistory

EVERYONE = ""
"""The name of the list for users of no known group."""


class Listed(msgspec.Struct, frozen=True):
    """A list and where it comes from; `version` is "" for one that no version made.

    `offsets`: the events behind the popular list, when that was looked at. `reading`: the features of what a model
    placed, when they were read.
    """

    level: str
    version: str
    items: list[str]
    scores: list[float]
    sources: list[str]
    offsets: Offsets = ()
    reading: Reading | None = None


class Memory(msgspec.Struct, frozen=True):
    """Lists made beforehand.

    `groups`: {group: list} by `version`, `EVERYONE` among them. `popular`: (item, weight), most popular now first.
    `catalog`: the items there are, for filters and as the last resort. `offsets`: the events behind `popular`, () when
    it changed while it was read.
    """

    version: str = ""
    groups: dict[str, list[Shown]] = {}
    popular: list[tuple[str, float]] = []
    catalog: Catalog | None = None
    offsets: Offsets = ()
    columns: dict[str, dict[str, tuple[str, ...]]] = msgspec.field(default_factory=dict)
    """{attribute: {item: its values as text}} of the catalogue, each worked out when a filter first asks for it."""

    @property
    def holds_any(self) -> bool:
        """Whether any list has an item."""
        return bool(any(self.groups.values()) or self.popular or (self.catalog is not None and self.catalog.ids))

    def lists(self, ask: Ask, history: UserHistory | None) -> Listed:
        """Up to `ask.k` items the user has not seen, from the best rung that has any, filled up from those below."""
        hidden = set(ask.without)
        if history is not None:
            hidden.update(history.seen)
        level, taken = "empty", list[tuple[str, float, str]]()
        for rung, shown in self._rungs(history):
            before = len(taken)
            self._take(shown, ask, hidden, taken)
            if taken and not before:
                level = rung
            if len(taken) == ask.k:
                break
        version = self.version if level == "precomputed" else ""
        return Listed(
            level,
            version,
            [item for item, _, _ in taken],
            [score for _, score, _ in taken],
            [by for _, _, by in taken],
            self.offsets,
        )

    def _rungs(self, history: UserHistory | None) -> Iterator[tuple[str, Iterable[tuple[str, float, str]]]]:
        group = EVERYONE if history is None or history.group is None else history.group
        for name in dict.fromkeys((group, EVERYONE)):
            yield "precomputed", ((each.item, each.score, each.source) for each in self.groups.get(name, ()))
        yield "popular", ((item, weight, "popular") for item, weight in self.popular)
        if self.catalog is not None:
            yield "empty", ((item, 0.0, "catalogue") for item in self.catalog.ids)

    def _take(
        self, shown: Iterable[tuple[str, float, str]], ask: Ask, hidden: set[str], taken: list[tuple[str, float, str]]
    ) -> None:
        passes = self._filter(ask)
        for each in shown:
            if len(taken) == ask.k:
                return
            if each[0] not in hidden and passes(each[0]):
                hidden.add(each[0])
                taken.append(each)

    def _filter(self, ask: Ask) -> Any:
        if not ask.include and not ask.exclude:
            return _everything
        wanted = [(self._values(attribute), set(values)) for attribute, values in (ask.include or {}).items()]
        unwanted = [(self._values(attribute), set(values)) for attribute, values in (ask.exclude or {}).items()]

        def passes(item: str) -> bool:
            return all(not values.isdisjoint(of.get(item, ())) for of, values in wanted) and all(
                values.isdisjoint(of.get(item, ())) for of, values in unwanted
            )

        return passes

    def _values(self, attribute: str) -> dict[str, tuple[str, ...]]:
        """{item: its values of `attribute` as text}."""
        found = self.columns.get(attribute)
        if found is None:
            pairs = (
                [] if self.catalog is None else zip(self.catalog.ids, self.catalog.attributes(attribute), strict=True)
            )
            found = self.columns[attribute] = {item: _texts(value) for item, value in pairs}
        return found


def _everything(item: str) -> bool:
    return True


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(str(each) for each in value)
    return (str(value),)
