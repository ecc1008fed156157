"""The look at a table: a column whose shift is accepted is compared with what came since, the others with all."""

import numpy as np
import polars as pl
import pytest
from tests.monitoring.watch.wandering import WanderingTable, found_days

from flyball.monitoring import TableProfile, fingerprint_of
from flyball.monitoring.watch.season import SeasonalWindow
from flyball.monitoring.watch.table_look import TableLook, observe_table

DAY_US = 86_400_000_000


def day(rng: np.random.Generator, number: int, price: float, weight: float) -> tuple[SeasonalWindow, TableProfile]:
    columns = {"price": price * rng.lognormal(0, 0.3, 200), "weight": weight * rng.lognormal(0, 0.3, 200)}
    keys = pl.Series([str(key) for key in range(200)])
    return SeasonalWindow(number * DAY_US, number % 7), TableProfile.of(pl.DataFrame(columns), keys)


def looked(starts: dict[str, int], days: int = 9, suspects: dict[str, int] | None = None) -> dict[str, bool]:
    """{column: whether what was seen matters}; prices were doubled `days` days ago, weights today."""
    rng = np.random.default_rng(1)
    earlier = [day(rng, number, 1 + (number >= 28 - days), 1) for number in range(28)]
    _, now = day(rng, 28, 2, 2)
    look = TableLook(0, DAY_US, starts, suspects or {}, 0.2, frozenset())
    return {
        seen.subject: seen.matters
        for seen in observe_table("events.buy", now, earlier, look)
        if seen.monitor == "shift"
    }


def test_an_accepted_column_is_compared_with_what_came_since() -> None:
    assert looked({}) == {"events.buy.price": True, "events.buy.weight": True}
    accepted = looked({"events.buy.price": 19 * DAY_US, "events.sell.weight": 19 * DAY_US})
    assert accepted == {"events.buy.weight": True, "events.buy.price": False}


def test_an_accepted_column_waits_until_a_week_is_known() -> None:
    assert looked({"events.buy.price": 22 * DAY_US}, days=6) == {"events.buy.weight": True}


def test_windows_since_a_suspected_start_show_nothing_usual_until_fewer_than_a_week_are_left() -> None:
    rng = np.random.default_rng(1)
    earlier = [day(rng, number, 1, 1) for number in range(28)]
    key = fingerprint_of("missing-daily", "events.buy.price")
    look = TableLook(0, DAY_US, {}, {key: 20 * DAY_US + 1}, 0.2, frozenset())
    assert look.usual_windows("events.buy.price", earlier) == tuple(number * DAY_US for number in range(20))
    assert len(look.usual_windows("events.buy.weight", earlier)) == 28
    early = TableLook(0, DAY_US, {}, {key: 6 * DAY_US}, 0.2, frozenset())
    assert len(early.usual_windows("events.buy.price", earlier)) == 28


def test_a_shift_is_found_that_its_own_windows_would_hide() -> None:
    """Prices double after nine days; windows differ by a fifth, and more once the new ones are taken for usual."""
    tables = [WanderingTable(seed, 14, factor=2, begin=9) for seed in (1, 3)]
    assert [found_days(table, leaves_out=False) for table in tables] == [[], []]
    assert all(9 <= found_days(table)[0] <= 12 for table in tables)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_quiet_table_has_no_more_findings_than_allowed_without_the_windows_under_suspicion(seed: int) -> None:
    assert len(found_days(WanderingTable(seed, 36, columns=2))) <= 1  # one in 30 days
