"""The queues of a city: stations of kitchens, and couriers who are somewhere and busy until some time."""

from heapq import heapreplace

import numpy as np


class Kitchens:
    """`stations`: int64 (shops,), orders that each works on at once. First come, first served. Times in us."""

    def __init__(self, stations: np.ndarray, start_us: int) -> None:
        self._free_us = [[start_us] * count for count in stations.tolist()]

    def free_us(self, shop: int) -> int:
        """When the next station is free."""
        return self._free_us[shop][0]

    def book(self, shop: int, until_us: int) -> None:
        """The next station works on an order until then."""
        heapreplace(self._free_us[shop], until_us)


class Couriers:
    """`count` couriers, spread over the zones. `km`: float64 (zones, zones) between zones."""

    def __init__(self, rng: np.random.Generator, count: int, km: np.ndarray, start_us: int) -> None:
        self._zone = rng.integers(len(km), size=count)
        self._free_us = np.full(count, start_us, dtype=np.int64)
        self._km = np.ascontiguousarray(km.T)

    def arrivals_us(self, zone: int, at_us: int, km_us: float) -> np.ndarray:
        """int64 (couriers,): when each can be in `zone` if called at `at_us`, at `km_us` microseconds a kilometer."""
        way_us = (self._km[zone] * km_us).astype(np.int64)
        return np.asarray(np.maximum(self._free_us, at_us) + way_us[self._zone])

    def choose(self, arrivals_us: np.ndarray, ready_us: int) -> tuple[int, int]:
        """Who takes an order, and when: of those who are there in time the last to come, else the first to come."""
        courier = int(arrivals_us.argmin())
        if arrivals_us[courier] > ready_us:
            return courier, int(arrivals_us[courier])
        in_time = np.where(arrivals_us <= ready_us, arrivals_us, -1)
        return int(in_time.argmax()), ready_us

    def book(self, courier: int, until_us: int, zone: int) -> None:
        """Busy until then, then in `zone`."""
        self._free_us[courier], self._zone[courier] = until_us, zone
