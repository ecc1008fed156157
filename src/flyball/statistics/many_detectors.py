"""Detects changes in many sequences at once, with a stated time between any two false alarms.

Each look at a sequence gives an e-value: a number whose expectation is at most 1 where nothing changed. The wealth of a
sequence is that of bets on all possible starts of a change: (1 + wealth) times the e-value of the look (the e-detector
of Shiryaev and Roberts type; Shin, Ramdas and Rinaldo, arXiv 2203.03532). Over K sequences, alarms are the k largest
wealths where the smallest of them is at least K times the run length, divided by k (the step of e-BH; Wang and Ramdas,
arXiv 2009.02824). Then the mean of all wealths is at least the run length. That mean is an e-detector itself, so the
expected number of looks until the first false alarm of any sequence is at least the run length, however the sequences
depend on each other.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import Doubles
from flyball.statistics.checks import check_positive, doubles


def e_of_p(p_values: ArrayLike) -> Doubles:
    """The e-values of p-values, of the same shape: (1 - p + p log p) / (p log(p)^2); infinite for 0.

    It is the mean of k p^(k-1) over all k from 0 to 1 (Vovk and Wang, "E-values: calibration, combination and
    applications", Annals of Statistics 2021). Raises `BadInput` for a p-value outside [0, 1].

    >>> e_of_p([1.0, 0.05, 1e-6]).round(2).tolist()
    [0.5, 1.78, 5239.14]
    """
    p = doubles("p-values", p_values, 0.0, 1.0)
    e = np.full_like(p, np.inf)
    near = p > 0.999  # the formula is 0 / 0 at 1; its series there is 1/2 + (1 - p) / 6
    e[near] = 0.5 + (1 - p[near]) / 6
    middle = (p > 0) & ~near
    inner = p[middle]
    logs = np.log(inner)
    with np.errstate(over="ignore"):
        e[middle] = (1 - inner + inner * logs) / inner / logs**2
    return e


def next_log_wealth(log_wealth: float, e_value: float) -> float:
    """The log of the wealth after a look, from that before it; -inf is the start. Raises `BadInput` for e below 0."""
    e = float(doubles("e-value", [e_value], 0.0)[0]) if np.isfinite(e_value) else e_value
    if e == 0:
        return -np.inf
    return float(np.logaddexp(0.0, log_wealth) + np.log(e))


def alarms_among(log_wealth: Mapping[str, float], run_length: float) -> list[str]:
    """The names of the sequences that alarm, those of the largest wealth first.

    `run_length`: the expected number of looks until a false alarm of any of them, at least. `log_wealth`: of all
    sequences looked at, by name. After its alarm the wealth of a sequence starts again, at -inf.

    >>> alarms_among({"a": 9.0, "b": 2.0, "c": 8.3}, run_length=1_000)
    ['a', 'c']
    """
    check_positive(run_length=run_length)
    names = sorted(log_wealth, key=lambda name: (-log_wealth[name], name))
    if not names:
        return []
    wealth = np.array([log_wealth[name] for name in names])
    enough = np.flatnonzero(wealth >= np.log(len(names) * run_length / np.arange(1, len(names) + 1)))
    return names[: int(enough[-1]) + 1] if len(enough) else []
