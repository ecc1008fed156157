"""The randomized slice: a declared share of requests gets lists drawn at random, to learn what nobody was led to.

What users take up from ranked lists shows what they were shown as much as what they like. In the slice every item that
a request may be shown has the same probability for each place, so what is taken there is demand alone: ranking,
history and popularity have no part in it. Whether a request is in the slice, and what is drawn, depend on its id alone,
so that a replay draws the same. Source: Li, Chu, Langford and Wang, "Unbiased Offline Evaluation of
Contextual-bandit-based News Article Recommendation Algorithms", WSDM 2011 (a random bucket).
"""

from itertools import islice

import numpy as np

from flyball.tasks.recommend.cold_start import draw, mixed
from flyball.tasks.recommend.rows import RequestRow
from flyball.tasks.request import Request
from flyball.tasks.response import RANDOMIZED, RankedItem

_STREAM = 0xA5A5_5A5A_0000_0001
"""Keeps these draws apart from the others that are made from the same seed."""


def in_slice(request: Request, share: float) -> bool:
    """Whether `request` is among the `share` of requests that get a random list; one without an id is not."""
    return share > 0 and request.id != "" and mixed(request.seed ^ _STREAM) < share * 2.0**64


def randomized_list(row: RequestRow) -> list[RankedItem]:
    """Up to k items that the request may be shown, drawn uniformly without replacement; [] if there are none.

    `max_per` and cold-start slots do not hold in it. The propensity is 1 / (number of such items): how likely an item
    was to be drawn for its place, given that the request is in the slice.
    """
    index = row.index
    everything = np.arange(len(index.items), dtype=np.int32)
    drawn = list(islice(draw(everything, row.forbidden, row.allowed, mixed(row.request.seed ^ _STREAM)), row.k))
    if row.allowed is None:
        eligible = len(everything) - len(row.forbidden)
    else:
        allowed = row.allowed
        eligible = int(allowed.sum()) - sum(1 for item in row.forbidden if allowed[item])
    return [RankedItem(index.items[item], 0.0, RANDOMIZED, 1.0 / eligible) for item in drawn]
