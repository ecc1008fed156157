"""Checks of arguments that the methods of this room share."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from numbers import Real
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles, SignedInts

SIDES = ("two", "greater", "less")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def number(what: str, value: object) -> float:
    """`value` as a double, which may be infinite. Raises `BadInput` for what is no single number, and for nan."""
    try:
        known = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise BadInput(what, "a number", value) from None
    if np.isnan(known) or isinstance(value, str | bytes):
        raise BadInput(what, "a number", value)
    return known


def number_array(what: str, values: object) -> Doubles:
    """`values` as doubles, which may be nan or infinite. Raises `BadInput` for text, None and rows of other lengths."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(what, "numbers", values) from None
    if values is None or isinstance(values, str | bytes):
        raise BadInput(what, "numbers", values)
    return array


def whole_number(what: str, value: object, least: int = 0) -> int:
    """`value` as an integer. Raises `BadInput` for what is no whole number, and for one below `least`."""
    known = number(what, value)
    if not np.isfinite(known) or known != int(known) or known < least:
        raise BadInput(what, f"a whole number, {least} or more", value)
    return int(known)


def whole_numbers(what: str, values: object, least: int = 0) -> SignedInts:
    """`values` as integers. Raises `BadInput` for what are no whole numbers, and for one below `least`."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        numbers = doubles(what, values)  # type: ignore[arg-type]
        if (numbers != np.rint(numbers)).any():
            raise BadInput(what, "whole numbers", float(numbers[numbers != np.rint(numbers)][0]))
        array = numbers
    if array.size and array.min() < least:
        raise BadInput(what, f"whole numbers, {least} or more", array.min().item())
    return array.astype(np.int64, copy=False)


def finite(*names: str) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
    """A function whose arguments `names`, each a number or an array of them, raise `BadInput` unless they are finite.

    One that is None by default may be None. The subject of the refusal is the name of the argument.
    """

    def checked(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
        signature = inspect.signature(function)
        positions = {name: position for position, name in enumerate(signature.parameters) if name in names}
        optional = {name for name in names if signature.parameters[name].default is None}

        @wraps(function)
        def refusing(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
            for name, position in positions.items():
                if name in named or position < len(arguments):
                    value: Any = named[name] if name in named else arguments[position]
                    if value is not None or name not in optional:
                        doubles(name, value)
            return function(*arguments, **named)

        return refusing

    return checked


def check_alpha(alpha: float, what: str = "alpha") -> float:
    """The error rate `alpha`. Raises `BadInput` outside (0, 1)."""
    if not isinstance(alpha, Real) or not 0.0 < alpha < 1.0:
        raise BadInput(what, "between 0 and 1, such as 0.05", alpha)
    return float(alpha)


def check_side(side: str) -> str:
    """The alternative that is tested. Raises `BadInput` for other than `two`, `greater` or `less`."""
    if side not in SIDES:
        raise BadInput("side", f"one of {', '.join(SIDES)}", side)
    return side


def check_positive(**numbers: float) -> None:
    """Raise `BadInput` for a named number that is not above 0 and finite."""
    for name, size in numbers.items():
        if not isinstance(size, Real) or not 0.0 < size < np.inf:
            raise BadInput(name, "a number above 0", size)


def doubles(what: str, values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> Doubles:
    """`values` as doubles. Raises `BadInput` with the position of the first not finite or outside [low, high]."""
    array = number_array(what, values)
    wrong = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if wrong.any():
        position = np.argwhere(wrong)[0]
        limits = "finite" if np.isinf(low) and np.isinf(high) else f"within [{low:g}, {high:g}]"
        where = f"position {', '.join(map(str, position))}" if array.ndim else ""
        raise BadInput(what, limits, float(array[tuple(position)]), where)
    return array


def check_vector(what: str, array: Doubles) -> Doubles:
    """`array`. Raises `BadInput` for other than one dimension: a single number, or several rows at once."""
    if array.ndim != 1:
        raise BadInput(what, "of shape (n,), one dimension", array.shape)
    return array


def class_probabilities(what: str, values: ArrayLike) -> Doubles:
    """Probabilities of two classes or more, (rows, classes). Raises `BadInput` where those of a row do not sum to 1."""
    array = doubles(what, values, 0.0, 1.0)
    if array.ndim != 2 or array.shape[1] < 2 or not len(array):
        raise BadInput(what, "of shape (rows, classes), with two classes or more, and a row or more", array.shape)
    sums = array.sum(axis=1)
    wrong = np.flatnonzero(~np.isclose(sums, 1.0, atol=1e-3))
    if len(wrong):
        raise BadInput(f"sum of a row of {what}", "1", float(sums[wrong[0]]), where=f"row {wrong[0]}")
    return array


def check_counts(counts: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
    """Raise `BadInput` for a pair (successes, trials) that is not whole numbers with 0 <= successes <= trials."""
    for name, (successes, trials) in counts.items():
        events, units = number_array(f"successes of {name}", successes), number_array(f"trials of {name}", trials)
        integral = np.isfinite(units) & (events == np.rint(events)) & (units == np.rint(units))
        if not (integral & (events >= 0) & (events <= units)).all():
            raise BadInput(f"successes of {name}", "whole numbers from 0 to the trials", (successes, trials))
