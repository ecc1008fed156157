"""Evaluates a traced expression over the columns of a frame, with the same results as over single events.

Comparisons of fields with constants, and &, | and ~ of these, are evaluated by columns, and so is arithmetic (+ - * /)
where every operand is a real number or an integer that a double holds exactly. What is left, such as large integers and
texts, is evaluated row by row: once for each combination of values where these are few.
"""

import operator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flyball.core import Doubles
from flyball.features.declaration.values import number_of
from flyball.policy import Expression, compile_python

_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_EXACT_BELOW = 1 << 53
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_FEW = 0.25
"""Combinations of values, as a share of the rows, that are looked up instead of evaluated again."""


class _Numbers(NamedTuple):
    """Of each row the number, and whether it is missing. `integers`: that is what they are in Python."""

    values: Doubles
    missing: NDArray[np.bool_]
    integers: bool


def holds_column(expression: Expression | None, frame: pl.DataFrame) -> pl.Series:
    """Whether the filter holds, for each row: booleans without nulls."""
    if expression is None:
        return pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True)
    column = boolean_column(expression, frame.schema)
    if column is not None:
        return frame.select(test=column)["test"]
    return pl.Series("test", [bool(value) for value in _by_row(expression, frame)], dtype=pl.Boolean)


def number_column(expression: Expression, frame: pl.DataFrame) -> pl.Series:
    """The expression as float64, null where it is missing, infinite or not a number."""
    if expression.op == "field" and frame.schema[expression.args[0]].is_numeric():
        column: pl.Series = frame[expression.args[0]].cast(pl.Float64)
        return column.set(~column.is_finite(), None)
    numbers = _numbers(expression, frame)
    if numbers is None:
        return pl.Series("number", [number_of(value) for value in _by_row(expression, frame)], dtype=pl.Float64)
    known = ~numbers.missing & np.isfinite(numbers.values)
    return pl.Series("number", np.where(known, numbers.values, np.nan), dtype=pl.Float64).fill_nan(None)


def _numbers(expression: Expression, frame: pl.DataFrame) -> _Numbers | None:
    """The expression of each row by columns; None where its result could differ from Python's in a bit."""
    if expression.op == "constant":
        value = expression.args[0]
        if type(value) not in (int, float) or not abs(value) < _EXACT_BELOW:
            return None
        return _Numbers(np.full(frame.height, float(value)), np.zeros(frame.height, bool), type(value) is int)
    if expression.op == "field":
        return _numbers_in(frame[expression.args[0]])
    if expression.op not in _ARITHMETIC:
        return None
    left, right = (_numbers(arg, frame) for arg in expression.args)
    if left is None or right is None:
        return None
    with np.errstate(all="ignore"):
        values = _ARITHMETIC[expression.op](left.values, right.values)
    missing = left.missing | right.missing
    if expression.op == "/":
        return _Numbers(values, missing | (right.values == 0), integers=False)
    if not (left.integers and right.integers):
        return _Numbers(values, missing, integers=False)
    return _Numbers(values + 0.0, missing, integers=True) if _are_exact(values) else None  # integers have no -0


def _numbers_in(column: pl.Series) -> _Numbers | None:
    if not (column.dtype.is_integer() or column.dtype.is_float()):
        return None
    values: Doubles = column.fill_null(0).cast(pl.Float64).to_numpy()
    if column.dtype.is_integer() and not _are_exact(values):
        return None
    return _Numbers(values, column.is_null().to_numpy(), column.dtype.is_integer())


def _are_exact(values: Doubles) -> bool:
    """Whether integers that were computed as doubles are these integers."""
    return not len(values) or float(np.abs(values).max()) < _EXACT_BELOW


def _by_row(expression: Expression, frame: pl.DataFrame) -> list[Any]:
    names = sorted(expression.fields())
    needed = frame.select(names) if names else frame
    exact = all(kind.is_integer() or kind in (pl.String, pl.Boolean) for kind in needed.dtypes)  # 0.0 equals -0.0
    if names and exact:
        few = needed.unique()
        if few.height <= _FEW * needed.height:
            values = pl.Series("_value", range(few.height), dtype=pl.Int64)
            rows = needed.join(few.with_columns(values), on=names, how="left", nulls_equal=True, maintain_order="left")
            evaluated = _evaluated(expression, few)
            return [evaluated[row] for row in rows["_value"].to_list()]
    return _evaluated(expression, needed)


def _evaluated(expression: Expression, frame: pl.DataFrame) -> list[Any]:
    function = compile_python(expression)
    return [function(SimpleNamespace(**row)) for row in frame.iter_rows(named=True)]


def boolean_column(expression: Expression, schema: pl.Schema) -> pl.Expr | None:
    """A filter as a polars expression without nulls; None where its result could differ from Python's."""
    if expression.op == "~":
        inner = boolean_column(expression.args[0], schema)
        return None if inner is None else ~inner
    if expression.op in ("&", "|"):
        left, right = (boolean_column(arg, schema) for arg in expression.args)
        if left is None or right is None:
            return None
        return left & right if expression.op == "&" else left | right
    if expression.op in _COMPARISONS:
        left, right = expression.args
        if left.op == "field" and right.op == "constant":
            return _compare(expression.op, left.args[0], right.args[0], schema)
        if left.op == "constant" and right.op == "field":
            return _compare(_SWAPPED[expression.op], right.args[0], left.args[0], schema)
    return None


def _compare(op: str, field: str, constant: Any, schema: pl.Schema) -> pl.Expr | None:
    kind, column = schema[field], pl.col(field)
    fits = (
        (kind.is_integer() and type(constant) is int and abs(constant) < _EXACT_BELOW)
        or (kind.is_float() and type(constant) in (int, float) and abs(constant) < _EXACT_BELOW)
        or (kind == pl.String and type(constant) is str)
        or (kind == pl.Boolean and type(constant) is bool and op in ("==", "!="))
    )
    if not fits:
        return None
    if kind.is_float():
        constant = float(constant)
    if op == "==":
        return column.eq_missing(pl.lit(constant))
    if op == "!=":
        return column.ne_missing(pl.lit(constant))
    compared = {"<": column.lt, "<=": column.le, ">": column.gt, ">=": column.ge}[op](pl.lit(constant))
    if kind.is_float():  # NaN sorts above all in polars and compares False in Python
        compared = compared & column.is_not_nan()
    return compared.fill_null(False)
