"""Figures with their uncertainty: percentile bootstrap intervals over users.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. A resample draws as many users as
there are, with replacement; that is a multinomial weight for each user, so all figures of all candidates come from one
product of weights and values, and share their resamples: differences are paired.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput

_CHUNK_CELLS = 4_000_000


class Estimate(msgspec.Struct, frozen=True):
    """A figure and its 95 % interval; no ends where none can be given (fewer than two users)."""

    value: float
    low: float | None = None
    high: float | None = None

    def text(self, digits: int = 4) -> str:
        """`0.1234 [0.1200, 0.1270]`."""
        if self.low is None or self.high is None:
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def resample_weights(users: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each resample draws each user: chunks of shape (some resamples, users), `resamples` rows in all."""
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK_CELLS // max(users, 1))
    for first in range(0, resamples, rows):
        count = min(rows, resamples - first)
        drawn = rng.integers(0, users, size=(count, users))
        drawn += np.arange(count)[:, None] * users
        yield np.bincount(drawn.ravel(), minlength=count * users).reshape(count, users).astype(np.float64)


def bootstrap_means(values: NDArray[Any], seed: int, resamples: int = 1_000) -> NDArray[np.float64]:
    """Means of each column of `values` (users, columns) in each resample: shape (resamples, columns)."""
    if values.ndim != 2 or len(values) == 0:
        raise BadInput("values", "of shape (users, columns), one user or more", values.shape)
    return np.concatenate([weights @ values for weights in resample_weights(len(values), resamples, seed)]) / len(
        values
    )


def interval_of(value: float, resampled: NDArray[np.float64], users: int, level: float = 0.95) -> Estimate:
    """`value` with the percentile interval of its resampled values."""
    if users < 2:
        return Estimate(float(value))
    tail = (1 - level) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))


def bootstrap_interval(values: NDArray[Any], seed: int, resamples: int = 1_000, level: float = 0.95) -> Estimate:
    """Mean of `values` (users,) with its interval.

    >>> bootstrap_interval(np.ones(5), seed=1)
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    means = bootstrap_means(np.asarray(values, np.float64)[:, None], seed, resamples)[:, 0]
    return interval_of(float(np.mean(values)), means, len(values), level)


def paired_difference(
    values: NDArray[Any], others: NDArray[Any], seed: int, resamples: int = 1_000, level: float = 0.95
) -> Estimate:
    """Mean of `values - others` over the same users with its interval."""
    if len(values) != len(others):
        raise BadInput("others", f"{len(values)} long, the same users", len(others))
    return bootstrap_interval(np.asarray(values, np.float64) - np.asarray(others, np.float64), seed, resamples, level)
