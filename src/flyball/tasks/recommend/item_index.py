"""The item index of an artifact over a catalog: first the items of the model, then the newer ones."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

ItemIndexes = NDArray[np.int32]
ItemMask = NDArray[np.bool_]


class ItemCatalog(Protocol):
    """All items. `attributes(field)`: the value of each item, in the order of `ids`, None if it has none."""

    @property
    def ids(self) -> Sequence[str]: ...

    def attributes(self, field: str) -> Sequence[Any]: ...


class ItemIndex:
    """Items by index. Indexes below `n_fitted` are items of the model. `of`: {item: index}.

    `cold`: indexes of the items for cold-start slots, those without interactions when the model was fitted (`support`
    0) and newer ones.
    """

    def __init__(self, fitted: list[str], support: NDArray[np.int32], catalog: ItemCatalog | None) -> None:
        known = dict(zip(fitted, range(len(fitted)), strict=True))
        added = [] if catalog is None else [item for item in catalog.ids if item not in known]
        self.catalog, self.n_fitted = catalog, len(fitted)
        self.items: list[str] = [*fitted, *added]
        self.of: dict[str, int] = known | {item: len(fitted) + index for index, item in enumerate(added)}
        later = np.arange(len(fitted), len(self.items))
        self.cold: ItemIndexes = np.concatenate([np.flatnonzero(support == 0), later]).astype(np.int32)
        self._texts: dict[str, list[tuple[str, ...]]] = {}
        self._codes: dict[str, tuple[list[tuple[int, ...]], int]] = {}
        self._having: dict[str, dict[str, ItemIndexes]] = {}

    @cached_property
    def cold_set(self) -> frozenset[int]:
        """`cold` as a set."""
        return frozenset(self.cold.tolist())

    def values_of(self, attribute: str) -> list[tuple[str, ...]]:
        """The values of `attribute` of each item, as text; computed when an attribute is first needed."""
        texts = self._texts.get(attribute)
        if texts is None:
            texts = [()] * len(self.items)
            if self.catalog is not None:
                for item, value in zip(self.catalog.ids, self.catalog.attributes(attribute), strict=True):
                    texts[self.of[item]] = as_texts(value)
            self._texts[attribute] = texts
        return texts

    def codes_of(self, attribute: str) -> tuple[list[tuple[int, ...]], int]:
        """`values_of` with a number for each distinct value, and the count of numbers."""
        coded = self._codes.get(attribute)
        if coded is None:
            numbers: dict[str, int] = {}
            code_rows: dict[tuple[str, ...], tuple[int, ...]] = {}  # few, since many items share them
            texts = self.values_of(attribute)
            for values in texts:
                if values not in code_rows:
                    code_rows[values] = tuple([numbers.setdefault(value, len(numbers)) for value in values])
            coded = self._codes[attribute] = ([code_rows[values] for values in texts], len(numbers))
        return coded

    def passing(self, include: Mapping[str, list[str]], exclude: Mapping[str, list[str]]) -> ItemMask | None:
        """Which items pass the filters, bool (items,); None without filters."""
        if not include and not exclude:
            return None
        mask = np.ones(len(self.items), bool)
        for attribute, values in include.items():
            mask &= self._mask_of(attribute, values)
        for attribute, values in exclude.items():
            mask &= ~self._mask_of(attribute, values)
        return mask

    def _mask_of(self, attribute: str, values: Iterable[str]) -> ItemMask:
        mask = np.zeros(len(self.items), bool)
        having = self._items_having(attribute)
        for value in values:
            if value in having:
                mask[having[value]] = True
        return mask

    def _items_having(self, attribute: str) -> dict[str, ItemIndexes]:
        """{value as text: indexes of the items with this value}."""
        having = self._having.get(attribute)
        if having is None:
            gathered: dict[str, list[int]] = {}
            for index, values in enumerate(self.values_of(attribute)):
                for value in values:
                    gathered.setdefault(value, []).append(index)
            having = {value: np.array(indexes, np.int32) for value, indexes in gathered.items()}
            self._having[attribute] = having
        return having


def as_texts(value: Any) -> tuple[str, ...]:
    """The values of an attribute as distinct texts: none for None, each element of a list once.

    >>> as_texts(["a", "b", "a"]), as_texts(1999), as_texts(None)
    (('a', 'b'), ('1999',), ())
    """
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(dict.fromkeys(map(str, value)))
    return (str(value),)
