"""Evaluates a traced expression over the columns of a frame, with the same results as over single events.

Comparisons of fields with constants, and &, | and ~ of these, are evaluated by columns; arithmetic whose columnar
result could differ from Python's in a bit (division, overflow, mixed types) is evaluated row by row.
"""

from types import SimpleNamespace
from typing import Any

import polars as pl

from flyball.features.declaration.values import number_of
from flyball.policy import Expression, compile_python

_COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_EXACT_BELOW = 1 << 53


def holds_column(expression: Expression | None, frame: pl.DataFrame) -> pl.Series:
    """Whether the filter holds, for each row: booleans without nulls."""
    if expression is None:
        return pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True)
    column = boolean_column(expression, frame.schema)
    if column is not None:
        return frame.select(test=column)["test"]
    return pl.Series("test", [bool(value) for value in _by_row(expression, frame)], dtype=pl.Boolean)


def number_column(expression: Expression, frame: pl.DataFrame) -> pl.Series:
    """The expression as float64, null where it is missing or not a number."""
    if expression.op == "field" and frame.schema[expression.args[0]].is_numeric():
        column = frame[expression.args[0]].cast(pl.Float64)
    else:
        values = [number_of(value) for value in _by_row(expression, frame)]
        column = pl.Series("number", values, dtype=pl.Float64)
    numbers: pl.Series = column.fill_nan(None)
    return numbers


def _by_row(expression: Expression, frame: pl.DataFrame) -> list[Any]:
    function = compile_python(expression)
    needed = frame.select(sorted(expression.fields())) if expression.fields() else frame
    return [function(SimpleNamespace(**row)) for row in needed.iter_rows(named=True)]


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
