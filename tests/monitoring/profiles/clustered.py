"""Rows of which those of one user are alike."""

import numpy as np
import polars as pl


def sessions(rng: np.random.Generator, keys: int, rows: int, within: float) -> pl.DataFrame:
    """`rows` rows of each of `keys` new users; `within`: how much of the variance is that of a user."""
    user = np.repeat(rng.normal(size=keys), rows)
    values = np.sqrt(within) * user + np.sqrt(1 - within) * rng.normal(size=keys * rows)
    names = np.repeat(rng.integers(0, 2**60, keys), rows)
    return pl.DataFrame(
        {"key": [f"u{name}" for name in names], "value": values, "text": np.where(values > 0, "a", "b")}
    )
