"""Checks of arguments that the methods of this room share."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles

SIDES = ("two", "greater", "less")


def check_alpha(alpha: float, what: str = "alpha") -> float:
    """The error rate `alpha`. Raises `BadInput` outside (0, 1)."""
    if not 0.0 < alpha < 1.0:
        raise BadInput(what, "between 0 and 1, such as 0.05", alpha)
    return float(alpha)


def check_side(side: str) -> str:
    """The alternative that is tested. Raises `BadInput` for other than `two`, `greater` or `less`."""
    if side not in SIDES:
        raise BadInput("side", f"one of {', '.join(SIDES)}", side)
    return side


def check_positive(**numbers: float) -> None:
    """Raise `BadInput` for a named number that is not above 0 and finite."""
    for name, number in numbers.items():
        if not 0.0 < number < np.inf:
            raise BadInput(name, "a number above 0", number)


def doubles(what: str, values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> Doubles:
    """`values` as doubles. Raises `BadInput` with the position of the first not finite or outside [low, high]."""
    array = np.asarray(values, dtype=np.float64)
    wrong = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if wrong.any():
        position = np.argwhere(wrong)[0]
        limits = "finite" if np.isinf(low) and np.isinf(high) else f"within [{low:g}, {high:g}]"
        raise BadInput(what, limits, float(array[tuple(position)]), where=f"position {', '.join(map(str, position))}")
    return array


def check_counts(counts: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
    """Raise `BadInput` for a pair (successes, trials) that is not whole numbers with 0 <= successes <= trials."""
    for name, (successes, trials) in counts.items():
        events, units = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
        if not ((events >= 0) & (events <= units) & (events == np.rint(events)) & (units == np.rint(units))).all():
            raise BadInput(f"successes of {name}", "whole numbers from 0 to the trials", (successes, trials))
