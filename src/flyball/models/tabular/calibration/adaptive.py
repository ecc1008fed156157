"""Adaptive conformal inference: an interval that misses too often grows, one that never misses shrinks, online.

Source: Gibbs and Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021. Whatever the world
does, the share of misses over T outcomes differs from the declared one by (max(alpha, 1 - alpha) + gamma) / (gamma T)
at most.
"""

from math import ceil
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput
from flyball.models.tabular.calibration.conformal import conformal_margin


class AdaptiveLevel(msgspec.Struct, frozen=True):
    """`target`: the share of misses that is declared; `alpha`: the one the next interval is made for, now below 0
    (everything is covered), now above 1 (nothing is). `gamma`: how fast it moves."""

    target: float
    alpha: float
    gamma: float = 0.005

    def after(self, covered: bool) -> "AdaptiveLevel":
        """The state after an outcome; outcomes may come late, and in any order."""
        missed = 0.0 if covered else 1.0
        return msgspec.structs.replace(self, alpha=self.alpha + self.gamma * (self.target - missed))

    def margin(self, scores: NDArray[Any]) -> float:
        """The margin of the next interval from the conformity scores (n,) of past examples: inf covers everything,
        -inf nothing."""
        level = 1 - self.alpha  # 1, too, where alpha is above 0 but lost in rounding
        if level >= 1:
            return float("inf")
        if level <= 0:
            return float("-inf")
        return conformal_margin(np.asarray(scores, np.float64), level)


def adapted_margin(scores: NDArray[Any], level: float, gamma: float) -> float:
    """The margin after going through `scores` (n,) in order of time, each interval made from those before it.

    The first half only fills the past. Where everything or nothing should be covered, it is the largest or the smallest
    score. Raises `BadInput`.
    """
    state, past = adaptive_level(level, gamma), np.sort(np.asarray(scores, np.float64)[: len(scores) // 2])
    for score in np.asarray(scores, np.float64)[len(scores) // 2 :]:
        if len(past):
            state = state.after(bool(score <= _from_sorted(past, state.alpha)))
        past = np.insert(past, np.searchsorted(past, score), score)
    return _from_sorted(past, state.alpha, finite=True)


def _from_sorted(past: NDArray[np.float64], alpha: float, finite: bool = False) -> float:
    """`AdaptiveLevel.margin` of scores that ascend."""
    rank = ceil((len(past) + 1) * (1 - alpha) - 1e-9)
    if not finite and (alpha <= 0 or rank > len(past)):
        return float("inf")
    if not finite and (alpha >= 1 or rank < 1):
        return float("-inf")
    return float(past[min(max(rank, 1), len(past)) - 1])


def adaptive_level(level: float, gamma: float = 0.005) -> AdaptiveLevel:
    """The state at the beginning, for intervals that cover `level`. Raises `BadInput`.

    >>> round(adaptive_level(0.8, gamma=0.1).after(covered=False).alpha, 6)
    0.12
    """
    if not 0 < level < 1:
        raise BadInput("level of an interval", "between 0 and 1", level)
    if not gamma > 0:
        raise BadInput("gamma of an adaptive interval", "above 0", gamma)
    target = 1 - level
    return AdaptiveLevel(target, target, gamma)
