"""Tables with a known answer."""

from typing import Any

import numpy as np

from flyball.models import TableColumn, TrainingTable

COLUMNS = (
    TableColumn("km", "number"),
    TableColumn("shop", "category"),
    TableColumn("floor", "number"),
    TableColumn("hour", "category"),
)


def table_of(rows: int, seed: int = 1, target: Any = None, weight: Any = None) -> TrainingTable:
    """Kilometers and floors (one in ten missing), five shops and three hours (one in twenty unknown)."""
    rng = np.random.default_rng(seed)
    numbers = np.stack([rng.gamma(2.0, size=rows), rng.integers(0, 4, size=rows).astype(float)], axis=1)
    numbers[rng.random((rows, 2)) < 0.1] = np.nan
    categories = np.stack([rng.integers(0, 5, size=rows), rng.integers(0, 3, size=rows)], axis=1).astype(np.int32)
    categories[rng.random((rows, 2)) < 0.05] = -1
    return TrainingTable(
        columns=COLUMNS,
        numbers=numbers,
        categories=categories,
        vocabularies={"shop": list("abcde"), "hour": ["1", "2", "3"]},
        target=rng.normal(size=rows) if target is None else target,
        weight=np.ones(rows) if weight is None else weight,
        at_us=np.arange(rows, dtype=np.int64),
    )
