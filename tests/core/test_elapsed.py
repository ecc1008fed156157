"""Time that has passed goes forward only, whatever is done to the wall clock."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import Elapsed, ManualStopwatch


@given(st.lists(st.integers(-(10**17), 10**17), min_size=1))
def test_without_a_stopwatch_it_is_the_sum_of_the_steps_forward(timestamps: list[int]) -> None:
    elapsed = Elapsed()
    passed = [elapsed.us(timestamp) for timestamp in timestamps]
    assert passed[-1] == sum(after - before for before, after in pairwise(timestamps) if after > before)
    assert passed == sorted(passed)


@pytest.mark.parametrize("set_to_us", [-(10**15), 0, 10**15])
def test_with_a_stopwatch_no_time_counts(set_to_us: int) -> None:
    stopwatch = ManualStopwatch()
    elapsed = Elapsed(stopwatch)
    before = elapsed.us(1_700_000_000_000_000)
    assert elapsed.us(set_to_us) == before
    stopwatch.advance_s(2.5)
    assert elapsed.us(set_to_us) == before + 2_500_000
