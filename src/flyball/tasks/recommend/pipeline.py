"""Retrieve, featurize, score, re-rank: one version of a recommender over one catalog."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Refused
from flyball.models import Artifact, Histories, Recommender, Stages, explain_score, explains
from flyball.tasks.featurize import ReadFeatures
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.fallback import fallback_of
from flyball.tasks.recommend.fallback_lists import EVERYONE, LENGTH
from flyball.tasks.recommend.fold_in import fold_in_items
from flyball.tasks.recommend.item_index import ItemCatalog, ItemIndex
from flyball.tasks.recommend.popularity_penalty import penalized
from flyball.tasks.recommend.randomized import in_slice, randomized_list
from flyball.tasks.recommend.ranked import Ranking
from flyball.tasks.recommend.request import COLD_START, GENERAL, MODEL, BadScores, fields_of, request_type
from flyball.tasks.recommend.rerank import rerank
from flyball.tasks.recommend.rows import RequestRow
from flyball.tasks.recommend.state.user_history import UserHistory
from flyball.tasks.request import Request
from flyball.tasks.response import RANDOMIZED, RankedItem, Response
from flyball.tasks.task import ListLimit

_WARM_HISTORY = 3


class RecommendPipeline:
    """A task, an artifact and its model, over a catalog. The context of a request is the history of its user.

    All items of the catalog are scored exactly, without an earlier selection, except by `Stages`, which retrieve a pool
    from the items that may be shown and score it with features from `features`. A model with `place_new` also scores
    newer items of the catalog, by their present attributes; `artifact` then contains them.

    `answer` has no visible effect, and a request gets the same bits in any batch. `over(catalog)` gives a pipeline for
    another catalog in about 50 ms for 27,000 items.
    """

    def __init__(
        self,
        task: Recommend,
        artifact: Artifact,
        model: Recommender,
        catalog: ItemCatalog | None = None,
        features: ReadFeatures | None = None,
    ) -> None:
        self.task, self.model, self.features = task, model, features
        self.fitted, self._fallback = artifact, fallback_of(artifact.arrays)
        self._groups = {str(name): number for number, name in enumerate(self._fallback["groups"].tolist())}
        self.artifact = fold_in_items(task, artifact, model, catalog)
        self.index = ItemIndex(self.artifact.items, fallback_of(self.artifact.arrays)["support"], catalog)
        if task.max_per is not None:
            self.index.codes_of(task.max_per[0])
        self.ranking = Ranking(task, self.artifact, model, features) if isinstance(model, Stages) else None

    def over(self, catalog: ItemCatalog | None) -> "RecommendPipeline":
        """The same version over another catalog."""
        return RecommendPipeline(self.task, self.fitted, self.model, catalog, self.features)

    def answer(self, requests: Sequence[Request], contexts: Sequence[UserHistory]) -> list[Response]:
        """A list of up to k items for each request, from the history of its user as known now.

        Raises `BadScores` if the model returns nan, +inf or another shape. Requests must have been checked.
        """
        if not requests:
            return []
        rows, batch = self._batch(requests, contexts)
        seen = self._seen(rows, contexts)
        if self.ranking is None:
            source = MODEL if self.model.personal else GENERAL
            lists = self._rerank(self._score(batch), batch, seen, requests, source)
            self._randomize(lists, seen, requests)
            return [Response(tuple(items)) for items in lists]
        ranked = self.ranking.scores(
            batch, [RequestRow(self.index, *pair) for pair in zip(requests, seen, strict=True)]
        )
        lists = self._rerank(ranked.scores, batch, seen, requests, MODEL)
        self._randomize(lists, seen, requests)
        return [
            Response(tuple(items), reads=self.ranking.feature_reads(items, ranked, row, requests[row].key))
            for row, items in enumerate(lists)
        ]

    def without_model(self, requests: Sequence[Request], contexts: Sequence[UserHistory]) -> list[Response]:
        """The fallback if the model fails: lists from the list of the group and the popular list."""
        rows, batch = self._batch(requests, contexts)
        lists = self._rerank(None, batch, self._seen(rows, contexts), requests, MODEL)
        return [Response(tuple(items)) for items in lists]

    def explain(self, request: Request, context: UserHistory, response: Response) -> list[list[tuple[str, float]]]:
        """The contributions to the score of each item: (item of the history, contribution).

        For stages they are (column = value, contribution). An item that is not there by its score has none. Raises
        `Refused` for a model whose score is not a sum over the history.
        """
        rows, batch = self._batch([request], [context])
        if self.ranking is not None:
            row = RequestRow(self.index, request, self._seen(rows, [context])[0])
            ranked = self.ranking.scores(batch, [row])
            scored = [item.item for item in response.items if item.source == MODEL]
            added = self.ranking.reasons(ranked, 0, scored)
            return [added.get(item.item, []) for item in response.items]
        if not explains(self.model):
            raise Refused(f"{type(self.model).__name__} gives no reasons by item: its score is no sum over the history")
        return [self._contributions(batch, item) for item in response.items]

    def limit_of(self, request: Request, response: Response) -> ListLimit | None:
        """The rule `max_per`. What was drawn at random is exempt, as in each list; a filter on its attribute removes
        it."""
        if self.task.max_per is None or self.task.max_per[0] in fields_of(request).include:
            return None
        attribute, at_most = self.task.max_per
        values, number = self.index.values_of(attribute), self.index.of
        drawn = (COLD_START, RANDOMIZED)
        texts = tuple(() if item.source in drawn else values[number[item.item]] for item in response.items)
        return ListLimit(attribute, at_most, texts)

    def warm(self, at_us: int) -> None:
        """Answer for an unknown user and for one with a history, alone and together."""
        items = self.artifact.items[:_WARM_HISTORY]
        ones, unknown = np.ones(len(items), np.float32), empty_history(None)
        known = UserHistory("", items, ones, ones, np.zeros(len(items), np.int64), items)
        at_us = 0 if self.features is None else at_us
        for batch in ([unknown], [known], [known, unknown]):
            self.answer([self._request(self.task.k, at_us) for _ in batch], batch)

    @cached_property
    def group_lists(self) -> dict[str, list[RankedItem]]:
        """{group: the list that needs no model}, with `EVERYONE` for users without a known group."""
        names = [EVERYONE, *self._groups]
        responses = self.without_model(
            [self._request(LENGTH) for _ in names], [empty_history(name or None) for name in names]
        )
        return {
            name: [item for item in response.items if item.source != COLD_START]
            for name, response in zip(names, responses, strict=True)
        }

    def _request(self, k: int, at_us: int = 0) -> Request:
        return Request("", "", at_us, request_type(self.task)(user="", k=k, at=at_us))

    def histories(self, requests: Sequence[Request], contexts: Sequence[UserHistory]) -> Histories:
        """The batch for the model, without items that it does not know."""
        return self._batch(requests, contexts)[1]

    def _contributions(self, batch: Histories, item: RankedItem) -> list[tuple[str, float]]:
        index = self.artifact.index.get(item.item)
        if index is None or item.source not in (MODEL, GENERAL):
            return []
        added = explain_score(self.model, self.artifact.arrays, batch, index)
        return [(self.artifact.items[int(batch.items[position])], float(part)) for position, part in added]

    def _rerank(
        self,
        scores: NDArray[np.float32] | None,
        batch: Histories,
        seen: Sequence[list[int]],
        requests: Sequence[Request],
        source: str,
    ) -> list[list[RankedItem]]:
        if scores is not None and source == MODEL:  # one list for all would only be another list for all
            support = fallback_of(self.artifact.arrays)["support"]
            scores = penalized(scores, support, self.task.popularity_penalty)
        return rerank(self.task, self.index, self._fallback, scores, batch.group.tolist(), seen, requests, source)

    def _randomize(self, lists: list[list[RankedItem]], seen: Sequence[list[int]], requests: Sequence[Request]) -> None:
        """Replace the lists of the randomized slice; one that no item may be shown in stays."""
        share = self.task.randomized_share
        for row, request in enumerate(requests):
            if in_slice(request, share):
                lists[row] = randomized_list(RequestRow(self.index, request, seen[row])) or lists[row]

    def _seen(self, rows: Sequence[list[int]], contexts: Sequence[UserHistory]) -> list[list[int]]:
        """The items that each user has seen, by index; a history contains all of them unless it was cut off."""
        of = self.index.of
        return [
            row if len(row) == len(history.seen) else [of.get(item, -1) for item in history.seen]
            for row, history in zip(rows, contexts, strict=True)
        ]

    def _batch(self, requests: Sequence[Request], contexts: Sequence[UserHistory]) -> tuple[list[list[int]], Histories]:
        """(the items of each history by index, the batch for the model)."""
        of = self.index.of
        rows = [[of.get(item, -1) for item in history.items] for history in contexts]
        lengths = np.array([len(row) for row in rows], np.int64)
        items = np.array([item for row in rows for item in row], np.int32)
        kept = (items >= 0) & (items < self.index.n_fitted)
        counts = np.zeros(len(items) + 1, np.int64)
        np.cumsum(kept, out=counts[1:])
        indptr = counts[np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])]
        return rows, Histories(
            indptr=indptr,
            items=items[kept],
            weights=_joined([history.weights for history in contexts], np.float32)[kept],
            ratings=_joined([history.ratings for history in contexts], np.float32)[kept],
            at_us=_joined([history.at_us for history in contexts], np.int64)[kept],
            group=np.array([self._group(history) for history in contexts], np.int32),
            now_us=np.array([request.at_us for request in requests], np.int64),
        )

    def _group(self, history: UserHistory) -> int:
        return -1 if history.group is None else self._groups.get(history.group, -1)

    def _score(self, batch: Histories) -> NDArray[np.float32]:
        scores = self.model.score(self.artifact.arrays, batch)
        name, shape = type(self.model).__name__, (batch.rows, len(self.artifact.items))
        if not isinstance(scores, np.ndarray) or scores.shape != shape:
            raise BadScores(name, f"an array of shape {shape}", getattr(scores, "shape", type(scores).__name__))
        peaks = scores.max(axis=1, initial=-np.inf)  # a max with nan is nan, so no second pass is needed
        if np.isnan(peaks).any():
            raise BadScores(name, "numbers", "nan")
        if np.isposinf(peaks).any():
            raise BadScores(name, "finite, or -inf for what it cannot recommend", "+inf")
        return scores


def empty_history(group: str | None) -> UserHistory:
    """The history of a user without interactions and with a known group."""
    nothing = np.empty(0, np.float32)
    return UserHistory("", [], nothing, nothing, np.empty(0, np.int64), [], group)


def _joined(arrays: list[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([*arrays, np.zeros(0, kind)]).astype(kind, copy=False)
