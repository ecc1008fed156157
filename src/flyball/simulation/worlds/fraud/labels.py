"""When a fraud becomes known: chargebacks after days to weeks, verdicts of a review after hours."""

import numpy as np

from flyball.simulation.world import DAY_US

_HOUR_US = DAY_US // 24
_MEDIAN_DAYS, _SPREAD, MAX_DAYS = 8.0, 0.7, 45.0
FRIENDLY_SHARE = 0.0002
"""So many of the customers' own payments are disputed all the same."""
FOUND_IN_REVIEW, SUSPECTED_IN_REVIEW = 0.95, 0.02
_REVIEW_HOURS = (1.0, 24.0)


def noticed(amounts: np.ndarray) -> np.ndarray:
    """float64 (n,): the probability that the customer disputes a fraudulent payment; small ones often pass.

    >>> noticed(np.array([1.0, 300.0])).round(2).tolist()
    [0.61, 0.98]
    """
    return np.asarray(0.6 + 0.38 * (1.0 - np.exp(-amounts / 30.0)))


def chargebacks_us(rng: np.random.Generator, fraud: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """int64 (n,): how long after each payment, if it goes through, its chargeback comes; -1 when none does.

    Lognormal: median 8 days, one in ten after 20, 3 % after 30, all within 45. `fraud`: bool (n,).
    """
    days = np.minimum(_MEDIAN_DAYS * np.exp(_SPREAD * rng.standard_normal(len(fraud))), MAX_DAYS)
    comes = rng.random(len(fraud)) < np.where(fraud, noticed(amounts), FRIENDLY_SHARE)
    return np.where(comes, days * DAY_US, -1.0).astype(np.int64)


def verdicts(rng: np.random.Generator, fraud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How long after each payment its review ends, int64 (n,), and whether it calls it fraudulent, bool (n,)."""
    after_us = (rng.uniform(*_REVIEW_HOURS, size=len(fraud)) * _HOUR_US).astype(np.int64)
    return after_us, rng.random(len(fraud)) < np.where(fraud, FOUND_IN_REVIEW, SUSPECTED_IN_REVIEW)
