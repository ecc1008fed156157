"""Expressions over columns equal the same expressions over each row, to the bit."""

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.features import holds_column, number_column
from flyball.features.declaration import columns
from flyball.features.declaration.values import number_of
from flyball.policy import Expression, compile_python, trace

SCHEMA = {"real": pl.Float64, "small": pl.Float32, "whole": pl.Int64, "text": pl.String, "flag": pl.Boolean}
REALS = st.floats(allow_subnormal=True) | st.sampled_from([0.0, -0.0, 1.5, 1e308, -1e-308])
WHOLES = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-5, 5) | st.sampled_from([1 << 53, -(1 << 53) - 1])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "real": REALS,
    "small": st.floats(width=32),
    "whole": WHOLES,
    "text": st.sampled_from(["up", "down", ""]),
    "flag": st.booleans(),
}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | value for name, value in VALUES.items()}), max_size=12)
LEAVES = st.sampled_from([Expression("field", (name,)) for name in SCHEMA]) | (
    REALS.filter(lambda value: value == value) | st.integers(-9, 9) | st.sampled_from([1 << 60, True, "up", None])
).map(lambda value: Expression("constant", (value,)))
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(["+", "-", "*", "/", "//", "%", "==", "<", ">=", "&"]), inner, inner).map(
        lambda parts: Expression(parts[0], parts[1:])
    ),
    max_leaves=6,
)


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def by_row(expression: Expression, frame: pl.DataFrame) -> list[Any]:
    """The naive oracle."""
    function = compile_python(expression)
    return [function(SimpleNamespace(**row)) for row in frame.iter_rows(named=True)]


def bits(value: float | None) -> bytes | None:
    return None if value is None else struct.pack("<d", value)


def fails(call: Callable[[], Any]) -> bool:
    """Texts and numbers do not add up: in that case both ways must fail alike."""
    try:
        call()
    except TypeError:
        return True
    return False


@given(rows=ROWS, expression=EXPRESSIONS, copies=st.sampled_from([1, 9]))
def test_columns_equal_rows_to_the_bit(rows: list[dict[str, Any]], expression: Expression, copies: int) -> None:
    frame = frame_of(rows * copies)
    if fails(lambda: by_row(expression, frame)):
        assert fails(lambda: number_column(expression, frame))
        return
    expected = by_row(expression, frame)
    assert [bits(value) for value in number_column(expression, frame)] == [bits(number_of(value)) for value in expected]
    assert holds_column(expression, frame).to_list() == [bool(value) for value in expected]


@pytest.mark.parametrize(
    ("expression", "evaluations"),
    [
        (trace(lambda e: (e.text == "up") * 1 + (e.text == "down") * 2), 3),
        (trace(lambda e: e.real / 60 - e.whole), 0),
        (trace(lambda e: e.real % 7), 1_200),
    ],
)
def test_what_repeats_is_evaluated_once_and_plain_arithmetic_not_at_all(
    expression: Expression, evaluations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = frame_of(
        [
            {"real": float(row), "whole": row, "text": ("up", "down", None)[row % 3], "flag": None}
            for row in range(1_200)
        ]
    )
    evaluated, evaluate = [0], columns.compile_python

    def counting(traced: Expression) -> Callable[[Any], Any]:
        function = evaluate(traced)

        def call(row: Any) -> Any:
            evaluated[0] += 1
            return function(row)

        return call

    monkeypatch.setattr(columns, "compile_python", counting)
    number_column(expression, frame)
    assert evaluated == [evaluations]
