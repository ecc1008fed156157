"""Pipelines over made-up scores, for tests of what becomes of scores in lists."""

from typing import Any

import numpy as np

from flyball.models import Artifact, Histories, Interactions, Recommender
from flyball.tasks import FrameCatalog, Recommend, RecommendPipeline, UserHistory, fallback_arrays


class Given(Recommender, frozen=True):
    """Scores that depend on the history alone, so on nothing else in the batch."""

    broken: str = ""

    def score(self, learned: Any, histories: Histories) -> Any:
        rows = learned["rows"][histories.now_us]
        if self.broken == "shape":
            return rows[:, 1:]
        if self.broken:
            rows = rows.copy()
            rows[:, 1] = float(self.broken)
        return rows


def data_of(items: list[str], pairs: list[tuple[int, int]], groups: list[str], user_group: list[int]) -> Interactions:
    users = [str(user) for user in range(len(user_group))]
    return Interactions(
        users=users,
        items=items,
        user_index=np.array([user for user, _ in pairs], np.int32),
        item_index=np.array([item for _, item in pairs], np.int32),
        weights=np.ones(len(pairs), np.float32),
        ratings=np.full(len(pairs), np.nan, np.float32),
        at_us=np.zeros(len(pairs), np.int64),
        user_group=np.array(user_group, np.int32),
        groups=groups,
        as_of_us=0,
    )


def history_of(user: str, items: list[str], group: str | None = None, beyond: tuple[str, ...] = ()) -> UserHistory:
    n = len(items)
    return UserHistory(
        user, items, np.ones(n, np.float32), np.full(n, np.nan, np.float32), np.arange(n), [*items, *beyond], group
    )


def pipeline_of(
    task: Recommend, data: Interactions, rows: np.ndarray, catalog: FrameCatalog | None, broken: str = ""
) -> RecommendPipeline:
    arrays = {**fallback_arrays(data), "rows": rows.astype(np.float32)}
    index = {item: place for place, item in enumerate(data.items)}
    return RecommendPipeline(task, Artifact({}, arrays, data.items, index), Given(broken), catalog)


def film_world(n: int = 40) -> tuple[Interactions, FrameCatalog, np.ndarray]:
    items = [f"i{place:02d}" for place in range(n)]
    data = data_of(items, [(user, item) for item in range(n) for user in range(3 if item < 4 else 1)], [], [-1] * 3)
    catalog = FrameCatalog(items, {"genres": [["drama"]] * n, "year": [1990 + place for place in range(n)]})
    return data, catalog, np.arange(n, 0, -1, dtype=np.float32)[None, :]
