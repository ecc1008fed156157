"""Times, durations and ids: text and back, in order, or refused."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import (
    BadInput,
    ManualClock,
    format_duration,
    format_timestamp,
    new_id,
    number_of_id,
    parse_duration,
    parse_timestamp,
    timestamp_of_id,
)


@given(st.integers(0, 10**16))
def test_a_duration_reads_back(duration_us: int) -> None:
    assert parse_duration(format_duration(duration_us)) == duration_us


@pytest.mark.parametrize("text", ["", "5", "d", "1.5h", "-1d", "1h 30m", "1y", "1d junk"])
def test_a_bad_duration_says_what_it_must_be(text: str) -> None:
    with pytest.raises(BadInput, match="duration must be numbers with units"):
        parse_duration(text)


def test_a_duration_that_no_time_has_is_refused() -> None:
    assert parse_duration("365000d") == 365_000 * 86_400_000_000
    for text in ("365001d", "99999999w", "9" * 40 + "us"):
        with pytest.raises(BadInput, match="duration must be at most 365000d, a thousand years, got"):
            parse_duration(text)


@given(st.integers(-(10**15), 4 * 10**15))
def test_a_time_reads_back(timestamp_us: int) -> None:
    assert parse_timestamp(format_timestamp(timestamp_us)) == timestamp_us


def test_an_offset_is_taken_off() -> None:
    assert parse_timestamp("1970-01-01T05:30:00+05:30") == 0


def test_a_manual_clock_never_runs_backwards() -> None:
    clock = ManualClock(10)
    clock.move_to_us(15)
    assert clock.now_us() == 15
    with pytest.raises(BadInput):
        clock.move_to_us(14)


@given(st.lists(st.integers(0, 2**47 * 1000), min_size=2, max_size=5, unique_by=lambda us: us // 1000))
def test_ids_sort_by_time_and_tell_it(timestamps: list[int]) -> None:
    rng = random.Random(1)
    ids = [new_id(timestamp, rng) for timestamp in sorted(timestamps)]
    assert ids == sorted(ids)
    assert [timestamp_of_id(one) for one in ids] == [timestamp // 1000 * 1000 for timestamp in sorted(timestamps)]


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "I" + "0" * 25, "0" * 25 + "a"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(
        BadInput, match="id must be an answer's, as recommend prints it: 26 capital letters and digits, got"
    ):
        timestamp_of_id(text)


def test_an_id_holds_its_milliseconds_and_what_was_drawn() -> None:
    for now_us in (0, 1_767_225_600_123_456, (1 << 48) * 1_000 - 1):
        drawn = random.Random(5).getrandbits(80)
        assert number_of_id(new_id(now_us, random.Random(5))) == (now_us // 1_000) << 80 | drawn
