"""Runs of equal values: how likely is one as long as the longest, compared with earlier values?"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput

_FEWEST_RUNS = 20


class LongestRun(Struct, frozen=True):
    """The longest run of equal values: its first position and its length; `p`: of one as long, or longer, by chance."""

    start: int
    length: int
    p: float


def run_lengths(values: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The lengths of the runs of equal values in a row, shape (runs,); nan is equal to nan.

    >>> run_lengths(["a", "a", "b", "a"]).tolist()
    [2, 1, 1]
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise BadInput("values", "of shape (n,)", array.shape)
    if not len(array):
        return np.zeros(0, np.int64)
    missing = array != array  # nan and NaT are not equal to themselves
    changes = (array[1:] != array[:-1]) & ~(missing[1:] & missing[:-1])
    starts = np.flatnonzero(np.append(True, changes))
    return np.diff(np.append(starts, len(array))).astype(np.int64)


def longest_run(values: ArrayLike, reference: ArrayLike) -> LongestRun:
    """The longest run in `values`, shape (n,), and how likely it is if runs are as those in `reference`, shape (m,).

    A run of length k gets longer with the probability with which those of k or more did in the reference, taken from
    lengths that 20 runs or more reached, beyond those the highest; each at the upper end of its interval of 95 %. `p`
    is that of a run from a certain value on times the number of values, a bound that holds whatever runs depend on.
    Raises `BadInput` for no values, or a reference with fewer than 20 runs.

    >>> rng = np.random.default_rng(1)
    >>> before, now = rng.integers(5, size=10_000), rng.integers(5, size=1_000)
    >>> now[500:530] = 3
    >>> run = longest_run(now, before)
    >>> run.length >= 30, run.p < 1e-6
    (True, True)
    """
    lengths, known = run_lengths(values), run_lengths(reference)
    if not len(lengths):
        raise BadInput("values", "one or more", 0)
    if len(known) < _FEWEST_RUNS:
        raise BadInput("runs of equal values in the reference", f"{_FEWEST_RUNS} or more", len(known))
    longest = int(lengths.argmax())
    length = int(lengths[longest])
    reached = np.array([int((known >= size).sum()) for size in range(1, int(known.max()) + 2)])
    enough = reached[:-1] >= _FEWEST_RUNS
    continues = stats.beta.ppf(0.95, reached[1:][enough] + 1, reached[:-1][enough] - reached[1:][enough] + 1e-9)
    steps = np.concatenate([continues, np.full(max(0, length - 1 - len(continues)), continues.max())])[: length - 1]
    p = min(1.0, int(lengths.sum()) * float(np.prod(steps)))
    return LongestRun(int(lengths[:longest].sum()), length, p)
