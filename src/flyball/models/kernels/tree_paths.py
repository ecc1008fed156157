"""The contribution of each column to the score of a forest: exact Shapley values, in time linear in the nodes of each
path.

A column's Shapley value is the integral over t in [0, 1] of what knowing the column adds to the prediction, when each
other column is known with probability t (Owen, "Multilinear Extensions of Games", Management Science 18(5), 1972). For
one leaf this is a polynomial in t, a product with one factor for each column on the leaf's path, so its degree is below
the number of these columns. The factor of a column is z (1 - t), plus t if the row's value of that column leads to the
leaf; z is the share of training rows whose value does. So Gauss-Legendre quadrature with half as many points is exact.
Each tree is walked down once, multiplying factors, and up once, adding terms, as in Yu et al., "Linear TreeShap",
arXiv:2209.08192.
"""

import numpy as np
from numba import njit, types, void

from flyball.models.kernels.signatures import r_f8, r_f8x2, r_i4, r_i4x2, reads, u1, w_f8, w_f8x2, w_i4
from flyball.models.kernels.trees import _goes_right

_r_u1, _r_u4 = reads(u1), reads(types.uint32)


@njit(void(r_i4x2, r_i4, r_f8, r_i4, r_i4, w_i4, w_i4, w_f8, w_i4), cache=True, nogil=True)
def measure_paths(children, feature, counts, roots, ends, parents, before, shares, columns):
    """Fill `parents`, `before` and `shares` of each node, and for each tree the largest number of columns on a path.

    `before`: the nearest node above on the path whose question is about the same column, -1 for none. `shares`: the
    share of rows that pass all questions about that column on the path. Nodes of a tree are in [root, end), parents
    before children.
    """
    distinct = np.zeros(len(feature), dtype=np.int32)
    for tree in range(len(roots)):
        root, most = roots[tree], 0
        parents[root], before[root], shares[root] = -1, -1, 1.0
        for node in range(root, ends[tree]):
            if node > root:
                parent = parents[node]
                column, last = feature[parent], parent
                while parents[last] >= 0 and feature[parents[last]] != column:
                    last = parents[last]
                ratio = counts[node] / counts[parent]
                if parents[last] >= 0:
                    before[node], shares[node], distinct[node] = last, shares[last] * ratio, distinct[parent]
                else:
                    before[node], shares[node], distinct[node] = -1, ratio, distinct[parent] + 1
                most = max(most, distinct[node])
            if children[node, 0] != node:
                parents[children[node, 0]] = node
                parents[children[node, 1]] = node
        columns[tree] = most


@njit(
    void(
        r_f8x2, r_i4, r_f8, _r_u1, r_i4x2, r_f8, r_i4x2, _r_u4,
        r_f8, r_i4, r_i4, r_i4, r_i4, r_f8, r_i4, r_f8x2, r_f8x2, w_f8x2,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def add_contributions(
    columns, feature, threshold, kind, children, value, words, bits,
    counts, roots, ends, parents, before, shares, distinct, points, weights, added,
):  # fmt: skip
    """Add what each column contributes to `added` (rows, classes * (width + 1)); the base of a class comes last.

    `counts`: how many training rows reached each node; the arrays after it come from `measure_paths`. `points`,
    `weights` (orders, points): row n holds the quadrature on [0, 1] with n + 1 points.
    """
    rows, width = columns.shape
    classes = added.shape[1] // (width + 1)
    largest = 1
    for tree in range(len(roots)):
        largest = max(largest, ends[tree] - roots[tree])
    most = points.shape[1]
    inverse, down, up = np.ones((largest + 1, most)), np.empty((largest, most)), np.empty((largest, most))
    right, goes = np.empty(largest, dtype=np.uint8), np.empty(largest, dtype=np.uint8)
    for tree in range(len(roots)):
        root, end, first = roots[tree], ends[tree], (tree % classes) * (width + 1)
        base = 0.0
        for node in range(root, end):
            if children[node, 0] == node:
                base += counts[node] * value[node]
        base /= counts[root]
        order = max(1, (distinct[tree] + 1) // 2)
        at, weight = points[order - 1, :order], weights[order - 1, :order]
        cold = 1.0 / (1.0 - at)
        for node in range(root, end):  # whether the row's value of the node's column leads to the node
            for point in range(order):
                inverse[node - root, point] = 1.0 / (at[point] + shares[node] * (1.0 - at[point]))
        for row in range(rows):
            added[row, first + width] += base
            if end - root == 1:
                continue
            for point in range(order):
                down[0, point], up[0, point] = weight[point], 0.0
            right[0] = _goes_right(
                columns[row, feature[root]], threshold[root], kind[root], words[root, 0], words[root, 1], bits
            )
            for node in range(root + 1, end):
                here, above, last = node - root, parents[node] - root, before[node]
                was = last < 0 or goes[last - root] == 1
                now = was and children[parents[node], right[above]] == node
                goes[here] = now
                if was:  # the product gets the column's new factor instead of the old one
                    under, hot = last - root if last >= 0 else largest, 1.0 if now else 0.0
                    for point in range(order):
                        factor = hot * at[point] + shares[node] * (1.0 - at[point])
                        down[here, point] = down[above, point] * factor * inverse[under, point]
                else:
                    ratio = counts[node] / counts[parents[node]]
                    for point in range(order):
                        down[here, point] = down[above, point] * ratio
                if children[node, 0] == node:
                    for point in range(order):
                        up[here, point] = value[node] * down[here, point]
                else:
                    for point in range(order):
                        up[here, point] = 0.0
                    right[here] = _goes_right(
                        columns[row, feature[node]], threshold[node], kind[node], words[node, 0], words[node, 1], bits
                    )
            for node in range(end - 1, root, -1):
                here, above, last = node - root, parents[node] - root, before[node]
                if last < 0 or goes[last - root] == 1:
                    # below this node the column's factor differs from that of the node `before`
                    under, cold_share = (last - root, 1.0 - shares[last]) if last >= 0 else (largest, 0.0)
                    own, out = (1.0 - shares[node], 0.0) if goes[here] == 1 else (0.0, 1.0)
                    total = 0.0
                    for point in range(order):
                        gain = own * inverse[here, point] - out * cold[point] - cold_share * inverse[under, point]
                        total += up[here, point] * gain
                    added[row, first + feature[parents[node]]] += total
                for point in range(order):
                    up[above, point] += up[here, point]
