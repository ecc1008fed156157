"""A linear model of items that keeps only its strongest weights, so it needs less memory and time.

Source: magnitude pruning, Han, Pool, Tran, Dally, "Learning both Weights and Connections for Efficient Neural
Networks", NeurIPS 2015; here each item keeps its weights of the largest absolute value.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Interactions
from flyball.models.recommenders.ease import EASE
from flyball.models.recommenders.item_knn import ItemKNN
from flyball.models.recommenders.slim import SLIM
from flyball.models.recommenders.sparse_ease import SparseEASE
from flyball.models.sparse_rows import ScoresBySparseRows, sparse_rows

LINEAR = (EASE, SparseEASE, SLIM, ItemKNN)

_COLUMNS = 512  # columns of a dense matrix that are processed together


class Pruned(ScoresBySparseRows, Recommender, frozen=True):
    """score(i) = sum over the history of weight * W[j, i]; each column of W keeps its `keep` largest entries in size.

    `model`: the model to fit and prune: EASE, SparseEASE, SLIM or ItemKNN. The artifact takes at most
    8 * items * keep bytes; that of EASE takes 4 * items^2. The accuracy tables show the loss in ndcg.
    """

    kind: ClassVar[str] = "pruned"

    search_space: ClassVar[SearchSpace] = {"keep": (10, 20, 50, 100, 200)}

    model: Recommender = EASE()
    keep: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.model, LINEAR):
            names = ", ".join(model.__name__ for model in LINEAR)
            raise BadDeclaration("Pruned's model", f"one of {names}, such as fb.EASE()", self.model)
        if self.keep < 1:
            raise BadDeclaration("Pruned's keep", "at least 1", self.keep)

    @property
    def parts(self) -> tuple[Recommender, ...]:
        """The model that is fitted."""
        return (self.model,)

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for each weight that is kept."""
        items = len(data.items)
        return 8 * items * min(self.keep, items) + 8 * items

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """W as sparse rows: `near_ptr` int64 (items + 1,), `near` int32, `similarities` float32."""
        return self.pruned(self.model.fit(data, seed), len(data.items))

    def pruned(self, learned: Learned, items: int) -> dict[str, NDArray[Any]]:
        """The pruned form of what `model` learned."""
        source, target, weights = _dense(learned, self.keep) if "weights" in learned else _sparse(learned)
        order = np.lexsort((source, -np.abs(weights), target))
        starts = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=items))])
        kept = order[np.arange(len(order)) - starts[target[order]] < self.keep]
        return sparse_rows(source[kept], target[kept], weights[kept], items)


Entries = tuple[NDArray[np.int32], NDArray[np.int32], Floats]


def _sparse(learned: Learned) -> Entries:
    source = np.repeat(np.arange(len(learned["near_ptr"]) - 1, dtype=np.int32), np.diff(learned["near_ptr"]))
    return source, np.asarray(learned["near"]), np.asarray(learned["similarities"])


def _dense(learned: Learned, keep: int) -> Entries:
    """The `keep` largest entries of each column, `_COLUMNS` columns at a time."""
    weights, kept = learned["weights"], np.asarray(learned["kept"])
    sources, targets, values = [], [], []
    for first in range(0, len(kept), _COLUMNS):
        part = weights[:, first : first + _COLUMNS]
        rows = np.argsort(-np.abs(part), axis=0, kind="stable")[:keep]
        largest = np.take_along_axis(part, rows, axis=0)
        columns = np.broadcast_to(np.arange(first, first + part.shape[1]), rows.shape)
        real = largest != 0
        sources.append(kept[rows[real]])
        targets.append(kept[columns[real]])
        values.append(largest[real])
    nothing = np.zeros(0, dtype=np.int32)
    return (
        np.concatenate([*sources, nothing]),
        np.concatenate([*targets, nothing]),
        np.concatenate([*values, np.zeros(0, dtype=np.float32)]),
    )
