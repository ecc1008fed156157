"""Conditions that change over time: demand by hour and weekday, rain, traffic, and the form of each kitchen."""

import numpy as np

SLOT_US = 15 * 60_000_000
_SLOTS_A_DAY = 96
_DEMAND = np.array((1, 0.4, 0.2, 0.1, 0.1, 0.1, 0.3, 1, 2, 2, 3, 6, 9, 8, 4, 3, 4, 7, 11, 12, 10, 7, 4, 2))
_DEMAND_BY_HOUR = _DEMAND / _DEMAND.mean()
_DEMAND_BY_WEEKDAY = np.array((0.85, 0.85, 0.9, 0.95, 1.15, 1.2, 1.1))
_TRAFFIC = np.ones(24)
_TRAFFIC[[7, 8, 9]] = 1.3
_TRAFFIC[[16, 17, 18]] = 1.45
_TRAFFIC[[23, 0, 1, 2, 3, 4, 5]] = 0.85
_RAIN_STAYS = 0.5 ** (1.0 / 12.0)
"""Rain is halved in three hours."""
_FORM_STAYS, _FORM_SD = 0.5 ** (1.0 / (2 * _SLOTS_A_DAY)), 0.25
"""The deviation of a kitchen from average form is halved in two days."""


def hour_of(at_us: int) -> int:
    """The hour of the day, UTC."""
    return at_us // 3_600_000_000 % 24


def demand_at(at_us: int, rain_mm: float) -> float:
    """Orders relative to the mean of a dry week."""
    weekday = (at_us // 86_400_000_000 + 3) % 7  # 1970-01-01 was a Thursday
    return float(_DEMAND_BY_HOUR[hour_of(at_us)] * _DEMAND_BY_WEEKDAY[weekday] * (1.0 + 0.08 * min(rain_mm, 5.0)))


def slowness_at(at_us: int, rain_mm: float) -> float:
    """The factor by which a route takes longer than on an empty, dry street."""
    return float(_TRAFFIC[hour_of(at_us)] * (1.0 + 0.06 * rain_mm))


class Conditions:
    """Rain in mm/h and the form of each kitchen, float64 (shops,): its work takes exp(form) times as long.

    Both are autocorrelated over slots of `SLOT_US`; a city starts dry and in average form.
    """

    def __init__(self, shops: int) -> None:
        self._wet, self.form = -1.0, np.zeros(shops)

    @property
    def rain_mm(self) -> float:
        """The rain of the present slot in mm/h, 0 most of the time."""
        return round(max(0.0, 4.0 * (self._wet - 0.8)), 1)

    def step(self, rng: np.random.Generator) -> None:
        """Advance to the next slot."""
        noise = rng.standard_normal(1 + len(self.form))
        self._wet = _RAIN_STAYS * self._wet + (1.0 - _RAIN_STAYS**2) ** 0.5 * float(noise[0])
        self.form = _FORM_STAYS * self.form + _FORM_SD * np.sqrt(1.0 - _FORM_STAYS**2) * noise[1:]
