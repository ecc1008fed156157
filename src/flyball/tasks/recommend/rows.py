"""The items that one request may not be shown, and the sources of its list."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.tasks.recommend.cold_start import draw
from flyball.tasks.recommend.item_index import ItemIndex, ItemIndexes, ItemMask
from flyball.tasks.recommend.request import fields_of
from flyball.tasks.request import Request

_CHUNK = 1_024

FallbackArrays = Mapping[str, NDArray[Any]]
Scored = tuple[list[int], list[float]]
"""Item indexes and their scores, best first."""


class RequestRow:
    """One request over an item index.

    `forbidden`: items that may not be shown, by index. `allowed`: which items pass its filters, None without filters.
    """

    __slots__ = ("allowed", "forbidden", "include", "index", "k", "request")

    def __init__(self, index: ItemIndex, request: Request, seen: list[int]) -> None:
        event = fields_of(request)
        self.index, self.request, self.k, self.include = index, request, event.k, event.include
        self.forbidden = set(seen)
        if event.without:
            self.forbidden.update([index.of.get(str(item), -1) for item in event.without])
        self.forbidden.discard(-1)
        self.allowed: ItemMask | None = index.passing(event.include, event.exclude)

    def excluded(self) -> ItemIndexes:
        """The items of the model that may not be shown."""
        indexes = np.fromiter(self.forbidden, np.int32, len(self.forbidden))
        return indexes[indexes < self.index.n_fitted]

    def cold_start(self, count: int) -> tuple[list[int], float]:
        """Up to `count` items that no model can know yet, and the probability that each was drawn."""
        index = self.index
        if count < 1 or not len(index.cold):
            return [], 0.0
        drawn = list(islice(draw(index.cold, self.forbidden, self.allowed, self.request.seed), count))
        barred = self.forbidden & index.cold_set
        if self.allowed is None:
            eligible = len(index.cold) - len(barred)
        else:
            allowed = self.allowed
            eligible = int(allowed[index.cold].sum()) - sum(1 for item in barred if allowed[item])
        return drawn, len(drawn) / eligible if drawn else 0.0

    def head(self, items: ItemIndexes, shares: NDArray[np.float32], depth: int) -> Scored:
        """The first `depth` items of a ranked list that may be shown."""
        head: Scored = ([], [])
        chunk = _CHUNK if self.allowed is not None else depth + len(self.forbidden)
        for first in range(0, len(items), chunk):
            part, scores = items[first : first + chunk], shares[first : first + chunk]
            if self.allowed is not None:
                kept = np.flatnonzero(self.allowed[part])
                part, scores = part[kept], scores[kept]
            for item, score in zip(part.tolist(), scores.tolist(), strict=True):
                if item not in self.forbidden:
                    head[0].append(item)
                    head[1].append(score)
                    if len(head[0]) == depth:
                        return head
        return head
