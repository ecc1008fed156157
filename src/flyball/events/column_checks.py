"""Checks columns of values against the types of their fields at once; a doubtful one is left to `Check.check`."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.events.declared import Field
from flyball.events.rejection import Rejected

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
_KEPT_TEXTS = 200_000


class ColumnCheck:
    """Checks a column of values against the type of its field."""

    def __init__(self, field: Field) -> None:
        self._type = list[field.annotation]  # type: ignore[name-defined]  # a type made at run time

    def __call__(self, column: Sequence[Any], lax: bool) -> Sequence[Any]:
        values: list[Any] = msgspec.convert(column, self._type, strict=not lax)
        return values


class _IntegerColumnCheck(ColumnCheck):
    """Checks a column of whole numbers."""

    def __call__(self, column: Sequence[Any], lax: bool) -> list[Any]:
        numbers: list[Any] = msgspec.convert(column, self._type, strict=not lax)
        if min(numbers) < MIN_INTEGER or max(numbers) > MAX_INTEGER:
            raise Rejected("out_of_range", "whole numbers must fit 64 bits")
        return numbers


class _TextColumnCheck(ColumnCheck):
    """Checks a column of texts: only distinct ones that have not passed before, since keys recur."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._passed: set[str] = set()

    def __call__(self, column: Sequence[Any], lax: bool) -> Sequence[Any]:
        fresh = set(column) - self._passed
        msgspec.convert(list(fresh), self._type)
        if len(self._passed) > _KEPT_TEXTS:
            self._passed.clear()
        self._passed |= fresh
        return column


class _RealColumnCheck(ColumnCheck):
    """Checks a column of floats; whole numbers become floats."""

    def __call__(self, column: Sequence[Any], lax: bool) -> list[Any]:
        numbers: list[Any] = msgspec.convert(column, self._type, strict=not lax)
        if not all(map(math.isfinite, numbers)):
            raise Rejected("out_of_range", "numbers must be finite")
        return numbers


COLUMN_CHECKS: dict[Any, Any] = {
    int: _IntegerColumnCheck,
    str: _TextColumnCheck,
    float: _RealColumnCheck,
    bool: ColumnCheck,
}
"""{kind of a required field: the class that checks its columns}."""
