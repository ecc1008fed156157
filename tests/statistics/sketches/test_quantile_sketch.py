"""Quantile sketches against sorted arrays: exact while small, within the stated error of rank when large or merged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics.sketches import QuantileSketch

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARES = np.linspace(0.01, 0.99, 99)


def rank_error(sketch: QuantileSketch, values: np.ndarray) -> float:
    """The greatest distance between the sketch's shares and the true ones, at the values that it keeps."""
    ordered, points = np.sort(values), sketch.weighted()[0]
    truth = np.searchsorted(ordered, points, side="right") / len(ordered)
    return float(np.abs(sketch.cdf(points) - truth).max())


@given(st.lists(FINITE, min_size=1, max_size=300))
def test_few_values_are_kept_exactly(values: list[float]) -> None:
    sketch = QuantileSketch().add(values)
    ordered = np.sort(values)
    assert rank_error(sketch, ordered) == 0
    expected = np.quantile(ordered, SHARES, method="inverted_cdf")
    assert sketch.quantiles(SHARES).tolist() == expected.tolist()
    assert (sketch.low, sketch.high, sketch.count) == (min(values), max(values), len(values))


@pytest.mark.parametrize("order", ["random", "ascending", "descending", "few different"])
def test_the_error_of_rank_is_within_what_is_stated(order: str) -> None:
    rng, errors = np.random.default_rng(1), []
    for _ in range(40):
        values = rng.integers(0, 30, 30_000).astype(float) if order == "few different" else rng.lognormal(0, 2, 30_000)
        values = {"ascending": np.sort, "descending": lambda v: np.sort(v)[::-1]}.get(order, lambda v: v)(values)
        errors.append(rank_error(QuantileSketch().add(values), values))
    assert max(errors) <= 0.0165


def test_merged_sketches_stay_within_the_same_error_and_size() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.normal(hour % 24, 3, rng.integers(1, 2_000)) for hour in range(300)]
    merged = QuantileSketch()
    for part in parts:
        merged = merged.merge(QuantileSketch().add(part))
    values = np.concatenate(parts)
    assert merged.count == len(values) == merged.weighted()[1].sum()
    assert rank_error(merged, values) <= 0.0165
    assert sum(map(len, merged.levels)) < 10_000


@given(st.integers(0, 6_000), st.lists(st.integers(0, 6_000), max_size=8), st.integers(0, 99))
def test_how_a_stream_is_divided_does_not_matter(count: int, cuts: list[int], seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=count)
    parted = QuantileSketch()
    for part in np.split(values, sorted(min(cut, count) for cut in cuts)):
        parted = parted.add(part)
    assert parted == QuantileSketch().add(values)


def test_weights_add_up_and_shares_reach_from_0_to_1() -> None:
    values = np.random.default_rng(3).normal(size=12_345)
    sketch = QuantileSketch().add(values)
    assert sketch.weighted()[1].sum() == 12_345
    assert sketch.cdf([values.min() - 1, values.max()]).tolist() == [0.0, 1.0]
    assert sketch.quantiles([0, 1]).tolist() == [values.min(), values.max()]


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(BadInput, match="must be finite, got nan"):
        QuantileSketch().add([1.0, np.nan])
    with pytest.raises(BadInput, match="one or more"):
        QuantileSketch().quantiles([0.5])
    with pytest.raises(BadInput, match="from 0 to 1"):
        QuantileSketch().add([1.0]).quantiles([1.5])
    with pytest.raises(BadInput, match="k of a quantile sketch"):
        QuantileSketch().merge(QuantileSketch(k=100))
