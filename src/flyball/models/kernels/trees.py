"""Walking forests of packed binary trees, and what each column adds to a score.

A forest is arrays over the nodes of all trees, leaves too: `feature`, `threshold`, `kind` (the bits below), `children`
(nodes, 2) left and right, a leaf's both itself, so that a walk of the tree's depth ends there without asking; `value`
of leaves; `words` [first, end) in `bits` of the categories that go left. `roots`, `depths`, `plain` (no node of it
asks for zeros or categories) of each tree; tree t belongs to class t % classes.

Contributions: algorithm 2 of Lundberg et al., "Consistent Individualized Feature Attribution for Tree Ensembles",
arXiv:1802.03888, the recursion as a stack.
"""

import numpy as np
from numba import njit, types, void

from flyball.models.kernels.signatures import f8, i4, i8, r_f8, r_f8x2, r_i4, r_i4x2, reads, u1, w_f8x2

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


@njit(f8(r_f8, f8, f8, i8, r_f8), cache=True, nogil=True, error_model="numpy")
def _unwound_sum(weights, zero_fraction, one_fraction, depth, inverse):
    """The weights of a path without an element of these fractions, added up."""
    total = 0.0
    if one_fraction != 0.0:
        ahead, steps = weights[depth], depth + 1.0
        for i in range(depth - 1, -1, -1):
            part = ahead * steps * inverse[i + 1]
            total += part
            ahead = weights[i] - part * zero_fraction * (depth - i) * inverse[depth + 1]
        return total
    for i in range(depth - 1, -1, -1):
        total += weights[i] * inverse[depth - i]
    return total * (depth + 1.0) / zero_fraction


@njit(
    void(types.int64[:, ::1], types.float64[:, ::1], i8, i8, i8, i8, i8, f8, f8),
    cache=True,
    nogil=True,
)
def _push(stack, fractions, top, node, level, depth, came, zero_fraction, one_fraction):
    stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = node, level, depth, came
    fractions[top, 0], fractions[top, 1] = zero_fraction, one_fraction


@njit(
    void(r_f8x2, r_i4, r_f8, _r_u1, r_i4x2, r_f8, r_i4x2, _r_u4, r_f8, r_i4, r_i4, w_f8x2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def add_contributions(columns, feature, threshold, kind, children, value, words, bits, counts, roots, depths, added):
    """Adds what each column contributes to `added` (rows, classes * (width + 1)); of each class its base comes last.

    `counts`: how many training rows reached each node.
    """
    rows, width = columns.shape
    classes = added.shape[1] // (width + 1)
    deepest = 2
    for tree in range(len(roots)):
        deepest = max(deepest, depths[tree] + 2)
    features = np.empty((deepest, deepest), dtype=np.int64)  # of the path to the node on each level
    zeros, ones, weights = np.empty((deepest, deepest)), np.empty((deepest, deepest)), np.empty((deepest, deepest))
    inverse = 1.0 / np.arange(deepest + 2)
    stack = np.empty((2 * deepest, 4), dtype=np.int64)  # node, level, length of the path, feature
    fractions = np.empty((2 * deepest, 2))
    for row in range(rows):
        for tree in range(len(roots)):
            first = (tree % classes) * (width + 1)
            top = 0
            _push(stack, fractions, 0, roots[tree], 0, 0, -1, 1.0, 1.0)
            while top >= 0:
                node, level, depth, came = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3]
                zero_fraction, one_fraction = fractions[top, 0], fractions[top, 1]
                top -= 1
                path, z, o, w = features[level], zeros[level], ones[level], weights[level]
                for i in range(depth if level else 0):
                    path[i], z[i] = features[level - 1, i], zeros[level - 1, i]
                    o[i], w[i] = ones[level - 1, i], weights[level - 1, i]
                path[depth], z[depth], o[depth], w[depth] = came, zero_fraction, one_fraction, 0.0 if depth else 1.0
                for i in range(depth - 1, -1, -1):
                    w[i + 1] += one_fraction * w[i] * (i + 1) * inverse[depth + 1]
                    w[i] = zero_fraction * w[i] * (depth - i) * inverse[depth + 1]
                if children[node, 0] == node:
                    share = counts[node] / counts[roots[tree]]
                    added[row, first + width] += share * value[node]
                    for i in range(1, depth + 1):
                        part = _unwound_sum(w, z[i], o[i], depth, inverse) * (o[i] - z[i]) * value[node]
                        added[row, first + path[i]] += part
                    continue
                split = feature[node]
                right = _goes_right(
                    columns[row, split], threshold[node], kind[node], words[node, 0], words[node, 1], bits
                )
                hot, cold = children[node, right], children[node, 1 - right]
                zero_fraction, one_fraction, step = 1.0, 1.0, 0
                while step <= depth and path[step] != split:
                    step += 1
                if step <= depth:  # the column was asked before: take it out of the path
                    zero_fraction, one_fraction = z[step], o[step]
                    ahead = w[depth]
                    for i in range(depth - 1, -1, -1):
                        if one_fraction != 0.0:
                            here = w[i]
                            w[i] = ahead * (depth + 1) * inverse[i + 1]
                            ahead = here - w[i] * zero_fraction * (depth - i) * inverse[depth + 1]
                        else:
                            w[i] = w[i] * (depth + 1) / zero_fraction * inverse[depth - i]
                    for i in range(step, depth):
                        path[i], z[i], o[i] = path[i + 1], z[i + 1], o[i + 1]
                    depth -= 1
                top += 1
                _push(
                    stack,
                    fractions,
                    top,
                    cold,
                    level + 1,
                    depth + 1,
                    split,
                    zero_fraction * counts[cold] / counts[node],
                    0.0,
                )
                top += 1
                _push(
                    stack,
                    fractions,
                    top,
                    hot,
                    level + 1,
                    depth + 1,
                    split,
                    zero_fraction * counts[hot] / counts[node],
                    one_fraction,
                )
