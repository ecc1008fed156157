"""How factor models store item factors: as rows to fold users in, and as padded columns to score the catalog."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.models.base import Learned, PredictsByPairs
from flyball.models.data import Floats, Histories, Indexes, Interactions, rows_with

LANES = 16  # a dot product processes sixteen numbers at a time; the padding is zero, so it adds nothing
STEP = 8  # scoring processes eight factors at a time


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


def side_bytes(items: int, factors: int) -> int:
    """The bytes of `item_side`: rows and columns of `factors` float32 each, and the offsets."""
    side = padded(factors)
    return 4 * side * items + 4 * (side + 1) * padded(items)


def catalog_scores(learned: Learned, queries: Floats, answerable: NDArray[np.bool_]) -> Floats:
    """offset + query . factors for every item, float32 (rows, items); -inf throughout rows not `answerable`."""
    from flyball.models.kernels.factors import factor_scores

    scores = np.empty((len(queries), len(learned["item_factors"])), dtype=np.float32)
    factor_scores(queries, learned["columns"], learned["offsets"], scores)
    if not answerable.all():
        scores[~answerable] = -np.inf
    return scores


def cosines_to(rows: Floats, item: int) -> Floats:
    """The cosine of every row with row `item`, float32 (items,); -inf for rows of zeros and for `item` itself."""
    wide = np.asarray(rows, dtype=np.float64)
    norms = np.sqrt(np.square(wide).sum(axis=1))
    lengths = norms * norms[item]
    cosines = np.full(len(wide), -np.inf)
    np.divide(np.multiply(wide, wide[item]).sum(axis=1), lengths, out=cosines, where=lengths > 0)
    cosines[item] = -np.inf
    return cosines.astype(np.float32)


def carried(rows: NDArray[Any], items: list[str], now: list[str], fresh: NDArray[Any]) -> NDArray[Any]:
    """`fresh`, a row for each of the items `now`, with the old row of each item that was among `items`.

    `rows`: the old rows, one for each of `items`.
    """
    old_row_of = {item: at for at, item in enumerate(items)}
    before = np.array([old_row_of.get(item, -1) for item in now], dtype=np.int64)
    carried_rows = fresh.copy()
    known = before >= 0
    carried_rows[known, ..., : rows.shape[-1]] = rows[before[known]][..., : carried_rows.shape[-1]]
    return carried_rows


def rating_side(
    ratings: Interactions, mean: float, item_bias: Floats, q: Floats, bias_factor: float, caution: float
) -> tuple[Floats, Floats, dict[str, NDArray[Any]]]:
    """(rows, offsets, further arrays) that a factor model of ratings stores; factor 0 of the rows stands for b_u.

    The offset of an item with n ratings is mean + b_i - `caution` * sd / sqrt(n + 1), or -inf without ratings.
    """
    items = len(ratings.items)
    counts = np.bincount(ratings.item_index, minlength=items)
    rows = np.zeros((items, padded(q.shape[1] + 1, STEP)), dtype=np.float32)
    rows[:, 0] = bias_factor
    rows[counts > 0, 1 : q.shape[1] + 1] = q[counts > 0]
    base = (mean + np.where(counts > 0, item_bias, 0.0)).astype(np.float32)
    sd = float(np.std(ratings.ratings, dtype=np.float64)) if len(ratings.ratings) else 0.0
    offsets = np.where(counts > 0, base - caution * sd / np.sqrt(counts + 1.0), -np.inf).astype(np.float32)
    values = ratings.ratings if len(ratings.ratings) else np.array([mean], dtype=np.float32)
    return rows, offsets, {"base_ratings": base, "limits": np.array([values.min(), values.max()])}


def folded_rows(rows: Floats, histories: Histories, is_rated: Floats, rests: NDArray[Any], reg: float) -> Floats:
    """Ridge regression of each row's residuals (`rests`) on the factors of its rated items: float32 (rows, factors).

    `is_rated`: 1 for positions with a rating, 0 for others. `reg`: the penalty of each factor.
    """
    from flyball.models.kernels.ridge import ridge_rows

    folded = np.empty((histories.rows, rows.shape[1]), dtype=np.float32)
    nothing = np.zeros((rows.shape[1], rows.shape[1]))
    pulls = np.where(is_rated > 0, rests, 0.0).astype(np.float32)
    ridge_rows(
        histories.indptr,
        histories.items,
        is_rated,
        pulls,
        rows,
        nothing,
        1.0,
        float(reg),
        0.0,
        0.0,
        0,
        histories.rows,
        folded,
    )
    return folded


class RatesByFactors(PredictsByPairs):
    """A base of factor models of ratings that store what `rating_side` returns and fold users in by `_fold_in`."""

    __slots__ = ()

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Predicted rating less the caution; -inf for items without ratings and for rows without a rating."""
        answerable = rows_with(histories, ~np.isnan(histories.ratings))
        return catalog_scores(learned, self._fold_in(learned, histories), answerable)

    def similar(self, learned: Learned, item: int) -> Floats:
        """Cosine of item factors."""
        return cosines_to(learned["item_factors"][:, 1:], item)

    def predict_pairs(self, learned: Learned, histories: Histories, rows: NDArray[np.int64], items: Indexes) -> Floats:
        """r_ui, limited to the range of the training ratings; mean + b_i for a history without ratings.

        Each user is folded in once. Shapes as of `models.predict_pairs`.
        """
        folded = self._fold_in(learned, histories).astype(np.float64)[rows]
        fit = np.multiply(folded, learned["item_factors"][items]).sum(axis=1) + learned["base_ratings"][items]
        return np.asarray(np.clip(fit, *learned["limits"]), dtype=np.float32)

    def _fold_in(self, learned: Learned, histories: Histories) -> Floats:
        """(b_u, the user's factors), float32 (rows, factors padded)."""
        raise NotImplementedError(f"{type(self).__name__} must define _fold_in(learned, histories)")
