"""The profile of a column: what it says is true of the values, and parts say the same as the whole."""

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.monitoring import ColumnProfile

NUMBERS = st.lists(st.none() | st.floats(width=32) | st.sampled_from([0.0, 1.0]), max_size=60)
TEXTS = st.lists(st.none() | st.sampled_from(["", "a", "é", "日本", "a b"]), max_size=60)


@given(NUMBERS)
def test_numbers_are_counted_by_what_they_are(values: list[float | None]) -> None:
    column = ColumnProfile.of(pl.Series(values, dtype=pl.Float64))
    present = [value for value in values if value is not None and not math.isnan(value)]
    finite = [value for value in present if math.isfinite(value)]
    assert (column.rows, column.missing) == (len(values), len(values) - len(present))
    assert column.infinite == len(present) - len(finite)
    assert column.numbers.count == column.quantiles.count == len(finite)
    assert column.distinct.estimate() == len(set(present))
    assert column.frequent.counts == Counter(present)
    if finite:
        assert column.numbers.mean == pytest.approx(np.mean(finite), rel=1e-9, abs=1e-9)
        assert (column.quantiles.low, column.quantiles.high) == (min(finite), max(finite))
    if len(finite) > 1:
        assert column.numbers.variance == pytest.approx(np.var(finite, ddof=1), rel=1e-9)


@given(TEXTS)
def test_texts_are_counted_and_their_lengths_measured(values: list[str | None]) -> None:
    column = ColumnProfile.of(pl.Series(values, dtype=pl.String))
    present = [value for value in values if value is not None]
    assert column.frequent.counts == Counter(present)
    assert column.distinct.estimate() == len(set(present))
    assert sum(column.buckets) == len(present)
    assert column.numbers.mean * column.numbers.count == pytest.approx(sum(map(len, present)))


@given(st.lists(NUMBERS, max_size=5) | st.lists(TEXTS, max_size=5))
def test_parts_say_what_the_whole_says(parts: list[list]) -> None:
    dtype = pl.String if any(isinstance(value, str) for part in parts for value in part) else pl.Float64
    series = [pl.Series(part, dtype=dtype) for part in parts]
    merged = ColumnProfile()
    for part in series:
        merged = merged.merge(ColumnProfile.of(part))
    whole = ColumnProfile.of(pl.concat([pl.Series([], dtype=dtype), *series]))
    assert (merged.rows, merged.missing, merged.infinite) == (whole.rows, whole.missing, whole.infinite)
    assert (merged.kinds, merged.frequent, merged.distinct) == (whole.kinds, whole.frequent, whole.distinct)
    assert (merged.quantiles, merged.buckets) == (whole.quantiles, whole.buckets)
    assert merged.numbers.mean == pytest.approx(whole.numbers.mean, rel=1e-9, abs=1e-9)
    assert merged.numbers.squares == pytest.approx(whole.numbers.squares, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "kind", "least"),
    [
        (pl.Series([3, 1, 2]), "number", 1.0),
        (pl.Series([True, False, True]), "boolean", 0.0),
        (pl.Series(["bb", "a", "ccc"]), "text", 1.0),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "text", 1.0),
        (pl.Series([[1, 2], [3], []]), "list", 0.0),
        (pl.Series([["a"], ["a", "b"]]), "list", 1.0),
        (pl.Series([{"x": 1}, {"x": 2}]), "text", 7.0),
        (pl.Series(["1970-01-02"]).str.to_date(), "time", 86_400e6),
        (pl.Series(["1970-01-02T00:00:01"]).str.to_datetime(time_unit="ms"), "time", 86_401e6),
        (pl.Series([2**60 + 1, 2**60]), "number", 2.0**60),
        (pl.Series([[[1], [2]], [[1]]]), "list", 1.0),
    ],
)
def test_every_type_has_a_kind_and_numbers(values: pl.Series, kind: str, least: float) -> None:
    column = ColumnProfile.of(values)
    assert column.kinds == {kind: len(values)}
    assert column.quantiles.low == least


def test_members_of_lists_are_counted() -> None:
    column = ColumnProfile.of(pl.Series([["a", "b"], ["a"], None, []]))
    assert (column.missing, column.frequent.counts) == (1, {"a": 2, "b": 1})


def test_a_column_without_values_has_no_kind() -> None:
    column = ColumnProfile.of(pl.Series([None, None], dtype=pl.Null))
    assert (column.rows, column.missing, column.kind) == (2, 2, None)


def test_a_column_takes_constant_memory() -> None:
    import msgspec

    def size(rows: int) -> int:
        texts = [f"{number:08d}" for number in range(rows)]
        return len(msgspec.msgpack.encode(ColumnProfile.of(pl.Series(texts))))

    assert size(200_000) < 16_000
