"""Adaptive conformal inference: online, an interval that misses too often grows, and one that rarely misses shrinks.

Source: Gibbs and Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021. For any sequence of T
outcomes, the share of misses differs from the target alpha by at most (max(alpha, 1 - alpha) + gamma) / (gamma T).
"""

from math import ceil
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput
from flyball.models.tabular.calibration.conformal import conformal_margin


class AdaptiveLevel(msgspec.Struct, frozen=True):
    """The state of adaptive conformal inference.

    `target`: the declared share of misses. `alpha`: the share of misses of the next interval; if it is 0 or less, the
    interval covers everything, and if it is 1 or more, nothing. `gamma`: the step of `alpha` after an outcome.
    """

    target: float
    alpha: float
    gamma: float = 0.005

    def after(self, covered: bool) -> "AdaptiveLevel":
        """The state after an outcome; outcomes may be late and in any order."""
        missed = 0.0 if covered else 1.0
        return msgspec.structs.replace(self, alpha=self.alpha + self.gamma * (self.target - missed))

    def margin(self, scores: NDArray[Any]) -> float:
        """The margin of the next interval from the conformity scores of past examples, shape (n,).

        inf covers everything, -inf nothing.
        """
        level = 1 - self.alpha  # rounding also gives 1 for a tiny alpha above 0
        if level >= 1:
            return float("inf")
        if level <= 0:
            return float("-inf")
        return conformal_margin(np.asarray(scores, np.float64), level)


def adapted_margin(scores: NDArray[Any], level: float, gamma: float) -> float:
    """The margin after processing `scores`, shape (n,), in order of time; each interval uses the scores before it.

    The first half of the scores is used as past scores only. If everything or nothing should be covered, the margin is
    the largest or the smallest score. Raises `BadInput` for a level outside (0, 1) or a gamma that is not positive.
    """
    state, past = adaptive_level(level, gamma), np.sort(np.asarray(scores, np.float64)[: len(scores) // 2])
    for score in np.asarray(scores, np.float64)[len(scores) // 2 :]:
        if len(past):
            state = state.after(bool(score <= _from_sorted(past, state.alpha)))
        past = np.insert(past, np.searchsorted(past, score), score)
    return _from_sorted(past, state.alpha, finite=True)


def _from_sorted(past: NDArray[np.float64], alpha: float, finite: bool = False) -> float:
    """`AdaptiveLevel.margin` for ascending scores."""
    rank = ceil((len(past) + 1) * (1 - alpha) - 1e-9)
    if not finite and (alpha <= 0 or rank > len(past)):
        return float("inf")
    if not finite and (alpha >= 1 or rank < 1):
        return float("-inf")
    return float(past[min(max(rank, 1), len(past)) - 1])


def adaptive_level(level: float, gamma: float = 0.005) -> AdaptiveLevel:
    """The initial state, for intervals that cover `level`. Raises `BadInput` for a level or gamma out of range.

    >>> round(adaptive_level(0.8, gamma=0.1).after(covered=False).alpha, 6)
    0.12
    """
    if not 0 < level < 1:
        raise BadInput("level of an interval", "between 0 and 1", level)
    if not gamma > 0:
        raise BadInput("gamma of an adaptive interval", "above 0", gamma)
    target = 1 - level
    return AdaptiveLevel(target, target, gamma)
