"""What a plan is made for is checked."""

from typing import Any

import pytest

from flyball.capacity import Demand, Prices
from flyball.core import BadInput

GOOD: dict[str, Any] = {"users": 10, "items": 10, "requests_per_s": 1.0, "events_per_s": 1.0, "deadline_s": 0.1}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("users", 0, "users must be above 0, got 0"),
        ("requests_per_s", -1.0, "requests per s must be above 0"),
        ("events_per_s", float("nan"), "events per s must be above 0"),
        ("peak", 0.5, "peak must be 1 or more times the mean of a day"),
        ("in_time", 1.0, "share in time must be between 0 and 1"),
    ],
)
def test_a_demand_that_makes_no_sense_is_refused(name: str, value: float, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Demand(**{**GOOD, name: value})


def test_a_day_has_the_mean_of_the_peak() -> None:
    demand = Demand(**GOOD, peak=4.0, keep_days=10)
    assert (demand.events_per_day, demand.events_kept) == (21_600, 216_000)


def test_prices_are_not_negative() -> None:
    with pytest.raises(BadInput, match="price of a cpu hour must be 0 or more"):
        Prices(cpu_hour=-1.0)
    assert not Prices().any_given
