"""Cold-start slots: positions for items that no model can know yet, so that new items can be reached.

A list of `k` gives up to `task.cold_start_slots` positions, at most one per five, to items drawn uniformly without
replacement from the cold items, and they stand in the middle of the list (from position k // 2 on, counted from 0):
seen, but not at the position of the best. The draw depends on nothing but the request's seed and the cold items, and
the propensity of each item is known exactly, as learning from what was shown needs.
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

    A draw that hits another item is drawn again, so an item costs little while most are allowed; after 16 vain draws
    the rest is listed and drawn from.
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


def _next(state: int) -> tuple[int, int]:
    """SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    number = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, number ^ (number >> 31)
