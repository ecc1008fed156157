"""How alike the rows of one key are, such as those of one user in an evening.

The design effect of a mean (Kish, "Survey Sampling", 1965) with the variance between keys as it is in the rows: the sum
over keys of squared sums of deviations, divided by the sum of squared deviations. Numbers count by their rank, texts by
a hash, so that no single value decides.
"""

import numpy as np
import polars as pl

from flyball.core import Doubles, Ints


def rows_alike(values: pl.Series, keys: Ints) -> float:
    """How many rows count as one independent row; `keys`: shape (rows,), from 0. At least 1.

    Where all values are the same nothing shows how alike they are: it is then the number of rows of a key.
    """
    number = len(values)
    if not number:
        return 1.0
    groups = int(keys.max()) + 1
    off = _positions(values)
    if groups == 1 or np.ptp(off) == 0:
        return number / groups
    off = off - off.mean()
    squares = float((off**2).sum())
    sums = np.bincount(keys, off, groups)
    return max(1.0, min(number, float((sums**2).sum()) / squares * groups / (groups - 1)))


def _positions(values: pl.Series) -> Doubles:
    """A number within 0 and 1 for each value: of numbers their rank, of others a hash; 1/2 if missing."""
    if values.dtype == pl.Boolean:
        ranked = values.cast(pl.Float64)
    elif values.dtype.is_numeric() or values.dtype.is_temporal():
        ranked = values.rank("average") / max(1, len(values) - values.null_count())
    elif isinstance(values.dtype, pl.List):
        ranked = values.list.len().rank("average") / max(1, len(values))
    else:
        ranked = (values.cast(pl.String) if not values.dtype.is_nested() else values.struct.json_encode()).hash(1)
        ranked = ranked.cast(pl.Float64) / 2.0**64
    return np.asarray(np.nan_to_num(ranked.to_numpy().astype(np.float64), nan=0.5))
