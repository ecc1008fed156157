"""Percentiles of delays, against counting."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.events import IMPORTED
from flyball.history import Delay
from flyball.history.delays import Lags, delay_of, lags_of


def told_by_counting(delays_us: list[int]) -> Delay:
    """The smallest value that at least so many of a hundred do not exceed."""
    late = [max(0, delay) for delay in delays_us]
    p50, p99 = (
        min(one for one in late if 100 * sum(other <= one for other in late) >= percent * len(late))
        for percent in (50, 99)
    )
    return Delay(len(late), p50, p99)


@given(st.lists(st.integers(-5, 20) | st.integers(-(10**16), 10**16), min_size=1, max_size=250))
def test_so_many_of_a_hundred_took_no_longer(delays_us: list[int]) -> None:
    assert delay_of(pl.DataFrame({"lag": delays_us}, schema={"lag": pl.Int64})) == told_by_counting(delays_us)


@pytest.mark.parametrize(("events", "p99_us"), [(1, 1), (99, 99), (100, 99), (101, 100), (200, 198)])
def test_the_place_of_the_99th_percentile(events: int, p99_us: int) -> None:
    found = delay_of(pl.DataFrame({"lag": list(range(events, 0, -1))}))
    assert found is not None
    assert found.p99_us == p99_us


def test_imported_and_live_events_are_told_apart_and_none_are_none() -> None:
    frame = pl.DataFrame(
        {"at": [0, 0, 10, 10], "known_at": [7, 9, 10, 4], "flags": [IMPORTED, IMPORTED | 1, 0, 3]},
        schema={"at": pl.Int64, "known_at": pl.Int64, "flags": pl.UInt32},
    )
    assert lags_of(frame) == Lags(declared=Delay(2, 7, 9), live=Delay(2, 0, 0))
    assert lags_of(frame[:2]) == Lags(declared=Delay(2, 7, 9))
    assert lags_of(frame[:0]) == Lags()
