"""The last stage: from scores to the lists that are shown."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.models import top_k
from flyball.tasks.newcomers import draw, first_place, slots
from flyball.tasks.queries import GROUP, MODEL, NEWCOMER, POPULAR, Query, Shown
from flyball.tasks.recommend import Recommend
from flyball.tasks.shelf import Marks, Places, Shelf

DEPTH = 5
"""How many times `k` candidates of a source the spread looks through before it is relaxed."""

Ranked = tuple[list[int], list[float], str]
_NONE: Places = np.zeros(0, np.int32)


class Spread:
    """Counts values of an attribute as items are placed; at most `at_most` items may share one."""

    def __init__(self, values: list[tuple[str, ...]], at_most: int) -> None:
        self._values, self._at_most = values, at_most
        self._counts: dict[str, int] = {}

    def allows(self, place: int) -> bool:
        counts, at_most = self._counts, self._at_most
        return all(counts.get(value, 0) < at_most for value in self._values[place])

    def add(self, place: int) -> None:
        for value in self._values[place]:
            self._counts[value] = self._counts.get(value, 0) + 1


class Row:
    """What one query may not show: `forbidden` places, and `passing` when it filters."""

    def __init__(self, shelf: Shelf, query: Query, seen: list[int]) -> None:
        self.shelf, self.query = shelf, query
        without = [place for item in query.without if (place := shelf.place.get(item)) is not None]
        self.forbidden = {*seen, *without}
        self.forbidden.discard(-1)
        self.passing: Marks | None = shelf.passing(query)

    def newcomers(self, wanted: int) -> tuple[list[int], float]:
        """Up to `wanted` places from the pool and the chance of each."""
        pool = self.shelf.pool if self.passing is None else self.shelf.pool[self.passing[self.shelf.pool]]
        if not wanted or not len(pool):
            return [], 0.0
        marks = self.shelf.in_pool if self.passing is None else self.shelf.in_pool & self.passing
        allowed = len(pool) - sum(marks[place] for place in self.forbidden)
        chosen = list(islice(draw(pool, self.forbidden, self.query.seed), wanted))
        return chosen, len(chosen) / allowed if chosen else 0.0

    def excluded(self) -> Places:
        """The model's items that may not be ranked."""
        modelled = self.shelf.modelled
        listed = np.array([place for place in self.forbidden if place < modelled], np.int32)
        if self.passing is None:
            return listed
        return np.concatenate([listed, np.flatnonzero(~self.passing[:modelled]).astype(np.int32)])

    def head(self, places: Places, shares: NDArray[np.float32], depth: int) -> tuple[list[int], list[float]]:
        """The first `depth` allowed ones of a ranked list."""
        if self.passing is None:
            places, shares = places[: depth + len(self.forbidden)], shares[: depth + len(self.forbidden)]
        else:
            kept = np.flatnonzero(self.passing[places])[: depth + len(self.forbidden)]
            places, shares = places[kept], shares[kept]
        pairs = [pair for pair in zip(places.tolist(), shares.tolist(), strict=True) if pair[0] not in self.forbidden][
            :depth
        ]
        return [place for place, _ in pairs], [share for _, share in pairs]


def arrange(
    task: Recommend,
    shelf: Shelf,
    fallback: Mapping[str, NDArray[Any]],
    scores: NDArray[np.float32] | None,
    groups: Sequence[int],
    seen: Sequence[list[int]],
    queries: Sequence[Query],
) -> list[list[Shown]]:
    """Lists of up to k items, none twice, none seen, best first.

    `scores`: float32 (rows, modelled items), -inf for "cannot recommend"; None answers from the fallback lists alone.
    `groups`: per row an index into the fallback's groups, -1 for none. `seen`: places each user has seen, -1 for an
    item that is on no shelf.
    A list is filled from the model's ranking, then the group's list, then the popular list, then newcomers. Within a
    source, items that would break the spread are passed over, looking `DEPTH * k` deep, and used only to fill it up.
    A filter that asks for values of the spread's attribute lifts the spread.
    """
    rows = [Row(shelf, query, places) for query, places in zip(queries, seen, strict=True)]
    drawn = [row.newcomers(slots(task.newcomers, row.query.k)) for row in rows]
    for row, (chosen, _) in zip(rows, drawn, strict=True):
        row.forbidden.update(chosen)
    ranked = _rank(task, scores, rows)
    return [
        _fill(task, row, ranked[place], chosen, chance, fallback, int(groups[place]))
        for place, (row, (chosen, chance)) in enumerate(zip(rows, drawn, strict=True))
    ]


