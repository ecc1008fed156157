"""The locations of the shops and customers of a city, and the distances between them."""

import msgspec
import numpy as np

from flyball.core import BadInput

CUISINES = ("bakery", "burger", "curry", "pizza", "sushi")
_PREPARATION_MIN = np.array((4.0, 8.0, 13.0, 10.0, 12.0))
"""Median minutes of work for a first item, by cuisine."""
ZONES = 12
_RADIUS_KM = 5.0
_DETOUR = 1.3
"""A route through streets is this many times as long as the straight line."""
_REACH_KM = 1.5
"""Customers order from a shop exp(-distance / this) times as often as from one at distance 0."""


class City(msgspec.Struct, frozen=True):
    """Shops and zones, as columns.

    `km`: float64 (ZONES, ZONES), routes between the middles of zones, 0.6 within one. `slow`: float64 (ZONES,), the
    factor by which a kilometer takes longer there. `shop_zone`, `cuisine`: int64 (shops,). `stations`: int64 (shops,),
    orders that a kitchen works on at once. `work_min`: float64 (shops,), median minutes of work for a first item.
    `population`: float64 (ZONES,), cumulative. `choice`: float64 (ZONES, shops), cumulative shares of a zone's orders
    by shop.
    """

    km: np.ndarray
    slow: np.ndarray
    shop_zone: np.ndarray
    cuisine: np.ndarray
    stations: np.ndarray
    work_min: np.ndarray
    population: np.ndarray
    choice: np.ndarray


def make_city(rng: np.random.Generator, shops: int, orders_a_day: float) -> City:
    """Draw a city whose kitchens can just serve the dinner hour. Raises `BadInput` without shops or orders."""
    if shops < 1 or orders_a_day <= 0:
        raise BadInput("shops and orders_a_day", "1 or more and above 0", (shops, orders_a_day))
    middle = _RADIUS_KM * np.sqrt(rng.random(ZONES)) * np.exp(2j * np.pi * rng.random(ZONES))
    km = np.maximum(0.6, _DETOUR * np.abs(middle[:, None] - middle[None, :]))
    shop_zone = rng.integers(ZONES, size=shops)
    cuisine = rng.integers(len(CUISINES), size=shops)
    popularity = 1.0 / (1.0 + rng.permutation(shops)) ** 0.6
    population = rng.gamma(3.0, size=ZONES)
    demand = popularity * np.exp(-km[:, shop_zone] / _REACH_KM)
    choice = demand / demand.sum(axis=1, keepdims=True)
    population /= population.sum()
    work_min = _PREPARATION_MIN[cuisine] * rng.lognormal(0.0, 0.2, size=shops)
    return City(
        km=km,
        slow=1.0 + 0.35 * np.exp(-np.abs(middle) / 2.0),
        shop_zone=shop_zone,
        cuisine=cuisine,
        stations=_stations(orders_a_day * (population @ choice), work_min),
        work_min=work_min,
        population=np.cumsum(population),
        choice=np.cumsum(choice, axis=1),
    )


def _stations(orders_a_day: np.ndarray, work_min: np.ndarray) -> np.ndarray:
    """The stations that are busy four fifths of the dinner hour, in which an eighth of the day's orders are placed."""
    busy = orders_a_day / 8.0 * (work_min + 2.0) / 60.0
    return np.maximum(1, np.ceil(busy / 0.8)).astype(np.int64)
