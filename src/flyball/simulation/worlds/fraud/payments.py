"""The payments of a slot of time: customers, times, terminals and amounts."""

from collections.abc import Iterator

import msgspec
import numpy as np

from flyball.simulation.world import DAY_US
from flyball.simulation.worlds.fraud.criminals import Criminals
from flyball.simulation.worlds.fraud.labels import chargebacks_us, verdicts
from flyball.simulation.worlds.fraud.people import People

SLOT_US = 3_600_000_000
LEAST_AMOUNT = 0.5
_RETRY_US = (10 * 60_000_000, 60 * 60_000_000)
_AWAY_SHARE = 0.05
"""The share of payments that are made at any terminal, not near home."""
_BY_HOUR = np.exp(-0.5 * ((np.arange(24) + 0.5 - 12.0) / (20_000 / 3_600)) ** 2)
"""Payments are normally distributed around noon with a standard deviation of 20,000 s, as in the handbook."""
_BY_HOUR /= _BY_HOUR.mean()


class Payment(msgspec.Struct, frozen=True):
    """A payment before its request. `fraud`: its kind, 0 for a genuine payment.

    `back_us`: the time to its chargeback if it is made, microseconds, -1 for none. `review_us`, `suspected`: how long a
    review would take, and whether its verdict would be fraud.
    """

    at_us: int
    key: int
    customer: int
    terminal: int
    amount: float
    fraud: int
    back_us: int
    review_us: int
    suspected: bool


def draw_payments(
    rng: np.random.Generator, people: People, criminals: Criminals, slot_us: int, hour: int, payments_a_day: np.ndarray
) -> Iterator[Payment]:
    """The payments of the slot that begins at `slot_us`, ordered by time; `hour`: of the day.

    `payments_a_day`: float64 (customers,), how often each pays now.
    """
    rates = np.cumsum(payments_a_day)
    n = int(rng.poisson(rates[-1] * SLOT_US / DAY_US * _BY_HOUR[hour]))
    at_us = slot_us + np.sort(rng.integers(SLOT_US, size=n))
    customer = rates.searchsorted(rng.random(n) * rates[-1])
    first, count = people.first[customer], np.diff(people.first)[customer]
    terminal = people.near[first + (rng.random(n) * count).astype(np.int64)]
    away = rng.random(n) < _AWAY_SHARE
    terminal = np.where(away, rng.integers(len(people.merchant), size=n), terminal)
    mean = people.mean_amount[customer]
    amount = np.abs(mean + 0.5 * mean * rng.standard_normal(n)) * people.amount_factor[terminal]
    key = rng.integers(1, 2**53, size=n)
    fraud, amount = criminals.take(rng, at_us, customer, terminal, amount)
    amount = np.maximum(LEAST_AMOUNT, amount).round(2)
    back_us, (review_us, suspected) = chargebacks_us(rng, fraud > 0, amount), verdicts(rng, fraud > 0)
    columns = at_us, key, customer, terminal, amount, fraud, back_us, review_us, suspected
    return map(Payment, *(column.tolist() for column in columns))


def try_again(rng: np.random.Generator, payment: Payment, amount: float, not_before_us: int) -> Payment:
    """The same fraudulent payment with another amount, ten minutes to an hour later."""
    (back_us,), fraud = chargebacks_us(rng, np.array([True]), np.array([amount])).tolist(), np.array([True])
    (review_us,), (suspected,) = (column.tolist() for column in verdicts(rng, fraud))
    return msgspec.structs.replace(
        payment,
        at_us=max(not_before_us, payment.at_us + int(rng.integers(*_RETRY_US))),
        key=int(rng.integers(1, 2**53)),
        amount=max(LEAST_AMOUNT, round(amount, 2)),
        back_us=back_us,
        review_us=review_us,
        suspected=suspected,
    )
