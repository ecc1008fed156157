"""The queues of a city: stations of kitchens, and couriers, who have a zone and a time until which they are busy."""

from heapq import heapreplace

import numpy as np


class Kitchens:
    """The kitchens of shops, first come, first served; times in microseconds.

    `stations`: int64 (shops,), the orders that each kitchen works on at once.
    """

    def __init__(self, stations: np.ndarray, start_us: int) -> None:
        self._free_us = [[start_us] * count for count in stations.tolist()]

    def free_us(self, shop: int) -> int:
        """When the next station is free."""
        return self._free_us[shop][0]

    def book(self, shop: int, until_us: int) -> None:
        """Book the next free station of `shop` until `until_us`."""
        heapreplace(self._free_us[shop], until_us)


class Couriers:
    """`count` couriers, spread over the zones. `km`: float64 (zones, zones) between zones."""

    def __init__(self, rng: np.random.Generator, count: int, km: np.ndarray, start_us: int) -> None:
        self._zone = rng.integers(len(km), size=count)
        self._free_us = np.full(count, start_us, dtype=np.int64)
        self._km = np.ascontiguousarray(km.T)

    def arrivals_us(self, zone: int, at_us: int, km_us: float) -> np.ndarray:
        """When each courier can be in `zone` if called at `at_us`, int64 (couriers,), at `km_us` us a kilometer."""
        way_us = (self._km[zone] * km_us).astype(np.int64)
        return np.asarray(np.maximum(self._free_us, at_us) + way_us[self._zone])

    def choose(self, arrivals_us: np.ndarray, ready_us: int) -> tuple[int, int]:
        """The courier of an order and the arrival: the last one who arrives by `ready_us`, otherwise the first one."""
        courier = int(arrivals_us.argmin())
        if arrivals_us[courier] > ready_us:
            return courier, int(arrivals_us[courier])
        in_time = np.where(arrivals_us <= ready_us, arrivals_us, -1)
        return int(in_time.argmax()), ready_us

    def book(self, courier: int, until_us: int, zone: int) -> None:
        """Book a courier until `until_us`, who is then in `zone`."""
        self._free_us[courier], self._zone[courier] = until_us, zone
