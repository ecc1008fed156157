"""Team-draft interleaving: one list made from the lists of several rankers, and the probability of each item in it.

Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008; several
rankers: Schuth et al., "Multileaved comparisons", CIKM 2014.
With a rule for the whole list, such as at most two items of a genre, what a ranker may add depends on all that stands
there already, so orders drawn again in each round would make probabilities too many to sum. One order is drawn for all
rounds then: each ranker is first as often, and an exact probability is a mean over the orders.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import permutations
from typing import Generic, TypeVar

import msgspec
import numpy as np

from flyball.core import BadInput
from flyball.statistics.checks import whole_number, whole_numbers

Item = TypeVar("Item", bound=Hashable)


class Draft(msgspec.Struct, Generic[Item], frozen=True):
    """An interleaved list: `items`, and `teams`, the index of the ranker that each item is credited to."""

    items: tuple[Item, ...]
    teams: tuple[int, ...]


class DraftRule(msgspec.Struct, Generic[Item], frozen=True):
    """At most `at_most` items of a list have the same value. `values`: {item: its values}; an item without is free."""

    at_most: int
    values: Mapping[Item, Sequence[Hashable]]


def ruled_draft(
    rankings: Sequence[Sequence[Item]], size: int, order: Sequence[int], rule: DraftRule[Item]
) -> Draft[Item]:
    """A list of at most `size` items by `rule`: in each round the rankers, in `order`, add their best allowed item.

    If the rule allows fewer than `size` items, those that it excluded complete the list, in the order in which the
    rankers came across them. `rankings`: each names an item once. Raises `BadInput` for an order that is none of the
    rankers, and a size below 1.

    >>> rule = DraftRule(1, {"a": ["horror"], "b": ["horror"], "c": ["comedy"]})
    >>> ruled_draft([["a", "c"], ["b", "c"]], 2, [1, 0], rule)
    Draft(items=('b', 'c'), teams=(1, 0))
    """
    whole_number("size", size, 1)
    if sorted(whole_numbers("order", order).tolist()) != list(range(len(rankings))):
        raise BadInput("order", f"each number of a ranker from 0 to {len(rankings) - 1}, once", list(order))
    placed: dict[Item, int] = {}
    excluded: dict[Item, int] = {}
    counts: Counter[Hashable] = Counter()
    left = [iter(ranking) for ranking in rankings]
    before = -1
    while before < len(placed) < size:
        before = len(placed)
        for ranker in order:
            for item in left[ranker] if len(placed) < size else ():
                values = rule.values.get(item, ())
                if item not in placed and all(counts[value] < rule.at_most for value in values):
                    placed[item] = ranker
                    counts.update(values)
                    break
                excluded.setdefault(item, ranker)
    for item, ranker in excluded.items():
        if len(placed) < size:
            placed.setdefault(item, ranker)
    return Draft(tuple(placed), tuple(placed.values()))


def team_draft(
    rankings: Sequence[Sequence[Item]], size: int, rng: np.random.Generator, rule: DraftRule[Item] | None = None
) -> Draft[Item]:
    """Interleave `rankings` into a list of at most `size` items.

    In each round the rankers, in random order, each add their best item that is not in the list yet. With `rule` it is
    a `ruled_draft` in one random order. Raises `BadInput` for fewer than two rankings, a ranking with a repeated item,
    or a size below 1.

    >>> draft = team_draft([["a", "b"], ["b", "c"]], 2, np.random.default_rng(0))
    >>> sorted(draft.items), sorted(draft.teams)
    (['a', 'b'], [0, 1])
    """
    _check(rankings, size)
    if rule is not None:
        order = [int(ranker) for ranker in rng.permutation(len(rankings))]
        return ruled_draft(rankings, size, order, rule)
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


def position_probabilities(
    rankings: Sequence[Sequence[Item]], size: int, rule: DraftRule[Item] | None = None
) -> list[dict[Item, float]]:
    """{item: its exact probability} at each position of `team_draft(rankings, size, ..., rule)`.

    With `rule` it is the mean over the orders of rankers. Without, after each round the list consists of the first
    items of each ranking, so a draft has few states: for two rankings, at most as many as positions. Raises as
    `team_draft` does.

    >>> position_probabilities([["a", "b"], ["b", "c"]], 2)
    [{'a': 0.5, 'b': 0.5}, {'b': 0.5, 'a': 0.5}]
    """
    _check(rankings, size)
    if rule is None:
        return _probabilities(rankings, size)
    orders = list(permutations(range(len(rankings))))
    counts: list[Counter[Item]] = [Counter() for _ in range(size)]
    for order in orders:
        for position, item in enumerate(ruled_draft(rankings, size, order, rule).items):
            counts[position][item] += 1
    return [{item: count / len(orders) for item, count in position.items()} for position in counts if position]


def _probabilities(rankings: Sequence[Sequence[Item]], size: int) -> list[dict[Item, float]]:
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
    whole_number("size", size, 1)


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
