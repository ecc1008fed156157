"""Bursts are counted as a loop over all events counts them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flyball.monitoring.suspects.bursts import fullest


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=30), st.integers(1, 9))
def test_the_fullest_window_is_that_of_a_loop(rows: list[tuple[int, int]], length: int) -> None:
    rows = sorted(rows)
    within = [(one, sum(one == other and at <= then < at + length for other, then in rows)) for one, at in rows]
    naive = [max((count for one, count in within if one == own), default=0) for own in range(4)]
    account, at = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.int64)
    assert fullest(account, at * 1_000, 4, length * 1_000).tolist() == naive
