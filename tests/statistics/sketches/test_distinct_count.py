"""Counts of distinct values against sets: exact while few, within the stated error when many, the same in any order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flyball.statistics.sketches import DistinctCount, hash_numbers

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=40)


def spread(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


@given(HASHES)
def test_few_are_counted_exactly(hashes: list[int]) -> None:
    assert DistinctCount().add(np.array(hashes, np.uint64)).estimate() == len(set(hashes))


def test_the_error_is_within_what_is_stated() -> None:
    for count in (513, 5_000, 200_000):
        errors = np.array([DistinctCount().add(spread(count, seed)).estimate() / count - 1 for seed in range(30)])
        assert np.abs(errors).max() < 4 * 0.016
        assert abs(errors.mean()) < 4 * 0.016 / np.sqrt(30)


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 5)), max_size=6), st.randoms())
def test_the_state_is_a_function_of_the_set(parts: list[tuple[int, int]], random) -> None:
    streams = [spread(count, seed) for count, seed in parts]
    whole = DistinctCount().add(np.concatenate([np.empty(0, np.uint64), *streams]))
    random.shuffle(streams)
    merged = DistinctCount()
    for stream in streams:
        merged = merged.merge(DistinctCount().add(np.repeat(stream, 2)))
    assert merged == whole


def test_a_large_batch_of_few_values_is_exact() -> None:
    assert DistinctCount().add(np.tile(spread(300, 1), 100)).estimate() == 300
    late = np.concatenate([np.tile(spread(300, 1), 20), spread(5_000, 2)])
    assert DistinctCount().add(late) == DistinctCount().add(late[::-1].copy())


def test_a_sketch_is_at_most_4_kilobytes() -> None:
    sketch = DistinctCount().add(spread(100_000, 1))
    assert len(sketch.registers) == 4_096
    assert not sketch.hashes


def test_ranks_are_the_leading_zeros_behind_the_first_12_bits() -> None:
    hashes = np.array([(register << 52) | ((1 << 51) >> register % 52) for register in range(4_096)], np.uint64)
    registers = np.frombuffer(DistinctCount().add(hashes).registers, np.uint8)
    assert registers.tolist() == [register % 52 + 1 for register in range(4_096)]
    zeros = np.array([register << 52 for register in range(4_096)], np.uint64)
    assert set(DistinctCount().add(zeros).registers) == {53}


def test_equal_numbers_have_equal_hashes() -> None:
    hashes = hash_numbers(np.array([0.0, -0.0, 1.0, 1.0, -1.0, 1e300]))
    assert len(set(hashes.tolist())) == 4
    assert hashes[0] == hashes[1]
