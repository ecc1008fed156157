"""Places for items that no model can know yet, so that new items can be reached.

A list of `k` gives up to `task.newcomers` places, at most one per five, to items drawn uniformly without replacement
from the pool, and they stand in the middle of the list (from place k // 2 on, the first place being 0): seen, but not
in the place of the best. The draw depends on nothing but the query's seed and the pool, and the chance of each item is
known exactly, as learning from what was shown needs.
"""

from collections.abc import Iterator

import numpy as np

from flyball.tasks.recommend.item_index import Marks, Places

_MASK = (1 << 64) - 1
PLACES_PER_NEWCOMER = 5


def slots(newcomers: int, k: int) -> int:
    """How many places of a list of `k` go to newcomers."""
    return min(newcomers, k // PLACES_PER_NEWCOMER)


def first_place(k: int) -> int:
    """The place, from 0, where the newcomers of a list of `k` begin."""
    return k // 2


def draw(pool: Places, forbidden: set[int], passing: Marks | None, seed: int) -> Iterator[int]:
    """Every place of `pool` that is not `forbidden` and is `passing`, one by one, uniformly at random by `seed`.

    A draw that hits another place is drawn again, so a place costs little while most are allowed; after 16 vain draws
    the rest is listed and drawn from.
    """
    taken, state = set(forbidden), seed & _MASK
    while True:
        for _ in range(16):
            if not len(pool):
                return
            state, number = _next(state)
            place = int(pool[number % len(pool)])
            if place not in taken and (passing is None or passing[place]):
                break
        else:
            pool = pool[~np.isin(pool, np.fromiter(taken, np.int64, len(taken)))]
            pool = pool if passing is None else pool[passing[pool]]
            continue
        taken.add(place)
        yield place


def _next(state: int) -> tuple[int, int]:
    """SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    number = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, number ^ (number >> 31)
