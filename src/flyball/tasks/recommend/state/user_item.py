"""The state of one user and one item: a function of the set of their events, for any order of arrival."""

from bisect import bisect_left
from itertools import accumulate, pairwise

import msgspec

from flyball.policy import first_hold
from flyball.tasks.recommend.state.signals import NEGATIVE, POSITIVE, WEAK_POSITIVE, Signals

DAY_US = 86_400_000_000
POSITIVE_UNITS, WEAK_POSITIVE_UNITS = 4, 1


class UserItem(msgspec.Struct, array_like=True, gc=False):
    """The folded events of a (user, item).

    `hits[slot]`: when the outcome first held: the smallest `t` with `at_least` qualifying events in `[t - within, t]`.
    `pending[slot]`: qualifying timestamps that could form an earlier hit with a late event (all before the hit, or all
    without a hit), ascending, as the first one and differences. `rated`: (at, offset, partition, value) of the latest
    rating by `at`, then offset.
    """

    item: str
    seen_at: int
    last_at: int
    hits: list[int | None]
    pending: list[list[int]]
    rated: tuple[int, int, int, float] | None = None


class PairEvents:
    """The events of one pair in a batch, collected before they are folded in."""

    __slots__ = ("ats", "rated", "times")

    def __init__(self, slots: int) -> None:
        self.ats: list[int] = []
        self.times: list[list[int] | None] = [None] * slots
        self.rated: tuple[int, int, int, float] | None = None


encode_user_item = msgspec.msgpack.Encoder().encode
decode_user_item = msgspec.msgpack.Decoder(UserItem).decode


def updated_user_item(pair: UserItem | None, item: str, touch: PairEvents, signals: Signals) -> UserItem:
    """The pair after a batch; `pair` is not changed."""
    first, last = min(touch.ats), max(touch.ats)
    if pair is None:
        slots = len(signals.outcomes)
        pair = UserItem(item, first, last, [None] * slots, [[] for _ in range(slots)])
    hits, pending = pair.hits.copy(), pair.pending.copy()
    for slot, times in enumerate(touch.times):
        if times is not None:
            outcome = signals.outcomes[slot]
            hits[slot], pending[slot] = _fold_slot(
                hits[slot], pending[slot], times, outcome.at_least, outcome.within_us
            )
    rated = pair.rated
    if touch.rated is not None and (rated is None or touch.rated > rated):
        rated = touch.rated
    return UserItem(pair.item, min(pair.seen_at, first), max(pair.last_at, last), hits, pending, rated)


def _fold_slot(
    hit: int | None, pending: list[int], times: list[int], at_least: int, within_us: int
) -> tuple[int | None, list[int]]:
    if at_least == 1:
        earliest = min(times)
        return earliest if hit is None else min(hit, earliest), pending
    if hit is not None:
        times = [at for at in times if at < hit]
        if not times:
            return hit, pending
    merged = [*accumulate(pending), *times]
    merged.sort()
    # spans that end before the first new timestamp had no hit before, so they have none now
    last = first_hold(merged, at_least, within_us, bisect_left(merged, min(times)))
    if last is not None:
        hit = merged[last]
        del merged[bisect_left(merged, hit) :]
    return hit, merged[:1] + [later - earlier for earlier, later in pairwise(merged)]


def flags_of(pair: UserItem, signals: Signals) -> int:
    """Those of POSITIVE, WEAK_POSITIVE and NEGATIVE of which an outcome held."""
    hits, flags = pair.hits, 0
    for flag in (POSITIVE, WEAK_POSITIVE, NEGATIVE):
        for slot in signals.slots_of[flag]:
            if hits[slot] is not None:
                flags |= flag
                break
    return flags


def held_at(pair: UserItem, signals: Signals, flag: int) -> int | None:
    """When the first outcome of `flag` held; None if none did."""
    return min((at for slot in signals.slots_of[flag] if (at := pair.hits[slot]) is not None), default=None)


def popularity_of(pair: UserItem | None, signals: Signals) -> tuple[int, int] | None:
    """(day when the pair became positive or weakly positive, units added to the popularity), None for neither."""
    if pair is None:
        return None
    flags = flags_of(pair, signals)
    if flags & NEGATIVE or not flags:
        return None
    flag, units = (POSITIVE, POSITIVE_UNITS) if flags & POSITIVE else (WEAK_POSITIVE, WEAK_POSITIVE_UNITS)
    at = held_at(pair, signals, flag)
    return None if at is None else (at // DAY_US, units)
