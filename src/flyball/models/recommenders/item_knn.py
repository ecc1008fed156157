"""Item-based nearest neighbors.

Source: Deshpande, Karypis, "Item-Based Top-N Recommendation Algorithms", ACM TOIS 2004; the cosine is shrunk as in
Koren, "Factorization Meets the Neighborhood", KDD 2008.
"""

from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Interactions, order_by, positives, row_pointers
from flyball.models.sparse_rows import ScoresBySparseRows, sparse_rows
from flyball.models.threads import in_blocks

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MOST_STALE = 0.5  # above this share of changed lists, a new fit is as fast


class ItemKNN(ScoresBySparseRows, Recommender, frozen=True):
    """score(i) = sum of weight * similarity(j, i) over the items j of the history, each with its `k` nearest items.

    similarity(j, i) = x_j . x_i / (|x_j| |x_i| + `shrink`), where x is an item's weights over the users; shrinking
    lowers the similarity of items with few users in common. An item that is not near any item of the history gets -inf.
    """

    kind: ClassVar[str] = "item_knn"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {"k": (20, 50, 100, 200, 500), "shrink": (0.0, 5.0, 20.0, 100.0)}

    k: int = 100
    shrink: float = 20.0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadDeclaration("ItemKNN's k", "at least 1", self.k)
        if not self.shrink >= 0:
            raise BadDeclaration("ItemKNN's shrink", "at least 0", self.shrink)

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for each neighbor and 8 for the fingerprint of each item."""
        items = len(data.items)
        return 8 * items * min(self.k, items) + 16 * items

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Neighbor lists as sparse rows: `near_ptr` int64 (items + 1,), `near` int32, `similarities` float32.

        `fingerprints`: see `fingerprints_of`, for `update`. Memory while fitting: 8 bytes * items * min(k, items).
        """
        liked = positives(data)
        everything = np.ones(len(data.items), dtype=bool)
        return {**self._lists(liked, everything), "fingerprints": fingerprints_of(liked)}

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """The same bits as `fit`, but only the lists that may have changed are rebuilt.

        These are the lists of items whose likes changed, of items that share a user with such an item, and of items
        with such an item in their list. If items were reordered or removed, or most lists may have changed, it calls
        `fit`.
        """
        liked, before = positives(data), np.asarray(learned["fingerprints"])
        index_of = {item: at for at, item in enumerate(data.items)}
        moved = np.array([index_of.get(item, -1) for item in items], dtype=np.int64)
        if (moved < 0).any() or (np.diff(moved) <= 0).any():
            return self.fit(data, seed)
        prints = fingerprints_of(liked)
        known = np.zeros_like(prints)
        known[moved] = before
        changed = prints != known
        touched = np.zeros(len(data.users), dtype=bool)
        touched[liked.user_index[changed[liked.item_index]]] = True
        stale = changed.copy()
        stale[liked.item_index[touched[liked.user_index]]] = True
        source = moved[np.repeat(np.arange(len(items)), np.diff(learned["near_ptr"]))]
        near = moved[learned["near"]]
        stale[source[changed[near]]] = True
        if stale.mean() > _MOST_STALE:
            return self.fit(data, seed)
        fresh, kept = self._lists(liked, stale), ~stale[source]
        added = np.repeat(np.arange(len(data.items)), np.diff(fresh["near_ptr"]))
        rows = sparse_rows(
            np.concatenate([source[kept], added]).astype(np.int32),
            np.concatenate([near[kept], fresh["near"]]).astype(np.int32),
            np.concatenate([learned["similarities"][kept], fresh["similarities"]]),
            len(data.items),
        )
        return {**rows, "fingerprints": prints}

    def _lists(self, liked: Interactions, is_needed: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """The neighbor lists of the items where `is_needed`; empty lists for the others."""
        from flyball.models.kernels.neighbors import cosine_neighbors

        n = len(liked.items)
        user_ptr = row_pointers(liked.user_index, len(liked.users))
        by_item = order_by(liked.item_index, n)
        item_ptr = row_pointers(liked.item_index, n)
        squares = np.bincount(liked.item_index, weights=liked.weights.astype(np.float64) ** 2, minlength=n)
        near = np.full((n, max(1, min(self.k, n - 1))), -1, dtype=np.int32)
        cosines = np.zeros(near.shape, dtype=np.float32)
        columns = (item_ptr, liked.user_index[by_item], liked.weights[by_item])
        rows, norms, shrink = (user_ptr, liked.item_index, liked.weights), np.sqrt(squares), float(self.shrink)

        def listed(first: int, last: int) -> None:
            for start, stop in _runs(is_needed[first:last]):
                cosine_neighbors(*columns, *rows, norms, shrink, first + start, first + stop, near, cosines)

        in_blocks(n, listed)
        source = np.repeat(np.arange(n, dtype=np.int32), (near >= 0).sum(axis=1))
        return sparse_rows(source, near[near >= 0], cosines[near >= 0], n)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """`[start, stop)` of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def fingerprints_of(liked: Interactions) -> NDArray[np.uint64]:
    """uint64 (items,): the sum over an item's likes of a hash of user and weight; 0 for an item without any.

    Two different sets of likes have the same fingerprint with probability 2^-64.
    """
    names = b"".join(blake2b(user.encode(), digest_size=8).digest() for user in liked.users)
    users = np.frombuffer(names, dtype="<u8").astype(np.uint64)
    weights = liked.weights.view(np.uint32).astype(np.uint64)
    mixed = (users[liked.user_index] ^ (weights * _ODD)) * _ODD
    mixed ^= mixed >> np.uint64(29)
    prints = np.zeros(len(liked.items), dtype=np.uint64)
    np.add.at(prints, liked.item_index, mixed * _ODD)
    return prints
