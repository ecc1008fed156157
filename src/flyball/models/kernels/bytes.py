"""Scores of items from factors stored as bytes."""

import numpy as np
from numba import njit, types, void

from flyball.models.kernels.signatures import r_f4, r_f4x2, reads, w_f4x2

_BLOCK = 1_024
_r_i1x2 = reads(types.int8, 2)


@njit(void(r_f4x2, _r_i1x2, r_f4, r_f4, w_f4x2), cache=True, nogil=True)
def byte_scores(queries, codes, scales, offsets, scores):
    """scores[b, i] = offsets[i] + scales[i] * sum over f of queries[b, f] * codes[f, i], summed in order of f.

    `codes` (factors, at least items), the number of factors a multiple of 4.
    """
    rows, items = scores.shape
    total = np.empty(_BLOCK, dtype=np.float32)
    for first in range(0, items, _BLOCK):
        width = min(_BLOCK, items - first)
        for b in range(rows):
            query, out = queries[b], scores[b, first : first + width]
            total[:width] = np.float32(0.0)
            for f in range(0, len(query), 4):
                a0, a1, a2, a3 = query[f], query[f + 1], query[f + 2], query[f + 3]
                v0, v1, v2, v3 = codes[f, first:], codes[f + 1, first:], codes[f + 2, first:], codes[f + 3, first:]
                for j in range(width):
                    low = total[j] + a0 * np.float32(v0[j]) + a1 * np.float32(v1[j])
                    total[j] = low + a2 * np.float32(v2[j]) + a3 * np.float32(v3[j])
            for j in range(width):
                out[j] = offsets[first + j] + scales[first + j] * total[j]
