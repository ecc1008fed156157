"""Ids of 26 letters are the number of their milliseconds and random bits, in base 32."""

import random

from hypothesis import given
from hypothesis import strategies as st

from flyball.core import new_id, number_of_id, timestamp_of_id

LAST_US = ((1 << 48) - 1) * 1_000 + 999


@given(st.integers(0, LAST_US), st.integers(0, 1 << 32))
def test_an_id_is_its_time_then_the_bits_that_were_drawn(now_us: int, seed: int) -> None:
    text = new_id(now_us, random.Random(seed))
    assert number_of_id(text) == now_us // 1_000 << 80 | random.Random(seed).getrandbits(80)
    assert timestamp_of_id(text) == now_us // 1_000 * 1_000


@given(st.lists(st.integers(0, LAST_US), min_size=2, max_size=40))
def test_ids_sort_by_their_milliseconds(times_us: list[int]) -> None:
    rng = random.Random(0)
    ids = sorted((new_id(at_us, rng), at_us // 1_000) for at_us in times_us)
    assert [milliseconds for _, milliseconds in ids] == sorted(at_us // 1_000 for at_us in times_us)
