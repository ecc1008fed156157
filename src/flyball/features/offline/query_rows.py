"""Query rows: the keys and times for which features are computed, sorted by key."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from flyball.features.offline.chunks import Chunks
from flyball.features.offline.keys import distinct_keys
from flyball.features.offline.segments import by_code, scattered
from flyball.features.offline.visibility import Visibility


class QueryRows:
    """`at` and `stamps` of rows, sorted by the key of these names; `order`: the original index of each row."""

    def __init__(self, names: Sequence[str], rows: pl.DataFrame, seen: Visibility) -> None:
        self.seen = seen
        self.keys = distinct_keys(rows, names)
        codes, count = self.keys.row_codes, self.keys.count
        _, targets = by_code(codes, count)
        columns = codes, rows["at"], seen.stamps, np.arange(len(codes), dtype=targets.dtype)
        self.codes, self.at, self.stamps, self.order = (
            scattered(Chunks(column), targets, len(codes)) for column in columns
        )
