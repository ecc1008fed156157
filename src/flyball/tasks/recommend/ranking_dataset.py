"""The training data of `Stages`: past times, each with the data that serving could see just before it."""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.events import Schema
from flyball.models import (
    Interactions,
    Recommender,
    TrainingCut,
    cut_windows,
    histories_of,
    reads_attributes,
    select_rows,
)
from flyball.tasks.featurize import Columns, OfflineFeatures
from flyball.tasks.past import Frames, ServingLag
from flyball.tasks.recommend.cases import evaluation_cases
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.interactions import build_interactions
from flyball.tasks.recommend.known import frames_at


class RankingDataset:
    """The past of a log as it was known at `as_of_us`: a `RankingPast` for `stages`.

    Retrievers are fitted on the data known before a time, like a version learned then. Histories and features contain
    the events that had also been applied, which is `behind` later than known. `users`: the users to learn from, None
    for all. Features always use the events of all users.
    """

    def __init__(
        self,
        task: Recommend,
        schema: Schema,
        frames: Frames,
        stages: Recommender,
        now: Interactions,
        behind: ServingLag | None = None,
        users: Collection[str] | None = None,
    ) -> None:
        self._task, self._schema, self._now = task, schema, now
        self._behind = behind or ServingLag()
        self._frames = frames_at(frames, now.as_of_us)
        self._stages = stages
        self._users = None if users is None else frozenset(users)

    @property
    def now(self) -> Interactions:
        return self._now

    def cuts(self, cuts: int, users: int, seed: int) -> Iterator[TrainingCut]:
        """The latest positives in `cuts` windows; see `evaluation_cases` for the users."""
        for start_us, end_us in cut_windows(self._now, cuts):
            data = self._of_users(
                build_interactions(self._frames, self._task, self._schema, start_us - 1, reads_attributes(self._stages))
            )
            if not (data.weights > 0).any():
                continue
            cases = evaluation_cases(
                self._frames, self._task, self._schema, start_us, end_us, users, seed, self._behind.state_us
            )
            applied = data
            if self._behind.state_us:
                seen_us = start_us - 1 - self._behind.state_us
                applied = _among(
                    data, build_interactions(self._frames, self._task, self._schema, seen_us, attributes=False)
                )
            row_of = {user: row for row, user in enumerate(data.users)}
            case_rows = [
                position for position, user in enumerate(cases.users) if user in row_of and self._learns_from(user)
            ]
            rows = [row_of[cases.users[case_row]] for case_row in case_rows]
            index = {item: position for position, item in enumerate(data.items)}
            yield TrainingCut(
                at_us=start_us,
                data=data,
                users=[cases.users[case_row] for case_row in case_rows],
                histories=histories_of(applied, rows, start_us),
                seen=[_indexes(cases.histories[case_row].seen, index) for case_row in case_rows],
                truth=[_indexes(cases.truth[case_row], index) for case_row in case_rows],
            )

    def features(self, users: Sequence[str], items: Sequence[str], at_us: int) -> NDArray[np.float64]:
        """The features of the stages for each (user, item), as known and applied at `at_us`."""
        return self._offline.matrix(self._columns, users, items, at_us)

    def _learns_from(self, user: str) -> bool:
        return self._users is None or user in self._users

    def _of_users(self, data: Interactions) -> Interactions:
        """The rows of the users to learn from."""
        if self._users is None:
            return data
        return select_rows(data, np.array([user in self._users for user in data.users], bool)[data.user_index])

    @cached_property
    def _columns(self) -> Columns:
        return Columns(self._task, sorted(self._stages.feature_hashes))

    @cached_property
    def _offline(self) -> OfflineFeatures:
        return OfflineFeatures(self._task.feature_groups, self._frames, apply_delay_us=self._behind.features_us)


def _among(data: Interactions, earlier: Interactions) -> Interactions:
    """The `earlier` data about users and items of `data`; a catalog may have started after it."""
    user_row = {user: row for row, user in enumerate(data.users)}
    item_row = {item: row for row, item in enumerate(data.items)}
    number = {group: index for index, group in enumerate(data.groups)}
    groups = np.full(len(data.users), -1, np.int32)
    for user, group in zip(earlier.users, earlier.user_group.tolist(), strict=True):
        if user in user_row and group >= 0:
            groups[user_row[user]] = number.get(earlier.groups[group], -1)
    users = np.array([user_row.get(user, -1) for user in earlier.users], np.int32)[earlier.user_index]
    items = np.array([item_row.get(item, -1) for item in earlier.items], np.int32)[earlier.item_index]
    placed = msgspec.structs.replace(
        earlier,
        users=data.users,
        items=data.items,
        user_index=users,
        item_index=items,
        user_group=groups,
        groups=data.groups,
    )
    return select_rows(placed, (users >= 0) & (items >= 0))


def _indexes(items: Sequence[str], index: dict[str, int]) -> NDArray[np.int32]:
    return np.array([index[item] for item in items if item in index], np.int32)
