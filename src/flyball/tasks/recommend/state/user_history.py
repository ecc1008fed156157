"""The history of a user as serving reads it: one value for each user, derived from the user's pairs.

Layout: columns of the user's latest `HISTORY_CAP` items ordered by (at, item), as little-endian arrays. A second value
contains the older items, so that they stay excluded from answers.
"""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import FlyballError
from flyball.events import Offsets
from flyball.state import ViewStore
from flyball.stores import StateStore, key_of
from flyball.tasks.recommend.state.signals import (
    NEGATIVE,
    POSITIVE,
    POSITIVE_WEIGHT,
    WEAK_POSITIVE,
    WEAK_POSITIVE_WEIGHT,
    Signals,
)
from flyball.tasks.recommend.state.user_item import UserItem, flags_of, held_at

HISTORY_CAP = 1_000

if sys.byteorder != "little":  # stored columns are read in place
    raise FlyballError(f"this processor must be little-endian, got {sys.byteorder}-endian")


def weight_of(flags: int) -> float:
    """The weight of a pair: 0 if it is negative, otherwise 1 if positive, a quarter if weakly positive, or 0."""
    if flags & NEGATIVE:
        return 0.0
    return POSITIVE_WEIGHT if flags & POSITIVE else WEAK_POSITIVE_WEIGHT if flags & WEAK_POSITIVE else 0.0


_WEIGHTS = np.array([weight_of(flags) for flags in range(8)], np.float32)


class UserHistory(msgspec.Struct, frozen=True):
    """The history of a user at the offsets at which it was read.

    `items`: the latest `HISTORY_CAP` items, ordered by (`at_us`, item). `weights`: float32, see `weight_of`. `ratings`:
    float32, NaN for none. `at_us`: int64, when the pair became positive, otherwise its last event. `seen`: all items of
    the user, also older ones. `group`: the group of the profile, or None.
    """

    user: str
    items: list[str]
    weights: NDArray[np.float32]
    ratings: NDArray[np.float32]
    at_us: NDArray[np.int64]
    seen: list[str]
    group: str | None = None


class UserState(msgspec.Struct, array_like=True, gc=False):
    """The stored value of one user; the columns are raw arrays: int64, int64, uint8, float32.

    `group_order`: (at, offset, partition) of the profile with the group.
    """

    user: str
    group: str | None
    more: bool
    items: list[str]
    at: bytes
    last: bytes
    flags: bytes
    ratings: bytes
    group_order: tuple[int, int, int] | None = None


encode = msgspec.msgpack.Encoder().encode
decode_user = msgspec.msgpack.Decoder(UserState).decode
decode_names = msgspec.msgpack.Decoder(list[str]).decode


def user_key(user: str) -> bytes:
    return key_of(b"u/", user)


def more_key(user: str) -> bytes:
    return key_of(b"x/", user)


class UserEdit:
    """The value of a user while one batch changes it."""

    def __init__(self, user: str, stored: UserState | None, more: bytes | None) -> None:
        self.user = user
        self.group: str | None = None
        self.group_order: tuple[int, int, int] | None = None
        self.items: list[str] = []
        self.at, self.last, self.ratings = array("q"), array("q"), array("f")
        self.flags = bytearray()
        self.more: set[str] = set() if more is None else set(decode_names(more))
        self.more_changed = False
        if stored is not None:
            self.group, self.group_order, self.items = stored.group, stored.group_order, stored.items
            self.at.frombytes(stored.at)
            self.last.frombytes(stored.last)
            self.ratings.frombytes(stored.ratings)
            self.flags += stored.flags

    def put(self, pair: UserItem, known: bool, signals: Signals) -> None:
        """Set the row of the pair; `known`: whether the user had this item before."""
        flags = flags_of(pair, signals)
        positive_at = held_at(pair, signals, POSITIVE) if flags & POSITIVE else None
        at = pair.last_at if positive_at is None else positive_at
        rating = float("nan") if pair.rated is None else pair.rated[3]
        item, items = pair.item, self.items
        if known and item in self.more:
            self.more.discard(item)
            self.more_changed = True
        elif known:
            index = items.index(item)
            if self.at[index] == at:
                self.last[index], self.flags[index], self.ratings[index] = pair.last_at, flags, rating
                return
            self._remove(index)
        index = bisect_left(self.at, at)
        while index < len(items) and self.at[index] == at and items[index] < item:
            index += 1
        items.insert(index, item)
        self.at.insert(index, at)
        self.last.insert(index, pair.last_at)
        self.flags.insert(index, flags)
        self.ratings.insert(index, rating)
        if len(items) > HISTORY_CAP:
            oldest = min(range(len(items)), key=lambda row: (self.last[row], items[row]))
            self.more.add(items[oldest])
            self.more_changed = True
            self._remove(oldest)

    def _remove(self, index: int) -> None:
        del self.items[index], self.at[index], self.last[index], self.flags[index], self.ratings[index]

    def changes(self) -> dict[bytes, bytes | None]:
        state = UserState(
            self.user,
            self.group,
            bool(self.more),
            self.items,
            self.at.tobytes(),
            self.last.tobytes(),
            bytes(self.flags),
            self.ratings.tobytes(),
            self.group_order,
        )
        changes: dict[bytes, bytes | None] = {user_key(self.user): encode(state)}
        if self.more_changed:
            changes[more_key(self.user)] = encode(sorted(self.more)) if self.more else None
        return changes


def read_histories(store: StateStore, signals: Signals, users: Sequence[str]) -> tuple[list[UserHistory], Offsets]:
    """The users' histories and the offsets that they depend on; the history of an unknown user is empty."""
    view = ViewStore(store, signals.spec)
    values, offsets = view.read([user_key(user) for user in users])
    states = [None if value is None else decode_user(value) for value in values]
    if not any(state is not None and state.more for state in states):
        return [_history(user, state, None) for user, state in zip(users, states, strict=True)], offsets
    both, offsets = view.read([key for user in users for key in (user_key(user), more_key(user))])
    return [
        _history(user, None if both[2 * row] is None else decode_user(both[2 * row] or b""), both[2 * row + 1])
        for row, user in enumerate(users)
    ], offsets


def _history(user: str, state: UserState | None, more: bytes | None) -> UserHistory:
    if state is None:
        nothing = np.empty(0, np.float32)
        return UserHistory(user, [], nothing, nothing, np.empty(0, np.int64), [])
    return UserHistory(
        user,
        state.items,
        _WEIGHTS[np.frombuffer(state.flags, np.uint8)],
        np.frombuffer(state.ratings, "<f4"),
        np.frombuffer(state.at, "<i8"),
        state.items if more is None else state.items + decode_names(more),
        state.group,
    )
