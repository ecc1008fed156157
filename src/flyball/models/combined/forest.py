"""Evaluates forests of binary trees, grown by any library: their scores, and the contribution of each column."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles


class Forest(NamedTuple):
    """Binary trees as arrays over the nodes of all trees, leaves included. The nodes of a tree follow its root.

    `feature`, `threshold`, `kind`: the question of each node; the bits of `kind` are in `models/kernels/trees.py`.
    `children` (nodes, 2): the left and the right child; both children of a leaf are the leaf itself. `value`: of
    leaves. `words` [first, end): where in `bits` the set of categories that go left is.
    """

    feature: NDArray[np.int32]
    threshold: Doubles
    kind: NDArray[np.uint8]
    children: NDArray[np.int32]
    value: Doubles
    words: NDArray[np.int32]
    bits: NDArray[np.uint32]


class Paths:
    """Computes what each column contributes to the scores of a forest. `counts`: the training rows of each node."""

    def __init__(self, forest: Forest, counts: Doubles, roots: NDArray[np.int32]) -> None:
        from flyball.models.kernels.tree_paths import add_contributions, measure_paths

        self._add, self._forest, nodes = add_contributions, forest, len(forest.feature)
        ends = np.append(roots[1:], nodes).astype(np.int32)
        parents, before, shares = np.zeros(nodes, np.int32), np.zeros(nodes, np.int32), np.ones(nodes)
        distinct = np.zeros(len(roots), np.int32)
        measure_paths(forest.children, forest.feature, counts, roots, ends, parents, before, shares, distinct)
        orders = max(1, (int(distinct.max(initial=1)) + 1) // 2)
        points, weights = np.ones((orders, orders)), np.zeros((orders, orders))
        for order in range(1, orders + 1):
            nodes_of, weights_of = np.polynomial.legendre.leggauss(order)
            points[order - 1, :order], weights[order - 1, :order] = (nodes_of + 1) / 2, weights_of / 2
        self._measured = (counts, roots, ends, parents, before, shares, distinct, points, weights)

    def add(self, columns: Doubles, added: Doubles) -> None:
        """Add each row's contributions to `added` (rows, classes * (columns + 1)); a class's base comes last."""
        self._add(columns, *self._forest, *self._measured, added)


class Walker:
    """Adds up the values of the leaves that rows reach in a forest. A row gets the same bits in any batch.

    `depths`: the length of the longest path of each tree. No leaf's value may be NaN. The nodes are packed for
    `models/kernels/trees.py`: each takes 24 bytes, and the two children of a node are adjacent.
    """

    def __init__(self, forest: Forest, roots: NDArray[np.int32], depths: NDArray[np.int32]) -> None:
        from flyball.models.kernels.trees import CATEGORY, NODE, walk_trees

        self._walk = walk_trees
        inner = np.flatnonzero(forest.children[:, 0] != np.arange(len(forest.feature)))
        position = np.zeros(len(forest.feature), np.int32)
        position[roots] = np.arange(len(roots))
        position[forest.children[inner]] = len(roots) + np.arange(2 * len(inner)).reshape(-1, 2)
        questions = np.column_stack([forest.kind[inner], forest.feature[inner]])
        kinds, slot = np.unique(questions, axis=0, return_inverse=True)
        self._nodes = np.zeros(len(forest.feature), NODE)
        self._nodes["threshold"][position] = forest.value
        self._nodes["left"][position] = position[forest.children[:, 0]]
        self._nodes["threshold"][position[inner]] = forest.threshold[inner]
        self._nodes["slot"][position[inner]] = slot + 1
        limits, words, self._right = _category_words(forest, inner, slot, len(kinds))
        self._nodes["word"][position[inner]] = words
        self._slots = np.zeros((len(kinds) + 1, 3), np.int32)
        self._slots[1:] = np.column_stack([kinds, limits])
        plain = [not (tree & CATEGORY).any() for tree in np.split(forest.kind, roots[1:])][: len(roots)]
        self._trees = np.column_stack([depths, plain]).astype(np.int32)

    def add(self, columns: Doubles, scores: Doubles) -> None:
        """Add the leaves of each row of `columns` (rows, width) to `scores` (rows, classes), both contiguous float64;
        tree t belongs to class t % classes."""
        self._walk(columns, self._nodes, self._slots, self._trees, self._right, scores)


def _category_words(
    forest: Forest, inner: NDArray[np.intp], slot: NDArray[np.intp], slots: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint32]]:
    """The sets of categories of the `inner` nodes, packed for lookup.

    Returns (for each slot the first category that no set contains, for each inner node the word where its set begins,
    the words). A set bit is a category that goes right. The sets of a slot have equal lengths; each ends with a word of
    ones, in which missing categories and those that no set contains are looked up. Nodes without a set have word 0,
    which is 0.
    """
    from flyball.models.kernels.trees import CATEGORY

    lengths = forest.words[inner, 1] - forest.words[inner, 0]
    longest = np.zeros(slots, np.int32)
    np.maximum.at(longest, slot, lengths)
    starts, words, end = np.zeros(len(inner), np.int32), [np.zeros(1, np.uint32)], 1
    for index in np.flatnonzero(forest.kind[inner] & CATEGORY):
        own = np.full(longest[slot[index]] + 1, 0xFFFFFFFF, np.uint32)
        own[: lengths[index]] = ~forest.bits[slice(*forest.words[inner[index]])]
        starts[index], end = end, end + len(own)
        words.append(own)
    return longest * 32, starts, np.concatenate(words)