def _rank(
    task: Recommend, scores: NDArray[np.float32] | None, rows: Sequence[Row]
) -> list[tuple[list[int], list[float]]]:
    """Each row's best candidates by the model, as many as its own k asks for, whatever else is in the batch."""
    if scores is None:
        return [([], [])] * len(rows)
    depth = 1 if task.spread is None else DEPTH
    wanted = [min(depth * row.query.k, row.shelf.modelled) for row in rows]
    if not wanted or not max(wanted):
        return [([], [])] * len(rows)
    items, values = top_k(scores, [row.excluded() for row in rows], max(wanted))
    found = []
    for row, count in enumerate(wanted):
        count = min(count, int((items[row] >= 0).sum()))
        found.append((items[row, :count].tolist(), values[row, :count].tolist()))
    return found


def _fill(
    task: Recommend,
    row: Row,
    ranked: tuple[list[int], list[float]],
    newcomers: list[int],
    chance: float,
    fallback: Mapping[str, NDArray[Any]],
    group: int,
) -> list[Shown]:
    k, items = row.query.k, row.shelf.items
    wanted = k - len(newcomers)
    spread = _spread_of(task, row)
    shown: list[Shown] = []
    for source in _sources(row, ranked, fallback, group):
        _take(source, wanted, spread, row, shown)
        if len(shown) == wanted:
            break
    fresh = [Shown(items[place], 0.0, NEWCOMER, chance) for place in newcomers]
    place = min(first_place(k), len(shown))
    shown[place:place] = fresh
    if len(shown) < k:
        more, _ = row.newcomers(k - len(shown))
        shown.extend(Shown(items[place], 0.0, NEWCOMER, 1.0) for place in more)
    return shown


def _sources(
    row: Row, ranked: tuple[list[int], list[float]], fallback: Mapping[str, NDArray[Any]], group: int
) -> Iterable[Ranked]:
    depth = DEPTH * row.query.k
    yield (*ranked, MODEL)
    if group >= 0:
        yield (*row.head(fallback["group_items"][group], fallback["group_share"][group], depth), GROUP)
    popular = fallback["popular"]
    yield (*row.head(popular, fallback["share"][popular], depth), POPULAR)


def _take(source: Ranked, wanted: int, spread: Spread | None, row: Row, shown: list[Shown]) -> None:
    """Append places of `source` to `shown` until `wanted` are there."""
    items = row.shelf.items
    name, passed_over = source[2], []
    for place, score in zip(source[0], source[1], strict=True):
        if len(shown) == wanted:
            return
        if place in row.forbidden:
            continue
        if spread is not None and not spread.allows(place):
            passed_over.append((place, score))
            continue
        if spread is not None:
            spread.add(place)
        row.forbidden.add(place)
        shown.append(Shown(items[place], score, name))
    for place, score in passed_over[: wanted - len(shown)]:
        row.forbidden.add(place)
        shown.append(Shown(items[place], score, name))


def _spread_of(task: Recommend, row: Row) -> Spread | None:
    if task.spread is None:
        return None
    attribute, at_most = task.spread
    if row.query.include and attribute in row.query.include:
        return None
    return Spread(row.shelf.values_of(attribute), at_most)
