"""Walking forests of packed binary trees.

A forest is arrays over the nodes of all trees, leaves too: `feature`, `threshold`, `kind` (the bits below), `children`
(nodes, 2) left and right, a leaf's both itself, so that a walk of the tree's depth ends there without asking; `value`
of leaves; `words` [first, end) in `bits` of the categories that go left. `roots`, `depths`, `plain` (no node of it
asks for zeros or categories) of each tree; tree t belongs to class t % classes.
"""

import numpy as np
from numba import njit, types, void

from flyball.models.kernels.signatures import f8, i4, r_f8, r_f8x2, r_i4, r_i4x2, reads, u1, w_f8x2

NAN_LEFT, ZERO_MISSING, CATEGORY = 1, 2, 4
"""Bits of a node's kind: missing goes left; zeros are missing; the column is a category."""

_ZERO = float(np.float32(1e-35))
_LANES = 8
_r_u1, _r_u4 = reads(u1), reads(types.uint32)


@njit(types.int64(f8, f8, u1, i4, i4, _r_u4), cache=True, nogil=True)
def _goes_right(x, threshold, kind, first, end, bits):
    """1 where a value goes right at a node, else 0."""
    if kind & CATEGORY:
        if not (x > -1.0 and x < 2147483648.0):  # missing, or no category
            return 1
        category = np.int64(x)
        word = first + category // 32
        return 1 if word >= end or not (bits[word] >> np.uint32(category % 32)) & np.uint32(1) else 0
    if x != x or (kind & ZERO_MISSING and -_ZERO <= x <= _ZERO):
        return 0 if kind & NAN_LEFT else 1
    return 0 if x <= threshold else 1


@njit(void(r_f8x2, r_i4, r_f8, _r_u1, r_i4x2, r_f8, r_i4x2, _r_u4, r_i4, r_i4, _r_u1, w_f8x2), cache=True, nogil=True)
def walk_trees(columns, feature, threshold, kind, children, value, words, bits, roots, depths, plain, scores):
    """Adds to scores (rows, classes) the leaves of each row of `columns` (rows, width), in the order of the trees.

    Eight rows walk side by side: while one waits for memory the others go on. None changes another's bits.
    """
    rows, classes = scores.shape
    nodes = np.empty(_LANES, dtype=np.uint32)
    for tree in range(len(roots)):
        output, root, depth = tree % classes, np.uint32(roots[tree]), depths[tree]
        if not plain[tree]:
            for row in range(rows):
                node = roots[tree]
                while children[node, 0] != node:
                    right = _goes_right(
                        columns[row, feature[node]],
                        threshold[node],
                        kind[node],
                        words[node, 0],
                        words[node, 1],
                        bits,
                    )
                    node = children[node, right]
                scores[row, output] += value[node]
            continue
        unrolled = rows - rows % _LANES
        for first in range(0, unrolled, _LANES):
            nodes[:] = root
            for _ in range(depth):
                for lane in range(_LANES):
                    node = nodes[lane]
                    x = columns[np.uint64(first + lane), np.uint32(feature[node])]
                    left = (x <= threshold[node]) | ((x != x) & (kind[node] == NAN_LEFT))
                    nodes[lane] = children[node, np.uint32(1) - np.uint32(left)]
            for lane in range(_LANES):
                scores[first + lane, output] += value[nodes[lane]]
        for row in range(unrolled, rows):
            node = root
            for _ in range(depth):
                x = columns[np.uint64(row), np.uint32(feature[node])]
                left = (x <= threshold[node]) | ((x != x) & (kind[node] == NAN_LEFT))
                node = np.uint32(children[node, np.uint32(1) - np.uint32(left)])
            scores[row, output] += value[node]
