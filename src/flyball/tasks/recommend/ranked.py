"""The second stage of a version whose candidate has `Stages`: a pool of items, their features and scores."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Refused
from flyball.models import Artifact, Histories, Pool, Recommender, Stages, take, trees_of, unscored
from flyball.tasks.feature_hashes import check_hashes
from flyball.tasks.featurize import Columns, ReadFeatures, chosen_features
from flyball.tasks.recommend.declaration import Recommend
from flyball.tasks.recommend.request import MODEL
from flyball.tasks.recommend.rows import RequestRow
from flyball.tasks.response import FeatureRead, RankedItem

if TYPE_CHECKING:
    from flyball.features import FeatureSet, Reading


class Ranked(msgspec.Struct, frozen=True):
    """Scores of a batch, float32 (rows, items). `readings`: of each row; `pools`: the items of each row, as read."""

    scores: NDArray[np.float32]
    pools: list[NDArray[np.int32]]
    readings: "list[Reading | None]"
    columns: list[NDArray[np.float64]]


class Ranking:
    """Scores by stages.

    Raises `Refused` if it needs features and there is no store to read them from, or if the declared features differ
    from those that it learned from.
    """

    def __init__(self, task: Recommend, artifact: Artifact, model: Stages, features: ReadFeatures | None) -> None:
        self.model, self.artifact, self._features = model, artifact, features
        self.trees = trees_of(artifact.arrays)
        self.columns: Columns | None = None
        if model.hashes:
            check_features(task, model)
            if features is None:
                raise Refused("a version with features must be given a store to read them from, got none")
            self.columns = Columns(task, model.feature_names)

    def scores(self, batch: Histories, rows: Sequence[RequestRow]) -> Ranked:
        """The scores of the pool of each row, -inf for all other items."""
        ranked = Ranked(
            unscored(len(rows), len(self.artifact.items)),
            [np.empty(0, np.int32)] * len(rows),
            [None] * len(rows),
            [np.empty((0, 0))] * len(rows),
        )
        widths = [max(self.model.most, 2 * row.k) for row in rows]
        for width in dict.fromkeys(widths):
            chosen = [index for index, row_width in enumerate(widths) if row_width == width]
            part = take(batch, chosen)
            excluded = [_excluded(rows[member]) for member in chosen]
            pool = self.model.retrieved(self.artifact.arrays, part, excluded, width)
            self._score(ranked, chosen, pool, rows)
        return ranked

    def feature_reads(
        self, items: Sequence[RankedItem], ranked: Ranked, row: int, request_key: str
    ) -> tuple[FeatureRead, ...]:
        """The features that were read for the items that the scores placed, in their order; () for none."""
        reading, index = ranked.readings[row], self.artifact.index
        if reading is None or self.columns is None:
            return ()
        position = {item: i for i, item in enumerate(ranked.pools[row].tolist())}
        scored = [position[index[ranked_item.item]] for ranked_item in items if ranked_item.source == MODEL]
        return (self.columns.feature_read(reading, scored, request_key),) if scored else ()

    def reasons(self, ranked: Ranked, row: int, items: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
        """{item: (column and value, such as "film.views = 3", contribution to the score) for each column}."""
        if self.trees is None:
            return {}
        position = {self.artifact.items[item]: index for index, item in enumerate(ranked.pools[row].tolist())}
        known = [item for item in items if item in position]
        columns = ranked.columns[row][[position[item] for item in known]]
        added = self.trees.contributions(columns) if known else columns
        return {
            item: [
                (f"{name} = {value:.6g}", float(part))
                for name, value, part in zip(
                    self.model.column_names, columns[index].tolist(), added[index], strict=False
                )
            ]
            for index, item in enumerate(known)
        }

    def _score(self, result: Ranked, chosen: Sequence[int], pool: Pool, rows: Sequence[RequestRow]) -> None:
        filled = pool.items >= 0
        features = None if self.columns is None else np.full((*pool.items.shape, len(self.columns.names)), np.nan)
        keys_of_rows, at_us, read, names_of = [], [], [], []
        for index, row in enumerate(chosen):
            items = pool.items[index][filled[index]]
            result.pools[row] = items
            if self.columns is not None and len(items):
                names = [self.artifact.items[item] for item in items.tolist()]
                keys_of_rows.append(self.columns.keys_for(rows[row].request.key, names))
                at_us.append(rows[row].request.at_us)
                read.append(index)
                names_of.append(names)
        if self.columns is not None and self._features is not None and features is not None and keys_of_rows:
            for index, names, reading in zip(read, names_of, self._features.read(keys_of_rows, at_us), strict=True):
                result.readings[chosen[index]] = reading
                users = [rows[chosen[index]].request.key] * len(names)
                features[index][filled[index]] = self.columns.matrix(reading, users, names)
        ranked = self.model.ranked(self.trees, pool, features)
        for index, row in enumerate(chosen):
            result.scores[row, pool.items[index][filled[index]]] = ranked[index][filled[index]]
            own = pool.columns[index][filled[index]]
            result.columns[row] = (
                own if features is None else np.concatenate([own, features[index][filled[index]]], axis=1)
            )


def check_features(task: Recommend, model: Stages) -> None:
    """Raise `Refused` if a feature that the model learned from is declared differently now."""
    check_hashes(task.feature_hashes, model.hashes)


def bind_candidates(task: Recommend, candidates: Mapping[str, Any]) -> tuple[Recommend, dict[str, Recommender]]:
    """The task with the features of its stages, and the candidates with the hashes of the features that they read.

    Raises `BadDeclaration` for an object that is not a candidate of the task.
    """
    for label, model in candidates.items():
        if not isinstance(model, Recommender):
            raise BadDeclaration(f"candidate {label!r}", "a model, such as fb.ItemKNN()", model)
        if isinstance(model, Stages) and not isinstance(model.features, tuple):
            task = task.with_features(model.features)
    bound = {
        label: bind_features(task, model) if isinstance(model, Stages) and model.features else model
        for label, model in candidates.items()
    }
    return task, bound


def bind_features(task: Recommend, model: Stages) -> Stages:
    """The stages with the hashes of their features as declared now. Raises `BadDeclaration` for an unknown feature.

    A `FeatureSet` is replaced by its names, because a stored version must be readable without the application's
    functions.
    """
    feature_names = names_in(task, model.features)
    return msgspec.structs.replace(model, features=feature_names, hashes=chosen_features(task, feature_names))


def names_in(task: Recommend, features: "tuple[str, ...] | FeatureSet") -> tuple[str, ...]:
    """The names of the features of stages, without the lists of a set, which trees cannot use."""
    if isinstance(features, tuple):
        return features
    lists = {
        definition.name
        for group in task.feature_groups
        for definition in group.definitions
        if definition.result == "list"
    }
    return tuple(name for name in features.names if name not in lists)


def _excluded(row: RequestRow) -> NDArray[np.int32]:
    excluded = row.excluded()
    if row.allowed is None:
        return excluded
    barred = np.flatnonzero(~row.allowed[: row.index.n_fitted]).astype(np.int32)
    return np.union1d(excluded, barred).astype(np.int32)
