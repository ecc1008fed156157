"""Scores of items from factors: a row of numbers for each user times all items, blocked to stay in the cache."""

from numba import njit, void

from flyball.models.kernels.signatures import r_f4, r_f4x2, w_f4x2

_BLOCK = 512  # items: 64 factors of a block are 128 KiB, well inside a core's second-level cache
_LONG = 8192  # items, for a single row, which reads each factor once (27,000 items: 72 us; in blocks of 512: 91 us)


@njit(cache=True, nogil=True)
def _one_row(query, factors, offsets, first, out):
    """out[j] = ((offset + q0 v0) + q1 v1) + ...: the loop runs over items, so vector lanes never mix a sum."""
    width = len(out)
    for j in range(width):
        out[j] = offsets[first + j]
    for f in range(0, len(query), 8):
        a0, a1, a2, a3 = query[f], query[f + 1], query[f + 2], query[f + 3]
        a4, a5, a6, a7 = query[f + 4], query[f + 5], query[f + 6], query[f + 7]
        v0, v1, v2, v3 = factors[f, first:], factors[f + 1, first:], factors[f + 2, first:], factors[f + 3, first:]
        v4, v5, v6, v7 = factors[f + 4, first:], factors[f + 5, first:], factors[f + 6, first:], factors[f + 7, first:]
        for j in range(width):
            low = out[j] + a0 * v0[j] + a1 * v1[j] + a2 * v2[j] + a3 * v3[j]
            out[j] = low + a4 * v4[j] + a5 * v5[j] + a6 * v6[j] + a7 * v7[j]


@njit(cache=True, nogil=True)
def _four_rows(queries, factors, offsets, first, out0, out1, out2, out3):
    """The same sums in the same order for four rows at once: each factor is loaded once for the four."""
    width = len(out0)
    for j in range(width):
        offset = offsets[first + j]
        out0[j], out1[j], out2[j], out3[j] = offset, offset, offset, offset
    q0, q1, q2, q3 = queries[0], queries[1], queries[2], queries[3]
    for f in range(0, len(q0), 4):
        a0, a1, a2, a3 = q0[f], q0[f + 1], q0[f + 2], q0[f + 3]
        b0, b1, b2, b3 = q1[f], q1[f + 1], q1[f + 2], q1[f + 3]
        c0, c1, c2, c3 = q2[f], q2[f + 1], q2[f + 2], q2[f + 3]
        d0, d1, d2, d3 = q3[f], q3[f + 1], q3[f + 2], q3[f + 3]
        v0, v1, v2, v3 = factors[f, first:], factors[f + 1, first:], factors[f + 2, first:], factors[f + 3, first:]
        for j in range(width):
            x0, x1, x2, x3 = v0[j], v1[j], v2[j], v3[j]
            out0[j] = out0[j] + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            out1[j] = out1[j] + b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
            out2[j] = out2[j] + c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
            out3[j] = out3[j] + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3


@njit(void(r_f4x2, r_f4x2, r_f4, w_f4x2), cache=True, nogil=True)
def factor_scores(queries, factors, offsets, scores):
    """scores[b, i] = offsets[i] + sum over f of queries[b, f] * factors[f, i], summed in order of f.

    `factors` (factors, at least items) transposed, the number of factors a multiple of 8.
    """
    rows, n = scores.shape
    fours = rows - rows % 4
    for first in range(0, n, _BLOCK):
        last = min(first + _BLOCK, n)
        for b in range(0, fours, 4):
            _four_rows(
                queries[b : b + 4],
                factors,
                offsets,
                first,
                scores[b, first:last],
                scores[b + 1, first:last],
                scores[b + 2, first:last],
                scores[b + 3, first:last],
            )
    for first in range(0, n, _LONG):
        last = min(first + _LONG, n)
        for b in range(fours, rows):
            _one_row(queries[b], factors, offsets, first, scores[b, first:last])
