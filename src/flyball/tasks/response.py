"""One response, the same struct for every task: ranked items, named values, a decision, the features read for them."""

import msgspec

from flyball.events import Offsets

RANDOMIZED = "randomized"
"""The source of items that were drawn at random among all that a request may be shown, whatever its version."""


class RankedItem(msgspec.Struct, frozen=True, gc=False):
    """One item of a response, in order of rank.

    `source`: what placed it, such as "model", "popular" or "cold_start". `propensity`: the probability that this
    request, under another seed, shows it; where a share of requests gets random lists, given that this one is among
    them, or is not. `parts`: named by `About.parts`, such as ("p_click", "bid", "price").
    """

    item: str
    score: float
    source: str = "model"
    propensity: float = 1.0
    parts: tuple[float, ...] = ()


class FeatureRead(msgspec.Struct, frozen=True):
    """Features read for a response, as of `at_us` with the events before `offsets` applied.

    `feature_set`: the hash of what the *version* reads, not of all that is declared. `digest` covers the bits of these
    values only. `vectors`: {group: (bits, tags)} of the sampled responses that keep them.
    """

    feature_set: str
    at_us: int
    offsets: Offsets
    digest: int
    vectors: dict[str, tuple[bytes, bytes]] = {}


class IntervalShift(msgspec.Struct, frozen=True, gc=False):
    """By how much outcomes moved both ends of an interval outward (below 0: inward): `margin`, as of `revision`, 0
    before any did."""

    revision: int
    margin: float


class Response(msgspec.Struct, frozen=True, gc=False):
    """What a version answers. `values`: named by `About.values`, such as ("q10", "q50", "q90") or ("probability",).

    `decision`: what was done about them, "" for none; `decision_propensity`: the probability that this request, under
    another seed, gets that decision. `interval`: by how much outcomes moved the interval among the values, None where
    none can. `reviews_today`: how many reviews the day was known to have had when a review would have been the best
    decision, None where it was not, or where their number is not limited.
    """

    items: tuple[RankedItem, ...] = ()
    values: tuple[float, ...] = ()
    decision: str = ""
    reads: tuple[FeatureRead, ...] = ()
    decision_propensity: float = 1.0
    interval: IntervalShift | None = None
    reviews_today: int | None = None
