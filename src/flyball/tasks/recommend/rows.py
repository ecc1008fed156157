"""What one query may not show, and what it can be filled from."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.tasks.recommend.cold_start import draw
from flyball.tasks.recommend.item_index import Marks, Places, Shelf
from flyball.tasks.recommend.queries import Query

_CHUNK = 1_024

Fallback = Mapping[str, NDArray[Any]]
Ranked = tuple[list[int], list[float]]
"""Places and their scores, best first."""


class Row:
    """One query on its shelf. `forbidden`: places that may not be shown (again); `passing`: None without filters."""

    def __init__(self, shelf: Shelf, query: Query, seen: list[int]) -> None:
        self.shelf, self.query = shelf, query
        self.forbidden = set(seen)
        self.forbidden.update([shelf.place.get(item, -1) for item in query.without])
        self.forbidden.discard(-1)
        self.passing: Marks | None = shelf.passing(query)

    def excluded(self) -> Places:
        """The model's items that may not be shown."""
        places = np.fromiter(self.forbidden, np.int32, len(self.forbidden))
        return places[places < self.shelf.modelled]

    def newcomers(self, wanted: int) -> tuple[list[int], float]:
        """Up to `wanted` places from the pool and the chance that each was drawn."""
        shelf = self.shelf
        if wanted < 1 or not len(shelf.pool):
            return [], 0.0
        chosen = list(islice(draw(shelf.pool, self.forbidden, self.passing, self.query.seed), wanted))
        barred = self.forbidden & shelf.pool_set
        if self.passing is None:
            allowed = len(shelf.pool) - len(barred)
        else:
            passing = self.passing
            allowed = int(passing[shelf.pool].sum()) - sum(1 for place in barred if passing[place])
        return chosen, len(chosen) / allowed if chosen else 0.0

    def head(self, places: Places, shares: NDArray[np.float32], depth: int) -> Ranked:
        """The first `depth` of a ranked list that may be shown."""
        found: Ranked = ([], [])
        chunk = _CHUNK if self.passing is not None else depth + len(self.forbidden)
        for first in range(0, len(places), chunk):
            part, scores = places[first : first + chunk], shares[first : first + chunk]
            if self.passing is not None:
                kept = np.flatnonzero(self.passing[part])
                part, scores = part[kept], scores[kept]
            for place, score in zip(part.tolist(), scores.tolist(), strict=True):
                if place not in self.forbidden:
                    found[0].append(place)
                    found[1].append(score)
                    if len(found[0]) == depth:
                        return found
        return found
