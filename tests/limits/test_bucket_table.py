"""Buckets in a table: as the definition says while there is room, and never more than the limit without."""

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.limits.naive_buckets import NaiveBuckets, most_in_a_window, table

from flyball.core import BadInput
from flyball.limits import LONGEST_S, BucketTable, Rate
from flyball.limits.bucket_table import WAYS

S = 1_000_000_000
RATE = Rate(S // 10, 5)


def requests(names: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    """(name, ns since the request before, cost)"""
    passed = st.integers(0, 2 * S) | st.sampled_from([0, S // 10 - 1, S // 10, S // 10 + 1])
    return st.lists(st.tuples(st.integers(0, names - 1), passed, st.integers(1, 6)), max_size=80)


@given(requests(WAYS), st.builds(Rate, st.integers(1, S), st.integers(1, 6)))
def test_it_admits_what_a_token_bucket_does(sent: list[tuple[int, int, int]], rate: Rate) -> None:
    buckets, naive, now_ns = table(), NaiveBuckets(), 1
    for name, passed_ns, cost in sent:
        now_ns += passed_ns
        wait_ns = buckets.take(str(name).encode(), cost, rate, now_ns)
        assert (wait_ns == 0) == naive.take(str(name), cost, rate, now_ns)


@given(requests(3 * WAYS))
def test_whoever_is_replaced_never_gets_more_than_the_limit(sent: list[tuple[int, int, int]]) -> None:
    buckets, now_ns = table(), 1
    admitted: dict[int, list[tuple[int, int]]] = {}
    for name, passed_ns, cost in sent:
        now_ns += passed_ns // 20  # so close together that most buckets are not full
        if buckets.take(str(name).encode(), cost, RATE, now_ns) == 0:
            admitted.setdefault(name, []).append((now_ns, cost))
    assert all(most_in_a_window(times, RATE) <= 0 for times in admitted.values())


@given(requests(2))
def test_after_the_time_that_it_names_there_are_enough_tokens(sent: list[tuple[int, int, int]]) -> None:
    buckets, now_ns = table(), 1
    for name, passed_ns, cost in sent:
        now_ns += passed_ns
        wait_ns = buckets.take(str(name).encode(), cost, RATE, now_ns)
        if wait_ns and cost <= RATE.burst:
            assert buckets.take(str(name).encode(), cost, RATE, now_ns + wait_ns - 1) == 1
            now_ns += wait_ns
            assert buckets.take(str(name).encode(), cost, RATE, now_ns) == 0


def test_a_flood_of_names_does_not_reset_a_bucket() -> None:
    """An attacker who is out of tokens has thousands of others replace its bucket, and gains nothing."""
    buckets, rate = table(), Rate(60 * S, 5)
    assert [buckets.take(b"attacker", 1, rate, 1) == 0 for _ in range(6)] == [True] * 5 + [False]
    for name in range(10_000):
        buckets.take(b"%d" % name, 1, rate, 1)
    assert buckets.take(b"attacker", 1, rate, 1) > 0


def test_a_full_bucket_is_replaced_before_others() -> None:
    buckets = table()
    assert buckets.take(b"busy", 5, RATE, 1) == 0
    for name in range(1_000):
        assert buckets.take(b"%d" % name, 1, RATE, 1 + name * S) == 0  # each is full again when the next one comes
    assert buckets.take(b"busy", 5, RATE, S // 2) > 0


def test_buckets_of_before_the_clock_started_again_are_full() -> None:
    buckets, uptime_ns = table(), 2 * LONGEST_S * S
    assert [buckets.take(b"a", 5, RATE, uptime_ns) for _ in range(2)] == [0, S // 2]
    assert buckets.take(b"a", 5, RATE, 1) == 0


def test_slots_must_be_whole_rows() -> None:
    with pytest.raises(BadInput, match="slots must be a multiple of 16, got 8"):
        BucketTable(memoryview(bytearray(64)).cast("q"), b"", lambda row: nullcontext())
