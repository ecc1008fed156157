"""Re-ranking: the last stage, from scores to the shown lists."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from flyball.models import top_k
from flyball.tasks.recommend.cold_start import first_slot, slots
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.item_index import ItemIndex
from flyball.tasks.recommend.request import COLD_START, GROUP, MODEL, POPULAR
from flyball.tasks.recommend.rows import FallbackArrays, RequestRow, Scored
from flyball.tasks.request import Request
from flyball.tasks.response import RankedItem

DEPTH = 5
"""The diversity constraint is applied to the first `DEPTH * k` candidates of a source before it is relaxed."""

Scores = NDArray[np.float32]


def rerank(
    task: Recommend,
    index: ItemIndex,
    fallback: FallbackArrays,
    scores: Scores | None,
    groups: Sequence[int],
    seen: Sequence[list[int]],
    requests: Sequence[Request],
    source: str = MODEL,
) -> list[list[RankedItem]]:
    """Lists of up to k items, none twice, none seen, best first.

    `scores`: float32 (rows, fitted items), -inf for "cannot recommend"; None answers from the fallback lists alone.
    `source`: of the items that the scores place. `groups`: the index of each row's fallback group, -1 for none. `seen`:
    the items that each user has seen, by index, -1 for an item that is not in the index.
    A list is filled from the ranking of the model, then the list of the group, then the popular list, then cold items.
    Within a source, the first `DEPTH * k` items are searched; items that violate the diversity constraint are skipped,
    and used only if the list would be too short. A filter on the attribute of the constraint removes the constraint.
    """
    rows = [RequestRow(index, request, items) for request, items in zip(requests, seen, strict=True)]
    drawn = [row.cold_start(slots(task.cold_start_slots, row.k)) for row in rows]
    for row, (items, _) in zip(rows, drawn, strict=True):
        row.forbidden.update(items)
    lists = [_List(task, row, row.k - len(items)) for row, (items, _) in zip(rows, drawn, strict=True)]
    if scores is not None:
        _fill_from_model(lists, scores, source)
    for ranking, group, (items, propensity) in zip(lists, groups, drawn, strict=True):
        for scored, fallback_source in _fallbacks(ranking, fallback, group):
            ranking.take(scored, fallback_source)
        ranking.insert_cold(items, propensity)
    return [ranking.items for ranking in lists]


class _List:
    """A list being filled with up to `size` items, at most `at_most` of them with the same value."""

    __slots__ = ("_counts", "_values", "at_most", "items", "row", "size")

    def __init__(self, task: Recommend, row: RequestRow, size: int) -> None:
        self.row, self.size, self.items = row, size, list[RankedItem]()
        self.at_most = 0
        if task.max_per is not None and task.max_per[0] not in row.include:
            self._values, count = row.index.codes_of(task.max_per[0])
            self._counts, self.at_most = [0] * count, task.max_per[1]

    @property
    def full(self) -> bool:
        return len(self.items) >= self.size

    def take(self, scored: Scored, source: str, last: bool = True) -> None:
        """Fill the list from `scored`, observing the diversity constraint.

        With `last`, skipped items complete a short list; without it, nothing is added to a list that would need them.
        """
        indexes, scores = scored
        kept, over = self._sift(indexes) if self.at_most else (list(range(min(len(indexes), self._missing))), [])
        if not last and len(kept) < self._missing:
            return
        names, forbidden = self.row.index.items, self.row.forbidden
        for candidate in (*kept, *over[: self._missing - len(kept)]):
            forbidden.add(indexes[candidate])
            self.items.append(RankedItem(names[indexes[candidate]], scores[candidate], source))
        if self.at_most:
            for candidate in kept:
                for value in self._values[indexes[candidate]]:
                    self._counts[value] += 1

    def insert_cold(self, indexes: list[int], propensity: float) -> None:
        """Insert the cold items in the middle; if the list is still short, append further ones."""
        row, names = self.row, self.row.index.items
        position = min(first_slot(row.k), len(self.items))
        self.items[position:position] = [RankedItem(names[item], 0.0, COLD_START, propensity) for item in indexes]
        if len(self.items) < row.k:
            more, propensity = row.cold_start(row.k - len(self.items))
            self.items.extend(RankedItem(names[item], 0.0, COLD_START, propensity) for item in more)

    @property
    def _missing(self) -> int:
        return max(0, self.size - len(self.items))

    def _sift(self, indexes: list[int]) -> tuple[list[int], list[int]]:
        """Positions in `indexes` that observe the constraint, until there are enough, and the skipped ones before."""
        kept: list[int] = []
        over: list[int] = []
        counts, values_of, at_most, missing = self._counts.copy(), self._values, self.at_most, self._missing
        for index, item in enumerate(indexes):
            if len(kept) == missing:
                break
            values = values_of[item]
            for value in values:
                if counts[value] >= at_most:
                    over.append(index)
                    break
            else:
                kept.append(index)
                for value in values:
                    counts[value] += 1
        return kept, over


def _fill_from_model(lists: Sequence[_List], scores: Scores, source: str) -> None:
    """Rank a few more candidates than needed, which fill most lists; rank the others to their full depth."""
    depths = [_shallow(ranking) for ranking in lists]
    short = []
    for row, scored in enumerate(_rank(lists, scores, depths)):
        ranking, deeper = lists[row], len(scored[0]) == depths[row]
        ranking.take(scored, source, last=not (ranking.at_most and deeper))
        if ranking.at_most and deeper and not ranking.full:
            short.append(row)
    if short:
        short_lists = [lists[row] for row in short]
        for ranking, scored in zip(
            short_lists,
            _rank(short_lists, scores[short], [DEPTH * ranking_list.row.k for ranking_list in short_lists]),
            strict=True,
        ):
            ranking.take(scored, source)


def _shallow(ranking: _List) -> int:
    return ranking.size + ranking.size // 2 if ranking.at_most else ranking.size


def _rank(lists: Sequence[_List], scores: Scores, depths: Sequence[int]) -> list[Scored]:
    """The best candidates of each row by the model, as many as its depth, independent of the rest of the batch."""
    best: list[Scored] = [([], []) for _ in lists]
    plain = [row for row, ranking in enumerate(lists) if ranking.row.allowed is None]
    filtered = [row for row, ranking in enumerate(lists) if ranking.row.allowed is not None]
    for rows in (plain, filtered):
        deepest = max((min(depths[row], scores.shape[1]) for row in rows), default=0)
        if not deepest:
            continue
        values = scores if len(rows) == len(lists) else scores[rows]
        if rows is not plain:
            masks = np.stack([lists[row].row.allowed[: scores.shape[1]] for row in rows])  # type: ignore[index]
            values = np.where(masks, values, np.float32(-np.inf))
        items, item_scores = top_k(values, [lists[row].row.excluded() for row in rows], deepest)
        filled = (items >= 0).sum(axis=1).tolist()
        for index, row in enumerate(rows):
            count = min(depths[row], filled[index])
            best[row] = (items[index, :count].tolist(), item_scores[index, :count].tolist())
    return best


def _fallbacks(ranking: _List, fallback: FallbackArrays, group: int) -> Iterator[tuple[Scored, str]]:
    """The lists of lower levels, as long as they are needed."""
    depth = DEPTH * ranking.row.k
    if group >= 0 and not ranking.full:
        yield ranking.row.head(fallback["group_items"][group], fallback["group_share"][group], depth), GROUP
    if not ranking.full:
        yield ranking.row.head(fallback["popular"], fallback["popular_share"], depth), POPULAR
