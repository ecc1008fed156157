"""Customers with a home and habits, the terminals near them, and the merchants that own the terminals."""

import msgspec
import numpy as np
from scipy.spatial import cKDTree

from flyball.core import BadInput

CATEGORIES = ("electronics", "fuel", "grocery", "restaurant", "travel")
_CATEGORY_SHARE = np.array((0.08, 0.15, 0.45, 0.25, 0.07))
_CATEGORY_AMOUNT = np.array((1.6, 1.1, 0.8, 0.9, 1.7))
TERMINALS_A_MERCHANT = 4
_SIDE, _REACH = 100.0, 5.0
"""The side of the square that contains customers and terminals, and the distance at which a customer pays."""
_TILT = 1.5
_PAYMENTS_A_DAY = 4.0
_MEAN_AMOUNT = (5.0, 100.0)


class People(msgspec.Struct, frozen=True):
    """Customers, terminals and merchants, as columns.

    `payments_a_day`, `mean_amount`: float64 (customers,). `near`: the terminals near each customer, one after the
    other; `first`: int64 (customers + 1,), where those of each customer begin. `merchant`: int64 (terminals,).
    `category`: int64 (merchants,).
    """

    payments_a_day: np.ndarray
    mean_amount: np.ndarray
    first: np.ndarray
    near: np.ndarray
    merchant: np.ndarray
    category: np.ndarray

    def paying(self, richer: float, times: float) -> np.ndarray:
        """The payments a day of each customer, float64 (customers,), `times` as many as usual in total.

        `richer`: to what extent those who usually pay larger amounts pay more often, and the others less.
        """
        if richer <= 0:
            return self.payments_a_day * times
        standing = (self.mean_amount - self.mean_amount.mean()) / max(float(self.mean_amount.std()), 1e-9)
        tilted = self.payments_a_day * np.exp(_TILT * richer * standing)
        return np.asarray(tilted * (times * self.payments_a_day.sum() / tilted.sum()))

    @property
    def amount_factor(self) -> np.ndarray:
        """The factor of amounts at each terminal, float64 (terminals,)."""
        return np.asarray(_CATEGORY_AMOUNT[self.category[self.merchant]])


def make_people(rng: np.random.Generator, customers: int, terminals: int) -> People:
    """Draw customers, terminals and merchants as the handbook does: uniform habits and locations.

    Raises `BadInput` without customers or terminals.
    """
    if customers < 1 or terminals < 1:
        raise BadInput("customers and terminals", "1 or more each", (customers, terminals))
    merchants = -(-terminals // TERMINALS_A_MERCHANT)
    first, near = _terminals_near(rng.random((customers, 2)) * _SIDE, rng.random((terminals, 2)) * _SIDE)
    return People(
        payments_a_day=rng.random(customers) * _PAYMENTS_A_DAY,
        mean_amount=rng.uniform(*_MEAN_AMOUNT, size=customers),
        first=first,
        near=near,
        merchant=rng.permutation(np.arange(terminals) // TERMINALS_A_MERCHANT),
        category=rng.choice(len(CATEGORIES), size=merchants, p=_CATEGORY_SHARE),
    )


def _terminals_near(homes: np.ndarray, terminals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the terminals of each home begin, and the terminals: those within reach, or the nearest one if none is."""
    tree = cKDTree(terminals)
    reached = tree.query_ball_point(homes, _REACH, return_sorted=True)
    nearest = tree.query(homes)[1].tolist()
    near = [within or [closest] for within, closest in zip(reached, nearest, strict=True)]
    return np.cumsum([0, *map(len, near)]), np.concatenate(near).astype(np.int64)
