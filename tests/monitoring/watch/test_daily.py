"""Monitors of a day look once, after its last window."""

from datetime import UTC

from flyball.monitoring import Observation
from flyball.monitoring.watch.daily import each_day
from flyball.monitoring.watch.suspected import Suspicions

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


def test_a_day_is_looked_at_when_its_last_window_ended() -> None:
    looked = []

    def look(until_us: int, _: Suspicions) -> list[Observation]:
        looked.append(until_us)
        return [Observation("performance", "sales", 0.5, False, "as before")]

    monitor = each_day(UTC, look)
    seen = [monitor(start_us, start_us + HOUR_US, {}) for start_us in range(0, 2 * DAY_US, HOUR_US)]
    assert looked == [DAY_US, 2 * DAY_US]
    assert sum(map(len, seen)) == 2
    assert seen[23][0].daily
