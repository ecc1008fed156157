"""A catalogue as one artifact sees it: the model's items first, then those that came after it was fitted."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flyball.tasks.recommend.queries import Query

Places = NDArray[np.int32]
Marks = NDArray[np.bool_]


class ItemCatalog(Protocol):
    """The items there are. `attributes(field)`: each one's value along `ids`, None where there is none."""

    @property
    def ids(self) -> Sequence[str]: ...

    def attributes(self, field: str) -> Sequence[Any]: ...


class Shelf:
    """Items by place. Places below `modelled` are the model's item indices.

    `pool`: the places of newcomers, items that no interaction spoke about when the model was fitted (`support` 0) or
    that came later.
    """

    def __init__(self, modelled: list[str], support: NDArray[np.int32], catalog: ItemCatalog | None) -> None:
        known = dict(zip(modelled, range(len(modelled)), strict=True))
        added = [] if catalog is None else [item for item in catalog.ids if item not in known]
        self.catalog, self.modelled = catalog, len(modelled)
        self.items: list[str] = [*modelled, *added]
        self.place: dict[str, int] = known | {item: len(modelled) + nth for nth, item in enumerate(added)}
        later = np.arange(len(modelled), len(self.items))
        self.pool: Places = np.concatenate([np.flatnonzero(support == 0), later]).astype(np.int32)
        self._by_value: dict[str, dict[str, Places]] = {}
        self._by_place: dict[str, list[tuple[str, ...]]] = {}
        self._numbered: dict[str, tuple[list[tuple[int, ...]], int]] = {}

    @cached_property
    def pool_set(self) -> frozenset[int]:
        """The pool's places as a set."""
        return frozenset(self.pool.tolist())

    def values_of(self, attribute: str) -> list[tuple[str, ...]]:
        """Per place the values of `attribute` as text; worked out when an attribute is first asked for."""
        found = self._by_place.get(attribute)
        if found is None:
            found = [()] * len(self.items)
            if self.catalog is not None:
                for item, value in zip(self.catalog.ids, self.catalog.attributes(attribute), strict=True):
                    found[self.place[item]] = as_texts(value)
            self._by_place[attribute] = found
        return found

    def numbered(self, attribute: str) -> tuple[list[tuple[int, ...]], int]:
        """`values_of` with each distinct value as a number, and how many numbers there are."""
        found = self._numbered.get(attribute)
        if found is None:
            numbers: dict[str, int] = {}
            rows = [
                tuple(numbers.setdefault(value, len(numbers)) for value in values)
                for values in self.values_of(attribute)
            ]
            found = self._numbered[attribute] = (rows, len(numbers))
        return found

    def places_of(self, attribute: str) -> dict[str, Places]:
        """{value as text: places of the items that have it}."""
        found = self._by_value.get(attribute)
        if found is None:
            gathered: dict[str, list[int]] = {}
            for place, values in enumerate(self.values_of(attribute)):
                for value in values:
                    gathered.setdefault(value, []).append(place)
            found = {value: np.array(places, np.int32) for value, places in gathered.items()}
            self._by_value[attribute] = found
        return found

    def passing(self, query: Query) -> Marks | None:
        """Which places pass the query's filters; None when it has none."""
        if not query.include and not query.exclude:
            return None
        marks = np.ones(len(self.items), bool)
        for attribute, values in (query.include or {}).items():
            marks &= self._having(attribute, values)
        for attribute, values in (query.exclude or {}).items():
            marks &= ~self._having(attribute, values)
        return marks

    def _having(self, attribute: str, values: Iterable[str]) -> Marks:
        marks = np.zeros(len(self.items), bool)
        places = self.places_of(attribute)
        for value in values:
            if value in places:
                marks[places[value]] = True
        return marks


def as_texts(value: Any) -> tuple[str, ...]:
    """An attribute's values as distinct texts: none for None, each element of a list once.

    >>> as_texts(["a", "b", "a"]), as_texts(1999), as_texts(None)
    (('a', 'b'), ('1999',), ())
    """
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(dict.fromkeys(str(each) for each in value))
    return (str(value),)
