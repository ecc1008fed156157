"""Walks forests of packed binary trees, sixteen steps at a time: while one waits for memory, the others continue.

A walk takes as many steps as its tree is deep, without branches. A node compares a slot of the row, which was prepared
for its kind of question: a missing number is -inf if it goes left and NaN if it goes right, so that one comparison
decides; a category is looked up in the node's set of bits. A leaf compares slot 0, which is -inf, and its left child
is the leaf itself.
"""

import numpy as np
from numba import from_dtype, njit, types, void

from flyball.models.kernels.signatures import f8, i4, r_f8x2, r_i4x2, reads, u1, w_f8x2

NAN_LEFT, ZERO_MISSING, CATEGORY = 1, 2, 4
"""Bits of a node's `kind`: missing values go left; zeros count as missing; the column is a category."""

NODE = np.dtype([("threshold", "f8"), ("left", "i4"), ("slot", "i4"), ("word", "i4"), ("unused", "i4")])
"""A packed node. `threshold`: of a leaf, its value. The right child is the node after `left`. `word`: where the set of
categories begins, 0 for numbers."""

_ZERO = float(np.float32(1e-35))
_LANES = 16
_r_u4, _r_node = reads(types.uint32), reads(from_dtype(NODE))


@njit(types.int64(f8, f8, u1, i4, i4, _r_u4), cache=True, nogil=True)
def _goes_right(x, threshold, kind, first, end, bits):
    """1 where a value goes right at a node, else 0."""
    if kind & CATEGORY:
        if not (x > -1.0 and x < 2147483648.0):  # missing, or not a category
            return 1
        category = np.int64(x)
        word = first + category // 32
        return 1 if word >= end or not (bits[word] >> np.uint32(category % 32)) & np.uint32(1) else 0
    if x != x or (kind & ZERO_MISSING and -_ZERO <= x <= _ZERO):
        return 0 if kind & NAN_LEFT else 1
    return 0 if x <= threshold else 1


@njit(inline="always")
def _make_ready(columns, row, slots, ready, codes, lane):
    """Fill the slots of a row: `ready` holds what is compared with thresholds, `codes` the categories."""
    ready[lane, 0] = -np.inf
    for slot in range(1, len(slots)):
        kind, x, limit = slots[slot, 0], columns[row, slots[slot, 1]], slots[slot, 2]
        if kind & CATEGORY:
            ready[lane, slot] = -np.inf
            codes[lane, slot] = np.uint32(x) if x > -1.0 and x < limit else np.uint32(limit)
        elif x != x or (kind & ZERO_MISSING and -_ZERO <= x <= _ZERO):
            ready[lane, slot] = -np.inf if kind & NAN_LEFT else np.nan
        else:
            ready[lane, slot] = x


@njit(inline="always")
def _step(nodes, position, ready, lane):
    """The child to walk to from a node that compares a number, or the leaf itself."""
    node = nodes[position]
    right = not (ready[lane, np.uint32(node.slot)] <= node.threshold)
    return np.uint32(node.left) + np.uint32(right)


@njit(inline="always")
def _step_of_any(nodes, position, ready, codes, right_bits, lane):
    """The child to walk to from a node of either kind: of the two tests, the one it does not use answers "left"."""
    node = nodes[position]
    slot = np.uint32(node.slot)
    code = codes[lane, slot]
    word = right_bits[np.uint32(node.word) + (code >> np.uint32(5))]
    right = np.uint32(not (ready[lane, slot] <= node.threshold))
    return np.uint32(node.left) + (right | ((word >> (code & np.uint32(31))) & np.uint32(1)))


@njit(void(r_f8x2, _r_node, r_i4x2, r_i4x2, _r_u4, w_f8x2), cache=True, nogil=True)
def walk_trees(columns, nodes, slots, trees, right_bits, scores):
    """Add the leaf values of each row of `columns` (rows, width) to `scores` (rows, classes), in the order of the
    trees.

    `nodes`: of type `NODE`, each tree's root first. `slots` (slots, 3): kind of question, column, and the first
    category that no set contains. `trees` (trees, 2): depth, and whether all its questions are about numbers; tree t
    belongs to class t % classes. `right_bits`: the categories that go right, including those beyond a set; the first
    word is 0. Sixteen rows walk a tree together; each remaining row walks sixteen trees together. Neither changes a
    row's bits.
    """
    rows, classes = scores.shape
    ready, codes = np.empty((_LANES, len(slots))), np.zeros((_LANES, len(slots)), dtype=np.uint32)
    positions, count, together = np.empty(_LANES, dtype=np.uint32), len(trees), rows - rows % _LANES
    for first in range(0, together, _LANES):
        for lane in range(_LANES):
            _make_ready(columns, first + lane, slots, ready, codes, lane)
        for tree in range(count):
            positions[:] = np.uint32(tree)
            depth, plain = trees[tree, 0], trees[tree, 1]
            for _ in range(depth):
                for lane in range(_LANES):
                    if plain:
                        positions[lane] = _step(nodes, positions[lane], ready, lane)
                    else:
                        positions[lane] = _step_of_any(nodes, positions[lane], ready, codes, right_bits, lane)
            output = tree % classes
            for lane in range(_LANES):
                scores[first + lane, output] += nodes[positions[lane]].threshold
    for row in range(together, rows):
        _make_ready(columns, row, slots, ready, codes, 0)
        for first in range(0, count, _LANES):
            depth, plain = 0, 1
            for lane in range(_LANES):
                tree = min(first + lane, count - 1)
                positions[lane] = np.uint32(tree)
                depth, plain = max(depth, trees[tree, 0]), plain & trees[tree, 1]
            for _ in range(depth):
                for lane in range(_LANES):
                    if plain:
                        positions[lane] = _step(nodes, positions[lane], ready, 0)
                    else:
                        positions[lane] = _step_of_any(nodes, positions[lane], ready, codes, right_bits, 0)
            for lane in range(min(_LANES, count - first)):
                scores[row, (first + lane) % classes] += nodes[positions[lane]].threshold
