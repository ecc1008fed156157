"""Cold-start slots: positions for items that no model can know yet, so that new items are shown.

A list of `k` has up to `task.cold_start_slots` such positions, at most one in five. Their items are drawn uniformly
without replacement from the cold items and are placed in the middle of the list (from position k // 2 on, counted from
0), where they are seen but do not replace the best items. The draw depends only on the seed of the request and on the
cold items. The propensity of each item is known exactly, which learning from shown items needs.
"""

from collections.abc import Iterator

import numpy as np

from flyball.tasks.recommend.item_index import ItemIndexes, ItemMask

_MASK = (1 << 64) - 1
POSITIONS_PER_SLOT = 5


def slots(cold_start_slots: int, k: int) -> int:
    """How many positions of a list of `k` are cold-start slots."""
    return min(cold_start_slots, k // POSITIONS_PER_SLOT)


def first_slot(k: int) -> int:
    """The position, from 0, where the cold-start slots of a list of `k` begin."""
    return k // 2


def draw(cold: ItemIndexes, forbidden: set[int], allowed: ItemMask | None, seed: int) -> Iterator[int]:
    """Every item of `cold` that is not `forbidden` and is `allowed`, one by one, uniformly at random by `seed`.

    If a draw hits another item, it is repeated; this is fast if most items are allowed. After 16 such draws the
    remaining items are listed and drawn from.
    """
    unavailable, state = set(forbidden), seed & _MASK
    while True:
        for _ in range(16):
            if not len(cold):
                return
            state, number = _next(state)
            item = int(cold[number % len(cold)])
            if item not in unavailable and (allowed is None or allowed[item]):
                break
        else:
            cold = cold[~np.isin(cold, np.fromiter(unavailable, np.int64, len(unavailable)))]
            cold = cold if allowed is None else cold[allowed[cold]]
            continue
        unavailable.add(item)
        yield item


def mixed(seed: int) -> int:
    """A 64-bit number, as good as random, that depends on `seed` alone."""
    return _next(seed & _MASK)[1]


def _next(state: int) -> tuple[int, int]:
    """A random 64-bit number by SplitMix64.

    Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    number = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, number ^ (number >> 31)
