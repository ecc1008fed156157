"""Training data for `Stages`: past times at which lists are requested, each with what was known just before it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np

from flyball.core import Doubles, Refused
from flyball.models.data import Histories, Indexes, Interactions, canonical, histories_of, select_rows

_TESTED_SHARE = 0.4


class TrainingCut(msgspec.Struct, frozen=True):
    """A past time to learn ranking from.

    `data`: what was known before `at_us`. `users`: who requests a list at `at_us`. `histories` and `seen` (items to
    leave out) are as known just before; `truth`: the items that each user liked later. Items are indexes into
    `data.items`.
    """

    at_us: int
    data: Interactions
    users: list[str]
    histories: Histories
    seen: list[Indexes]
    truth: list[Indexes]


class RankingPast(Protocol):
    """What `Stages` learn from. `features`: a row for each (user, item) at one time; see `Stages.column_names`."""

    @property
    def now(self) -> Interactions: ...

    def cuts(self, cuts: int, users: int, seed: int) -> Iterator[TrainingCut]: ...

    def features(self, users: Sequence[str], items: Sequence[str], at_us: int) -> Doubles: ...


class InteractionsPast:
    """The past of interactions without an event log: each counts as known since its `at_us`."""

    def __init__(self, data: Interactions) -> None:
        self._data = canonical(data)

    @property
    def now(self) -> Interactions:
        return self._data

    def cuts(self, cuts: int, users: int, seed: int) -> Iterator[TrainingCut]:
        """`cuts` windows with equal numbers of the latest positives, each with what was known when it began."""
        data = self._data
        for start_us, end_us in cut_windows(data, cuts):
            before = select_rows(data, data.at_us < start_us)
            after = select_rows(data, (data.at_us >= start_us) & (data.at_us < end_us) & (data.weights >= 1))
            cut_users = np.intersect1d(after.user_index, before.user_index)
            if len(cut_users) > users:
                cut_users = np.sort(
                    np.random.default_rng([seed, start_us % 2**32]).choice(cut_users, users, replace=False)
                )
            yield TrainingCut(
                at_us=start_us,
                data=msgspec.structs.replace(before, as_of_us=start_us - 1),
                users=[data.users[user] for user in cut_users.tolist()],
                histories=histories_of(before, cut_users, start_us),
                seen=[before.item_index[before.user_index == user] for user in cut_users.tolist()],
                truth=[after.item_index[after.user_index == user] for user in cut_users.tolist()],
            )

    def features(self, users: Sequence[str], items: Sequence[str], at_us: int) -> Doubles:
        raise Refused("features must come from a log, got interactions alone")


def cut_windows(data: Interactions, count: int) -> list[tuple[int, int]]:
    """`count` windows `[start, end)` that share the latest 40 % of the positives; fewer where times coincide.

    >>> cut_windows(_at([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 2)
    [(7, 9), (9, 11)]
    """
    at_us = np.sort(data.at_us[data.weights >= 1])
    if not len(at_us):
        return []
    first = int(len(at_us) * (1 - _TESTED_SHARE))
    cuts = np.linspace(first, len(at_us), count + 1).astype(np.int64)[:-1]
    starts = [start for start in dict.fromkeys(at_us[cuts].tolist()) if start > at_us[0]]
    return list(zip(starts, [*starts[1:], int(at_us[-1]) + 1], strict=True)) if starts else []


def _at(times: list[int]) -> Interactions:
    n, none = len(times), np.zeros(len(times), np.int32)
    return Interactions(
        ["u"],
        ["i"],
        none,
        none,
        np.ones(n, np.float32),
        np.full(n, np.nan, np.float32),
        np.array(times, np.int64),
        np.zeros(1, np.int32),
        [],
        max(times),
    )
