"""The feedback loop: does what was shown come to be shown more, for no other reason than that it was shown?

Two questions. How does exposure follow past exposure, beside how demand follows it: shares of the lists of a period are
proportional to past exposure to the power of a slope, and so is what is taken from the randomized slice, where every
item is shown alike; the first above the second means that the lists amplify. And is there a loop at all: items of the
slice were drawn for no reason, so what is shown of them later, beyond what is shown of items like them that were not
drawn, was caused by showing them. For a learner that knows what it showed (or does not learn from it) that is 0.
Sources: Chaney, Stewart and Engelhardt, RecSys 2018; Mansoury et al., "Feedback Loop and Bias Amplification in
Recommender Systems", CIKM 2020; Jiang et al., "Degenerate Feedback Loops in Recommender Systems", AIES 2019.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from flyball.core import SignedInts
from flyball.evaluation import Estimate
from flyball.monitoring.exposure.lists import Consumed, ShownLists
from flyball.statistics import RandomizedEffect, ShareSlope, randomized_effect, share_slope

PERMUTATIONS = 999


class FeedbackLoop(Struct, frozen=True):
    """How exposure follows past exposure, each with a 95 % interval; None where there is too little to say.

    `exposure_slope`: 1 if items keep their shares. `demand_slope`: the same of what is taken from the randomized slice.
    `amplification`: their difference. `gain`: how often an item is shown in the period after, for each time it was
    drawn in the slice; `p`: of a gain of 0, against one above. `smallest_gain`: the one that would have been seen nine
    times in ten. `drawn`: items shown in the slice in the periods that the gain is from.
    """

    exposure_slope: Estimate | None
    demand_slope: Estimate | None
    amplification: Estimate | None
    gain: Estimate | None
    p: float | None
    smallest_gain: float | None
    drawn: int


class ItemCounts(Struct, frozen=True):
    """What happened to each item in the periods, (periods, items): how often it was `shown` outside the randomized
    slice, `drawn` in it, and `taken` from it; and how many users had it before (`popularity`)."""

    shown: SignedInts
    drawn: SignedInts
    taken: SignedInts
    popularity: SignedInts


def count_items(lists: ShownLists, consumption: Consumed, periods: Sequence[tuple[int, int]], items: int) -> ItemCounts:
    """The counts in each of the periods `[start, end)`, in microseconds."""
    shown, drawn, taken, popularity = (np.zeros((len(periods), items), np.int64) for _ in range(4))
    at_us, randomized = lists.at_us[lists.row], lists.randomized[lists.row]
    for number, (start_us, end_us) in enumerate(periods):
        inside = (at_us >= start_us) & (at_us < end_us)
        in_slice = inside & randomized
        shown[number] = np.bincount(lists.item[inside & ~randomized], minlength=items)
        drawn[number] = np.bincount(lists.item[in_slice], minlength=items)
        taken[number] = np.bincount(lists.item[in_slice & lists.taken], minlength=items)
        popularity[number] = consumption.popularity(start_us, items)
    return ItemCounts(shown, drawn, taken, popularity)


def feedback_loop(counts: ItemCounts, seed: int = 0) -> FeedbackLoop:
    """The loop that consecutive periods of the same length show; items without a place in the catalog are not shown."""
    exposure, demand = _slopes(counts)
    difference = exposure.minus(demand) if exposure is not None and demand is not None else None
    effect = loop_gain(counts.shown[:-2], counts.drawn[1:-1], counts.shown[2:], counts.popularity[1:-1], seed)
    return FeedbackLoop(
        _estimate(exposure),
        _estimate(demand),
        _estimate(difference),
        None if effect is None else Estimate(effect.effect, effect.low, effect.high),
        None if effect is None else effect.p,
        None if effect is None else effect.smallest,
        int(counts.drawn[1:-1].sum()),
    )


def loop_gain(
    before: SignedInts,
    drawn: SignedInts,
    after: SignedInts,
    popularity: SignedInts,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> RandomizedEffect | None:
    """The effect of a draw on how often the item is shown `after` it; all are (draws, items).

    A draw is compared with none of items that were shown about as often before it and have about as many users, by
    powers of 2: users are not shown what they have, so items of many users are drawn a little less. None where nothing
    was drawn, or everything alike. `permutations`: see `randomized_effect`.
    """
    if not len(drawn):
        return None
    kinds = np.floor(np.log2(before + 1)).astype(np.int64) * 64 + np.floor(np.log2(popularity + 1)).astype(np.int64)
    times = np.arange(len(drawn), dtype=np.int64)[:, None]
    stratum = times * (1 << 16) + kinds
    columns = (array.ravel() for array in (drawn, before, after, stratum))
    return randomized_effect(*columns, permutations=permutations, seed=seed)


def _slopes(counts: ItemCounts) -> tuple[ShareSlope | None, ShareSlope | None]:
    """The slopes on past exposure of exposure outside the slice, and of what is taken in it."""
    periods, items = counts.shown.shape
    if periods < 2:
        return None, None
    past = (counts.shown[:-1] + 1).ravel()
    period, unit = np.repeat(np.arange(periods - 1), items), np.tile(np.arange(items), periods - 1)
    exposure = share_slope(counts.shown[1:].ravel(), past, period, unit)
    demand = share_slope(counts.taken[1:].ravel(), past, period, unit, counts.drawn[1:].ravel())
    return exposure, demand


def _estimate(slope: ShareSlope | None) -> Estimate | None:
    return None if slope is None else Estimate(slope.value, slope.low, slope.high)
