"""Runs of equal values: lengths by a loop, chance of long ones in independent and sticky streams, planted ones."""

import math
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics import longest_run, run_lengths


@given(st.lists(st.integers(0, 2)))
def test_lengths_are_those_of_a_loop(values: list[int]) -> None:
    assert run_lengths(values).tolist() == [len(list(run)) for _, run in groupby(values)]


def sticky(rng: np.random.Generator, count: int, stay: float) -> np.ndarray:
    """Values that stay as they are with a probability."""
    fresh = rng.integers(4, size=count)
    starts = np.maximum.accumulate(np.where(rng.random(count) < stay, 0, np.arange(count)))
    return np.asarray(fresh[starts])


@pytest.mark.parametrize("stay", [0.0, 0.6])
def test_long_runs_by_chance_are_rare(stay: float) -> None:
    rng = np.random.default_rng(1)
    seen = sum(longest_run(sticky(rng, 500, stay), sticky(rng, 5_000, stay)).p <= 0.05 for _ in range(400))
    assert seen <= 0.05 * 400 + 3 * np.sqrt(400 * 0.05)


@pytest.mark.parametrize("stay", [0.0, 0.6])
def test_a_model_that_answers_the_same_is_seen(stay: float) -> None:
    rng = np.random.default_rng(2)
    values = sticky(rng, 500, stay)
    values[200:280] = 1
    run = longest_run(values, sticky(rng, 5_000, stay))
    assert run.start <= 200
    assert run.length >= 80
    assert run.p < 1e-3


def test_a_reference_of_few_long_runs_expects_them() -> None:
    """Every value comes ten times: a run of ten is no news."""
    reference = np.repeat(np.arange(1_000), 10)
    assert longest_run(np.repeat(np.arange(50), 10), reference).p == 1.0
    assert longest_run([7] * 10, reference).start == 0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(BadInput, match="values must be one or more, got 0"):
        longest_run([], [1, 2] * 50)
    with pytest.raises(BadInput, match="runs of equal values in the reference must be 20 or more, got 1"):
        longest_run([1], [1] * 50)
    with pytest.raises(BadInput, match=r"values must be of shape \(n,\)"):
        run_lengths([[1]])


def test_a_model_that_answers_nan_is_stuck() -> None:
    rng = np.random.default_rng(3)
    reference = sticky(rng, 5_000, 0.0).astype(float)
    stuck = longest_run([math.nan] * 30, reference)
    assert (stuck.start, stuck.length) == (0, 30)
    assert stuck.p < 1e-6
    assert run_lengths([1.0, math.nan, math.nan, 2.0, math.nan]).tolist() == [1, 2, 1, 1]
    assert run_lengths(np.array([math.nan, math.nan, "a", None, None], dtype=object)).tolist() == [2, 1, 2]
    assert run_lengths(np.array(["NaT", "NaT", "2026-01-01"], dtype="datetime64[D]")).tolist() == [2, 1]
