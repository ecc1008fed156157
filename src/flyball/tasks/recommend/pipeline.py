"""Retrieve, featurize, score, arrange: one version of a recommender, answering."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flyball.models import Artifact, Histories, Ranker, Recommender
from flyball.tasks.featurize import ReadFeatures
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.fallback import fallback_of
from flyball.tasks.recommend.fold_in import placed
from flyball.tasks.recommend.item_index import ItemCatalog, Shelf
from flyball.tasks.recommend.queries import GENERAL, MODEL, BadScores, Query, Shown
from flyball.tasks.recommend.ranked import Ranking
from flyball.tasks.recommend.rerank import arrange
from flyball.tasks.recommend.rows import Row

if TYPE_CHECKING:
    from flyball.tasks.recommend.state.user_history import UserHistory


class Pipeline:
    """A task, an artifact and its model. Retrieval is the whole catalogue: scoring is exact, nothing is pruned before.
    Only a `Ranker` prunes: it retrieves a pool from what may be shown and scores that, with features from `features`.
    A model with `place_new` scores the catalogue's items that came after it was fitted too, by their attributes now.

    `answer` changes nothing that can be observed; it keeps views of the catalogues it was given, so pass the same
    object until the catalogue changes. A row has the same bits in any batch.
    """

    def __init__(
        self, task: Recommend, artifact: Artifact, model: Recommender, features: ReadFeatures | None = None
    ) -> None:
        self.task, self.artifact, self.model, self.features = task, artifact, model, features
        self.ranking = Ranking(task, artifact, model, features) if isinstance(model, Ranker) else None
        self._fallback = fallback_of(artifact.arrays)
        self._groups = {str(name): place for place, name in enumerate(self._fallback["groups"].tolist())}
        self._views: tuple[tuple[Shelf, Artifact], ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The user groups the artifact has lists for."""
        return tuple(self._groups)

    def shelf(self, catalog: ItemCatalog | None) -> Shelf:
        """The catalogue as this version sees it; the views of the last two catalogues are kept.

        Ask for a new catalogue's before answers need it: it takes about 50 ms for 27,000 items.
        """
        return self._view(catalog)[0]

    def over(self, catalog: ItemCatalog | None) -> Artifact:
        """The artifact as it answers over the catalogue: new items behind its own where the model can place them."""
        return self.artifact if catalog is None else self._view(catalog)[1]

    def _view(self, catalog: ItemCatalog | None) -> tuple[Shelf, Artifact]:
        for view in self._views:
            if view[0].catalog is catalog:
                return view
        artifact = placed(self.task, self.artifact, self.model, catalog)
        shelf = Shelf(artifact.items, fallback_of(artifact.arrays)["support"], catalog)
        if self.task.spread is not None:
            shelf.numbered(self.task.spread[0])
        self._views = ((shelf, artifact), *self._views[:1])
        return shelf, artifact

    def answer(
        self, queries: Sequence[Query], user_histories: Sequence["UserHistory"], catalog: ItemCatalog | None
    ) -> list[list[Shown]]:
        """A list of up to k items for each query, from each user's history as it is known now.

        A list that features were read for is a `Featured`, which holds them. Raises `BadScores` when the model gives
        nan, +inf or another shape. Queries are taken as checked (`check_query`).
        """
        return self._answer(queries, user_histories, catalog, personal=True)

    def popular(
        self, queries: Sequence[Query], user_histories: Sequence["UserHistory"], catalog: ItemCatalog | None
    ) -> list[list[Shown]]:
        """The same without the model: from the group's and the popular list. For the ladder below a failing model."""
        return self._answer(queries, user_histories, catalog, personal=False)

    def reasons(
        self, query: Query, user_history: "UserHistory", catalog: ItemCatalog | None, items: Sequence[str]
    ) -> dict[str, list[tuple[str, float]]]:
        """{item: what each column added to its score} of a version whose model is a `Ranker`; empty for others."""
        if self.ranking is None:
            return {}
        shelf = self.shelf(catalog)
        batch = self.histories([query], [user_history])
        row = Row(shelf, query, [shelf.place.get(item, -1) for item in user_history.seen])
        return self.ranking.reasons(self.ranking.scores(batch, [row]), 0, items)

    def histories(
        self,
        queries: Sequence[Query],
        user_histories: Sequence["UserHistory"],
        catalog: ItemCatalog | None = None,
    ) -> Histories:
        """The batch as the model sees it over the catalogue: items it does not know are left out."""
        artifact = self.over(catalog)
        rows = [[artifact.index.get(item, -1) for item in history.items] for history in user_histories]
        return self._batch(queries, user_histories, rows, len(artifact.items))

    def _answer(
        self,
        queries: Sequence[Query],
        user_histories: Sequence["UserHistory"],
        catalog: ItemCatalog | None,
        personal: bool,
    ) -> list[list[Shown]]:
        if not queries:
            return []
        shelf, artifact = self._view(catalog)
        place = shelf.place
        rows = [[place.get(item, -1) for item in history.items] for history in user_histories]
        batch = self._batch(queries, user_histories, rows, shelf.modelled)
        seen = [
            row if len(row) == len(history.seen) else [place.get(item, -1) for item in history.seen]
            for row, history in zip(rows, user_histories, strict=True)
        ]
        if personal and self.ranking is not None:
            asked = [Row(shelf, query, places) for query, places in zip(queries, seen, strict=True)]
            found = self.ranking.scores(batch, asked)
            lists = arrange(self.task, shelf, self._fallback, found.scores, batch.group.tolist(), seen, queries)
            return [self.ranking.featured(shown, found, row, self.artifact.index) for row, shown in enumerate(lists)]
        scores = self._score(artifact, batch) if personal else None
        source = MODEL if self.model.personal else GENERAL
        return arrange(self.task, shelf, self._fallback, scores, batch.group.tolist(), seen, queries, source)

    def _batch(
        self,
        queries: Sequence[Query],
        user_histories: Sequence["UserHistory"],
        rows: Sequence[Sequence[int]],
        known: int,
    ) -> Histories:
        lengths = np.array([len(row) for row in rows], np.int64)
        places = np.array([place for row in rows for place in row], np.int32)
        kept = (places >= 0) & (places < known)
        counts = np.zeros(len(places) + 1, np.int64)
        np.cumsum(kept, out=counts[1:])
        indptr = counts[np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])]
        return Histories(
            indptr=indptr,
            items=places[kept],
            weights=_joined([history.weights for history in user_histories], np.float32)[kept],
            ratings=_joined([history.ratings for history in user_histories], np.float32)[kept],
            at_us=_joined([history.at_us for history in user_histories], np.int64)[kept],
            group=np.array([self._group(history) for history in user_histories], np.int32),
            now_us=np.array([query.now_us for query in queries], np.int64),
        )

    def _group(self, history: "UserHistory") -> int:
        return -1 if history.group is None else self._groups.get(history.group, -1)

    def _score(self, artifact: Artifact, batch: Histories) -> NDArray[np.float32]:
        scores = self.model.score(artifact.arrays, batch)
        name, shape = type(self.model).__name__, (batch.rows, len(artifact.items))
        if not isinstance(scores, np.ndarray) or scores.shape != shape:
            raise BadScores(name, f"an array of shape {shape}", getattr(scores, "shape", type(scores).__name__))
        peaks = scores.max(axis=1, initial=-np.inf)  # nan wins every max, so this sees it without a second pass
        if np.isnan(peaks).any():
            raise BadScores(name, "numbers", "nan")
        if np.isposinf(peaks).any():
            raise BadScores(name, "finite, or -inf for what it cannot recommend", "+inf")
        return scores


def _joined(arrays: list[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([*arrays, np.zeros(0, kind)]).astype(kind, copy=False)
