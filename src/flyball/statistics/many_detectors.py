"""Detects changes in many sequences at once, with a stated time between any two false alarms.

Each look at a sequence gives an e-value: a number whose expectation is at most 1 where nothing changed. The wealth of a
sequence is that of bets on all possible starts of a change: (1 + wealth) times the e-value of the look (the e-detector
of Shiryaev and Roberts type; Shin, Ramdas and Rinaldo, arXiv 2203.03532). Over K sequences, alarms are the k largest
wealths where the smallest of them is at least K times the run length, divided by k (the step of e-BH; Wang and Ramdas,
arXiv 2009.02824). Then the mean of all wealths is at least the run length. That mean is an e-detector itself, so the
expected number of looks until the first false alarm of any sequence is at least the run length, however the sequences
depend on each other. Where sequences have shares of the budget, each wealth counts K times its share (weighted e-BH):
the weighted mean is an e-detector, too.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_positive, doubles, number

_RISES = np.array([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.5])
"""Deviations that the calibrator bets on, each with the same stake; 0 keeps a stake for the next look."""
_SMALLEST = 1e-300
_ROUNDING = 1e-9


def e_of_p(p_values: ArrayLike) -> Doubles:
    """The e-values of p-values, of the same shape; infinite for 0.

    The normal deviation z that p stands for is held against larger ones: the mean of exp(d z - d^2 / 2) over deviations
    d of 0, 1, 1.5, 2, 2.5, 3, 4 and 5.5, the likelihood ratio of an equal mix of them. Its integral over p is 1, so it
    is a calibrator (Vovk and Wang, "E-values: calibration, combination and applications", Annals of Statistics 2021).
    It is made for looks that go on: a change of one to three deviations a look is what takes more than one. Raises
    `BadInput` for a p-value outside [0, 1].

    >>> e_of_p([1.0, 0.05, 1e-6]).round(2).tolist()
    [0.12, 2.01, 18463.25]
    """
    p = doubles("p-values", p_values, 0.0, 1.0)
    e = np.full_like(p, np.inf)
    some = p > 0
    deviation = -special.ndtri(np.maximum(p[some], _SMALLEST))
    with np.errstate(invalid="ignore"):
        logs = _RISES * deviation[..., None] - _RISES**2 / 2
    logs[..., 0] = 0.0  # where p is 1 the deviation is infinite
    e[some] = np.exp(logs).mean(axis=-1)
    return e


def next_log_wealth(log_wealth: float, e_value: float, weight: float = 1.0) -> float:
    """The log of the wealth after a look, from that before it; -inf is the start.

    `weight`: of a change that starts at this look. While nothing changed the expectation of the wealth is at most the
    sum of the weights, so the run length of alarms counts these. An infinite e-value gives an infinite wealth. Raises
    `BadInput` for nan, an e-value below 0 or a weight that is not positive.
    """
    check_positive(weight=weight)
    before, e = number("log_wealth", log_wealth), number("e-value", e_value)
    if e < 0:
        raise BadInput("e-value", "0 or above", e)
    if e == 0:
        return -np.inf
    return float(np.logaddexp(np.log(weight), before) + np.log(e))


def alarms_among(
    log_wealth: Mapping[str, float], run_length: float, shares: Mapping[str, float] | None = None
) -> list[str]:
    """The names of the sequences that alarm, those of the largest wealth first.

    `run_length`: the expected number of looks until a false alarm of any of them, at least. `log_wealth`: of all
    sequences looked at, by name. After its alarm the wealth of a sequence starts again, at -inf. `shares`: of the
    budget, by name, which sum to 1; by default all are equal. A sequence with a share of s needs the evidence that it
    would need among 1 / s sequences. Raises `BadInput` for other shares, and for a wealth that is nan.

    >>> alarms_among({"a": 9.0, "b": 2.0, "c": 8.3}, run_length=1_000)
    ['a', 'c']
    >>> alarms_among({"a": 7.7, "b": 2.0, "c": 7.5}, run_length=1_000, shares={"a": 0.5, "b": 0.25, "c": 0.25})
    ['a']
    """
    check_positive(run_length=run_length)
    if not log_wealth:
        return []
    names = list(log_wealth)
    parts = (
        np.full(len(names), 1 / len(names))
        if shares is None
        else np.array([number(f"share of {name}", shares.get(name, 0)) for name in names])
    )
    if not (parts > 0).all() or abs(parts.sum() - 1) > _ROUNDING:
        raise BadInput("shares of the budget", "above 0 for each sequence, with a sum of 1", parts.sum())
    wealth = [number(f"log_wealth of {name}", value) for name, value in log_wealth.items()]
    weighted = np.array(wealth) + np.log(parts)
    order = sorted(range(len(names)), key=lambda number: (-weighted[number], names[number]))
    enough = np.flatnonzero(weighted[order] >= np.log(run_length / np.arange(1, len(names) + 1)))
    return [names[number] for number in order[: int(enough[-1]) + 1]] if len(enough) else []
