"""What a ranker learns from: instants of the past, each with what was known just before it and nothing later."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flyball.events import Schema
from flyball.models import Fold, Interactions, Ranker, fold_windows, histories_of
from flyball.tasks.cases import evaluation_cases
from flyball.tasks.featurize import Columns, OfflineFeatures
from flyball.tasks.interactions import build_interactions
from flyball.tasks.known import Frames, frames_at
from flyball.tasks.recommend import Recommend


class LogPast:
    """The past of a log as it was known at `as_of_us`: a `Past` for `ranker`."""

    def __init__(self, task: Recommend, schema: Schema, frames: Frames, ranker: Ranker, now: Interactions) -> None:
        self._task, self._schema, self._now = task, schema, now
        self._frames = frames_at(frames, now.as_of_us)
        self._ranker = ranker

    @property
    def now(self) -> Interactions:
        return self._now

    def folds(self, wanted: int, users: int, seed: int) -> Iterator[Fold]:
        """The latest positives in `wanted` windows; see `evaluation_cases` for who is asked."""
        for start_us, end_us in fold_windows(self._now, wanted):
            data = build_interactions(self._frames, self._task, self._schema, start_us - 1)
            if not (data.weights > 0).any():
                continue
            cases = evaluation_cases(self._frames, self._task, self._schema, start_us, end_us, users, seed)
            row_of = {user: row for row, user in enumerate(data.users)}
            asked = [place for place, user in enumerate(cases.users) if user in row_of]
            rows = [row_of[cases.users[place]] for place in asked]
            index = {item: place for place, item in enumerate(data.items)}
            yield Fold(
                at_us=start_us,
                data=data,
                users=[cases.users[place] for place in asked],
                histories=histories_of(data, rows, start_us),
                seen=[_places(cases.histories[place].seen, index) for place in asked],
                truth=[_places(cases.truth[place], index) for place in asked],
            )

    def features(self, users: Sequence[str], items: Sequence[str], at_us: int) -> NDArray[np.float64]:
        """The ranker's features of each (user, item) as known at `at_us`."""
        return self._offline.matrix(self._columns, users, items, at_us)

    @cached_property
    def _columns(self) -> Columns:
        return Columns(self._task, self._task.feature_groups, self._ranker.feature_names)

    @cached_property
    def _offline(self) -> OfflineFeatures:
        return OfflineFeatures(self._task.feature_groups, self._frames)


def _places(items: Sequence[str], index: dict[str, int]) -> NDArray[np.int32]:
    return np.array([index[item] for item in items if item in index], np.int32)
