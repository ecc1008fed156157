"""The orders of a slot of time, with all random numbers of each order."""

from collections.abc import Iterator

import msgspec
import numpy as np

from flyball.simulation.worlds.delivery.city import City
from flyball.simulation.worlds.delivery.conditions import SLOT_US, Conditions

_OUT_OF_STOCK = 0.01
_FARTHER, _MORE_ITEMS = 1.0, 1.5
"""At a shift of 1, routes are longer by this share, and the items beyond the first of an order more."""
_PATIENCE_MIN, _MORE_PATIENCE_MIN = 35.0, 60.0
"""A customer cancels an order that was not picked up after `_PATIENCE_MIN` plus an exponential time of mean
`_MORE_PATIENCE_MIN`."""


class OrderDraw(msgspec.Struct, frozen=True):
    """An order before it is placed. `form`: of its kitchen; the noises are standard normal."""

    at_us: int
    key: int
    zone: int
    shop: int
    km: float
    items: int
    amount: float
    accept_noise: float
    work_noise: float
    ride_noise: float
    out_of_stock: bool
    patience_min: float
    form: float
    rain_mm: float


def draw_orders(
    rng: np.random.Generator, city: City, conditions: Conditions, slot_us: int, mean: float, shifted: float = 0.0
) -> Iterator[OrderDraw]:
    """The orders of the slot that begins at `slot_us`, ordered by time; their number is Poisson with mean `mean`.

    `shifted`: to what extent customers order from farther away, and more.
    """
    n = int(rng.poisson(mean))
    at_us = slot_us + np.sort(rng.integers(SLOT_US, size=n))
    zone = np.searchsorted(city.population, rng.random(n) * city.population[-1])
    shop = _choose_shops(city.choice, zone, rng.random(n))
    items = 1 + rng.poisson(1.2 * (1 + _MORE_ITEMS * shifted), size=n)
    farther = 1 + _FARTHER * shifted
    columns = (
        at_us,
        rng.integers(1, 2**53, size=n),
        zone,
        shop,
        (city.km[city.shop_zone[shop], zone] * farther * rng.gamma(4.0, 0.25, size=n)).round(2),
        items,
        (items * rng.lognormal(2.3, 0.3, size=n)).round(2),
        *rng.standard_normal((3, n)),
        rng.random(n) < _OUT_OF_STOCK,
        _PATIENCE_MIN + _MORE_PATIENCE_MIN * rng.exponential(size=n),
        conditions.form[shop],
    )
    rain_mm = [conditions.rain_mm] * n
    yield from map(OrderDraw, *(column.tolist() for column in columns), rain_mm)


def _choose_shops(choice: np.ndarray, zone: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The shop of each customer, int64 (n,), by the cumulative shares of the zone."""
    shops = [choice[z].searchsorted(s * choice[z, -1]) for z, s in zip(zone.tolist(), share.tolist(), strict=True)]
    return np.array(shops, dtype=np.int64)
