"""How factor models keep their item side: rows for folding users in, columns (padded) for scoring the catalogue."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.models.base import Learned
from flyball.models.data import Floats

LANES = 16  # a dot product works on sixteen numbers at a time; the padding is zero and adds nothing
STEP = 8  # scoring takes eight factors at a time


def padded(size: int, to: int = LANES) -> int:
    """`size` rounded up to a multiple of `to`."""
    return -(-size // to) * to


def item_side(rows: Floats, offsets: Floats) -> dict[str, NDArray[Any]]:
    """`item_factors` (items, factors), `columns` (factors, items padded to 16) and `offsets` (items padded)."""
    items = len(rows)
    columns = np.zeros((rows.shape[1], padded(items)), dtype=np.float32)
    columns[:, :items] = rows.T
    wide = np.full(padded(items), -np.inf, dtype=np.float32)
    wide[:items] = offsets
    return {"item_factors": np.ascontiguousarray(rows, dtype=np.float32), "columns": columns, "offsets": wide}


def catalogue_scores(learned: Learned, queries: Floats, answerable: NDArray[np.bool_]) -> Floats:
    """offset + query . factors for every item, float32 (rows, items); -inf throughout rows not `answerable`."""
    from flyball.models.kernels.factors import factor_scores

    scores = np.empty((len(queries), len(learned["item_factors"])), dtype=np.float32)
    factor_scores(queries, learned["columns"], learned["offsets"], scores)
    if not answerable.all():
        scores[~answerable] = -np.inf
    return scores


def cosines_to(rows: Floats, item: int) -> Floats:
    """Cosine of every row to row `item`, float32; -inf for rows of zeros and for `item` itself."""
    wide = np.asarray(rows, dtype=np.float64)
    norms = np.sqrt(np.square(wide).sum(axis=1))
    lengths = norms * norms[item]
    cosines = np.full(len(wide), -np.inf)
    np.divide(np.multiply(wide, wide[item]).sum(axis=1), lengths, out=cosines, where=lengths > 0)
    cosines[item] = -np.inf
    return cosines.astype(np.float32)
