"""The last stage: from scores to the lists that are shown."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from flyball.models import top_k
from flyball.tasks.recommend.cold_start import first_place, slots
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.item_index import Shelf
from flyball.tasks.recommend.queries import GROUP, MODEL, NEWCOMER, POPULAR, Query, Shown
from flyball.tasks.recommend.rows import Fallback, Ranked, Row

DEPTH = 5
"""How many times `k` candidates of a source the spread looks through before it is relaxed."""

Scores = NDArray[np.float32]


def arrange(
    task: Recommend,
    shelf: Shelf,
    fallback: Fallback,
    scores: Scores | None,
    groups: Sequence[int],
    seen: Sequence[list[int]],
    queries: Sequence[Query],
    source: str = MODEL,
) -> list[list[Shown]]:
    """Lists of up to k items, none twice, none seen, best first.

    `scores`: float32 (rows, modelled items), -inf for "cannot recommend"; None answers from the fallback lists alone.
    `source`: what the items they place come from.
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
    lists = [_List(task, row, row.query.k - len(chosen)) for row, (chosen, _) in zip(rows, drawn, strict=True)]
    if scores is not None:
        _fill_from_model(lists, scores, source)
    for one, group, (chosen, chance) in zip(lists, groups, drawn, strict=True):
        for ranked, source in _fallbacks(one, fallback, group):
            one.take(ranked, source)
        one.insert_newcomers(chosen, chance)
    return [one.shown for one in lists]


class _List:
    """A list being filled with up to `wanted` items, at most `at_most` of them with the same value."""

    def __init__(self, task: Recommend, row: Row, wanted: int) -> None:
        self.row, self.wanted, self.shown = row, wanted, list[Shown]()
        include = row.query.include or {}
        self.at_most = 0
        if task.spread is not None and task.spread[0] not in include:
            self._values, count = row.shelf.numbered(task.spread[0])
            self._counts, self.at_most = [0] * count, task.spread[1]

    @property
    def full(self) -> bool:
        return len(self.shown) >= self.wanted

    def take(self, ranked: Ranked, source: str, last: bool = True) -> None:
        """Append what is missing from `ranked`, keeping to the spread.

        With `last`, what was passed over fills the list up; without, a list that would need it takes nothing.
        """
        places, scores = ranked
        kept, over = self._sift(places) if self.at_most else (list(range(min(len(places), self._missing))), [])
        if not last and len(kept) < self._missing:
            return
        items, forbidden = self.row.shelf.items, self.row.forbidden
        for nth in (*kept, *over[: self._missing - len(kept)]):
            forbidden.add(places[nth])
            self.shown.append(Shown(items[places[nth]], scores[nth], source))
        if self.at_most:
            for nth in kept:
                for value in self._values[places[nth]]:
                    self._counts[value] += 1

    def insert_newcomers(self, chosen: list[int], chance: float) -> None:
        """Put the newcomers in the middle; should the list still be short, further ones at its end."""
        row, items = self.row, self.row.shelf.items
        place = min(first_place(row.query.k), len(self.shown))
        self.shown[place:place] = [Shown(items[each], 0.0, NEWCOMER, chance) for each in chosen]
        if len(self.shown) < row.query.k:
            more, chance = row.newcomers(row.query.k - len(self.shown))
            self.shown.extend(Shown(items[each], 0.0, NEWCOMER, chance) for each in more)

    @property
    def _missing(self) -> int:
        return max(0, self.wanted - len(self.shown))

    def _sift(self, places: list[int]) -> tuple[list[int], list[int]]:
        """Which of `places` keep to the spread, until enough do, and which were passed over before."""
        kept: list[int] = []
        over: list[int] = []
        counts, values_of, at_most, missing = self._counts.copy(), self._values, self.at_most, self._missing
        for nth, place in enumerate(places):
            if len(kept) == missing:
                break
            values = values_of[place]
            for value in values:
                if counts[value] >= at_most:
                    over.append(nth)
                    break
            else:
                kept.append(nth)
                for value in values:
                    counts[value] += 1
        return kept, over


def _fill_from_model(lists: Sequence[_List], scores: Scores, source: str) -> None:
    """Most lists fill from a few candidates more than they need; those that do not are ranked to their full depth."""
    depths = [_shallow(one) for one in lists]
    short = []
    for row, ranked in enumerate(_rank(lists, scores, depths)):
        one, deeper = lists[row], len(ranked[0]) == depths[row]
        one.take(ranked, source, last=not (one.at_most and deeper))
        if one.at_most and deeper and not one.full:
            short.append(row)
    if short:
        rest = [lists[row] for row in short]
        for one, ranked in zip(
            rest, _rank(rest, scores[short], [DEPTH * one.row.query.k for one in rest]), strict=True
        ):
            one.take(ranked, source)


def _shallow(one: _List) -> int:
    return one.wanted + one.wanted // 2 if one.at_most else one.wanted


def _rank(lists: Sequence[_List], scores: Scores, depths: Sequence[int]) -> list[Ranked]:
    """Each row's best candidates by the model, as many as its own depth, whatever else is in the batch."""
    found: list[Ranked] = [([], []) for _ in lists]
    plain = [row for row, one in enumerate(lists) if one.row.passing is None]
    for rows in (plain, [row for row, one in enumerate(lists) if one.row.passing is not None]):
        deepest = max((min(depths[row], scores.shape[1]) for row in rows), default=0)
        if not deepest:
            continue
        values = scores if len(rows) == len(lists) else scores[rows]
        if rows is not plain:
            marks = np.stack([lists[row].row.passing[: scores.shape[1]] for row in rows])  # type: ignore[index]
            values = np.where(marks, values, np.float32(-np.inf))
        items, best = top_k(values, [lists[row].row.excluded() for row in rows], deepest)
        filled = (items >= 0).sum(axis=1).tolist()
        for nth, row in enumerate(rows):
            count = min(depths[row], filled[nth])
            found[row] = (items[nth, :count].tolist(), best[nth, :count].tolist())
    return found


def _fallbacks(one: _List, fallback: Fallback, group: int) -> Iterator[tuple[Ranked, str]]:
    """The lists below the model's, while they are needed."""
    depth = DEPTH * one.row.query.k
    if group >= 0 and not one.full:
        yield one.row.head(fallback["group_items"][group], fallback["group_share"][group], depth), GROUP
    if not one.full:
        yield one.row.head(fallback["popular"], fallback["popular_share"], depth), POPULAR
