"""The durations of the parts of an order, and the distribution of the total time given the queues."""

import msgspec
import numpy as np

MINUTE_US = 60_000_000
ACCEPT_MIN, ACCEPT_SD = 1.0, 0.5
WORK_SD = 0.25
RIDE_SD = 0.15
ITEM_SHARE = 0.15
"""Each further item adds this share of the work for the first."""
KM_MIN = 2.6
"""Minutes a kilometer on an empty, dry street: 23 km/h."""
HANDOVER_MIN = 3.0
_NODES = np.random.default_rng(20).standard_normal((512, 3))
"""Points of the noise (accepting, work, ride) over which the distribution is computed."""


class Circumstances(msgspec.Struct, frozen=True):
    """The circumstances of an order, in minutes.

    `kitchen`: until a station is free. `courier`: until the first courier can be at the shop, both counted from the
    order. `work`, `ride`: median durations.
    """

    kitchen: float
    courier: float
    work: float
    ride: float


def work_minutes(first_min: float, items: int) -> float:
    """The median minutes of work for `items` items."""
    return first_min * (1.0 + ITEM_SHARE * (items - 1))


def distribution(met: Circumstances) -> np.ndarray:
    """Equally likely minutes from the order to its delivery, float64 (512,), ascending.

    >>> times = distribution(Circumstances(kitchen=0.0, courier=60.0, work=5.0, ride=10.0))
    >>> bool(times[0] > 60 + 10 * 0.5), round(float(np.median(times)))
    (True, 70)
    """
    accept, work, ride = _NODES.T
    ready = np.maximum(ACCEPT_MIN * np.exp(ACCEPT_SD * accept), met.kitchen) + met.work * np.exp(WORK_SD * work)
    return np.sort(np.maximum(ready, met.courier) + met.ride * np.exp(RIDE_SD * ride))
