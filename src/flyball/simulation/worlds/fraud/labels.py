"""When fraud becomes known: chargebacks after days to weeks, verdicts of a review after hours."""

import numpy as np

from flyball.simulation.world import DAY_US

_HOUR_US = DAY_US // 24
_MEDIAN_DAYS, _SPREAD, MAX_DAYS = 8.0, 0.7, 45.0
FRIENDLY_SHARE = 0.0002
"""The share of genuine payments that are disputed (friendly fraud)."""
FOUND_IN_REVIEW, SUSPECTED_IN_REVIEW = 0.95, 0.02
_REVIEW_HOURS = (1.0, 24.0)


def noticed(amounts: np.ndarray) -> np.ndarray:
    """The probability that the customer disputes a fraudulent payment, float64 (n,); it is lower for small amounts.

    >>> noticed(np.array([1.0, 300.0])).round(2).tolist()
    [0.61, 0.98]
    """
    return np.asarray(0.6 + 0.38 * (1.0 - np.exp(-amounts / 30.0)))


def chargebacks_us(rng: np.random.Generator, fraud: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """The time from each payment to its chargeback, if it is made, microseconds, int64 (n,); -1 for none.

    Lognormal with a median of 8 days; 10 % are later than 20 days, 3 % later than 30, none later than 45. `fraud`: bool
    (n,), `amounts`: float64 (n,).
    """
    days = np.minimum(_MEDIAN_DAYS * np.exp(_SPREAD * rng.standard_normal(len(fraud))), MAX_DAYS)
    comes = rng.random(len(fraud)) < np.where(fraud, noticed(amounts), FRIENDLY_SHARE)
    return np.where(comes, days * DAY_US, -1.0).astype(np.int64)


def verdicts(rng: np.random.Generator, fraud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The time to the end of each review, microseconds, int64 (n,), and whether its verdict is fraud, bool (n,)."""
    after_us = (rng.uniform(*_REVIEW_HOURS, size=len(fraud)) * _HOUR_US).astype(np.int64)
    return after_us, rng.random(len(fraud)) < np.where(fraud, FOUND_IN_REVIEW, SUSPECTED_IN_REVIEW)
