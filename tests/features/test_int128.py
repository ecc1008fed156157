"""Exact arithmetic on words of 60 bits, against Python's whole numbers, rounding included."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.features.online.kernels.int128 import DIGITS, nearest_double, plus, spread, times

LOW = (1 << 60) - 1


def words(value: int) -> tuple[Any, Any]:
    return np.int64(value >> 60), np.int64(value & LOW)


def whole(pair: tuple[Any, Any]) -> int:
    return (int(pair[0]) << 60) + int(pair[1])


def digits() -> np.ndarray:
    return np.full(DIGITS, 77, dtype=np.int64)  # what an earlier call left


@st.composite
def near_ties(draw: st.DrawFn, bits: int) -> int:
    """Numbers of up to so many bits halfway between two doubles, or one beside it."""
    mantissa, shift = draw(st.integers(1 << 52, (1 << 53) - 1)), draw(st.integers(1, bits - 53))
    return (mantissa << shift) + (1 << (shift - 1)) + draw(st.sampled_from([-1, 0, 1]))


def large(bits: int) -> st.SearchStrategy[int]:
    return st.one_of(near_ties(bits), st.integers(0, (1 << bits) - 1), st.integers(0, bits - 1).map(lambda b: 1 << b))


signed = st.builds(lambda value, negative: -value if negative else value, large(119), st.booleans())


@given(signed, st.one_of(signed, st.integers(-(1 << 60), 1 << 60)))
def test_sums(one: int, other: int) -> None:
    assert whole(plus(*words(one), *words(other))) == one + other
    if abs(other) <= 1 << 60:
        assert whole(plus(*words(one), np.int64(0), np.int64(other))) == one + other


@given(st.integers(-(1 << 85), 1 << 85), st.integers(0, 1 << 32))
def test_products_with_weights(value: int, weight: int) -> None:
    assert whole(times(*words(value), np.int64(weight))) == value * weight


@given(signed)
def test_the_nearest_double(value: int) -> None:
    assert nearest_double(*words(value), digits()) == float(value)


@pytest.mark.parametrize(
    "value", [0, 1, -1, LOW, LOW + 1, 4 << 60, (4 << 60) - 1, -(4 << 60), -(4 << 60) - 1, -(5 << 60)]
)
def test_the_nearest_double_at_the_edges_of_words(value: int) -> None:
    assert nearest_double(*words(value), digits()) == float(value)


def spread_of(n: int, total: int, squares: int) -> float:
    q2, (q1, q0) = squares >> 120, words(squares & ((1 << 120) - 1))
    return float(spread(np.int64(n), *words(total), np.int64(q2), q1, q0, digits(), digits()))


@given(large(178))
def test_spreads_around_nothing(squares: int) -> None:
    assert spread_of(1, 0, squares) == float(squares)


@given(st.integers(2, 1 << 62), st.integers(-(1 << 115), 1 << 115), large(170))
def test_spreads(n: int, total: int, more: int) -> None:
    squares = min(-(-total * total // n) + more, (1 << 179) - 1)
    if n * squares >= total * total:
        assert spread_of(n, total, squares) == float(n * squares - total * total)


@given(large(100), st.integers(0, 12), st.integers(-(1 << 57), 1 << 57))
def test_spreads_that_round(difference: int, power: int, root: int) -> None:
    """n * squares - total**2 is the drawn number."""
    n = 1 << power
    difference, total = difference << power, root << power
    assert spread_of(n, total, (difference + total * total) >> power) == float(difference)
