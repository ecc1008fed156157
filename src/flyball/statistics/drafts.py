"""Team-draft interleaving: one list made from the lists of several rankers, and the probability of each item in it.

Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008; several
rankers: Schuth et al., "Multileaved comparisons", CIKM 2014.
"""

from collections.abc import Hashable, Sequence
from itertools import permutations
from typing import Generic, TypeVar

import msgspec
import numpy as np

from flyball.core import BadInput

Item = TypeVar("Item", bound=Hashable)


class Draft(msgspec.Struct, Generic[Item], frozen=True):
    """An interleaved list: `items`, and `teams`, the index of the ranker that each item is credited to."""

    items: tuple[Item, ...]
    teams: tuple[int, ...]


def team_draft(rankings: Sequence[Sequence[Item]], size: int, rng: np.random.Generator) -> Draft[Item]:
    """Interleave `rankings` into a list of at most `size` items.

    In each round the rankers, in random order, each add their best item that is not in the list yet. Raises `BadInput`
    for fewer than two rankings, a ranking with a repeated item, or a size below 1.

    >>> draft = team_draft([["a", "b"], ["b", "c"]], 2, np.random.default_rng(0))
    >>> sorted(draft.items), sorted(draft.teams)
    (['a', 'b'], [0, 1])
    """
    _check(rankings, size)
    items: list[Item] = []
    teams: list[int] = []
    heads = [0] * len(rankings)
    while len(items) < size:
        added = _round(rankings, heads, rng.permutation(len(rankings)).tolist(), set(items), size)
        if not added:
            break
        items += [item for item, _ in added]
        teams += [ranker for _, ranker in added]
    return Draft(tuple(items), tuple(teams))


def position_probabilities(rankings: Sequence[Sequence[Item]], size: int) -> list[dict[Item, float]]:
    """{item: its exact probability} at each position of `team_draft(rankings, size, ...)`.

    After each round the list consists of the first items of each ranking, so a draft has few states: for two rankings,
    at most as many as positions. Raises as `team_draft` does.

    >>> position_probabilities([["a", "b"], ["b", "c"]], 2)
    [{'a': 0.5, 'b': 0.5}, {'b': 0.5, 'a': 0.5}]
    """
    _check(rankings, size)
    orders = list(permutations(range(len(rankings))))
    positions: list[dict[Item, float]] = [{} for _ in range(size)]
    states: dict[tuple[int, ...], float] = {(0,) * len(rankings): 1.0}
    while states:
        following: dict[tuple[int, ...], float] = {}
        for before, probability in states.items():
            shown = {item for ranking, head in zip(rankings, before, strict=True) for item in ranking[:head]}
            for order in orders:
                heads, share = list(before), probability / len(orders)
                added = _round(rankings, heads, order, set(shown), size)
                for position, (item, _) in enumerate(added, len(shown)):
                    positions[position][item] = positions[position].get(item, 0.0) + share
                if added and len(shown) + len(added) < size:
                    state = _past(rankings, heads, shown.union(item for item, _ in added))
                    following[state] = following.get(state, 0.0) + share
        states = following
    return [position for position in positions if position]


def _check(rankings: Sequence[Sequence[Item]], size: int) -> None:
    if len(rankings) < 2 or any(len(set(ranking)) < len(ranking) for ranking in rankings):
        raise BadInput("rankings", "two or more, each naming an item once", [list(ranking)[:5] for ranking in rankings])
    if size < 1:
        raise BadInput("size", "1 or more", size)


def _round(
    rankings: Sequence[Sequence[Item]], heads: list[int], order: Sequence[int], shown: set[Item], size: int
) -> list[tuple[Item, int]]:
    """(item, ranker) that each ranker adds in this round; advances `heads` and adds to `shown`, up to `size` items."""
    added: list[tuple[Item, int]] = []
    for ranker in order:
        ranking = rankings[ranker]
        while heads[ranker] < len(ranking) and ranking[heads[ranker]] in shown:
            heads[ranker] += 1
        if heads[ranker] < len(ranking) and len(shown) < size:
            item = ranking[heads[ranker]]
            added.append((item, ranker))
            shown.add(item)
    return added


def _past(rankings: Sequence[Sequence[Item]], heads: Sequence[int], shown: set[Item]) -> tuple[int, ...]:
    """The heads advanced past shown items, so that they depend only on `shown` and not on the order of the rounds."""
    moved = []
    for ranking, head in zip(rankings, heads, strict=True):
        while head < len(ranking) and ranking[head] in shown:
            head += 1
        moved.append(head)
    return tuple(moved)
