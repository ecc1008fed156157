"""Tests for one look, at a number of units fixed before the start: Welch's t and two proportions.

With repeated looks their error rate is far above alpha: `benchmarks/experiments.py` prints it.
Sources: Welch, "The generalization of 'Student's' problem", Biometrika 1947; Newcombe, Statistics in Medicine 1998.
"""

import numpy as np
from scipy import stats

from flyball.core import BadInput
from flyball.statistics.checks import check_alpha, check_counts, check_side, finite
from flyball.statistics.contrasts import Contrast, standardized
from flyball.statistics.inference import Inference


@finite("margin")
def welch(
    contrast: Contrast,
    alpha: float = 0.05,
    side: str = "two",
    margin: float = 0.0,
    higher_is_better: bool = True,
) -> Inference:
    """Welch's t test of a contrast, valid for one look.

    `side`: `two`, or `greater` or `less` for one-sided intervals. `margin`: the acceptable loss, in the units of the
    effect; above 0 the test is one of non-inferiority, and p is the p-value of a loss of the margin or more. With a
    standard error of 0 the result is the limit of smaller and smaller ones: the interval is the effect itself, and p is
    0 or 1, or of an effect that is exactly the tested one 1, of one side 0.5. Raises `BadInput` for a negative margin,
    an unknown side, an alpha outside (0, 1), or a standard error that is below 0 or not finite.

    >>> welch(Contrast(1.0, 0.5, 1e9, 100, 100, 2.0)).p < 0.05
    True
    """
    check_alpha(alpha)
    check_side(side)
    null = _null(margin, higher_is_better)
    if margin > 0:
        side = "greater" if higher_is_better else "less"
    t = float(standardized(contrast.effect - null, contrast.se))
    level = 1 - alpha / (2 if side == "two" else 1)
    reach = float(stats.t.ppf(level, contrast.dof)) * contrast.se if contrast.se > 0 else 0.0
    p = {
        "two": 2 * float(stats.t.sf(abs(t), contrast.dof)),
        "greater": float(stats.t.sf(t, contrast.dof)),
        "less": float(stats.t.cdf(t, contrast.dof)),
    }[side]
    return Inference(
        "Welch's t",
        "one look",
        contrast.effect,
        -np.inf if side == "less" else contrast.effect - reach,
        np.inf if side == "greater" else contrast.effect + reach,
        p,
        alpha,
        contrast.count_a,
        contrast.count_b,
        side,
        contrast.relative,
        margin,
        higher_is_better,
        constants={"alpha": alpha, "margin": margin},
    )


def _null(margin: float, higher_is_better: bool) -> float:
    if margin < 0:
        raise BadInput("margin", "0 or above: the size of the acceptable loss", margin)
    return -margin if higher_is_better else margin


@finite("successes_a", "trials_a", "successes_b", "trials_b")
def two_proportions(
    successes_a: int, trials_a: int, successes_b: int, trials_b: int, alpha: float = 0.05, relative: bool = False
) -> Inference:
    """The difference of two rates, valid for one look.

    The p-value is that of the chi-square test (pooled variance); the interval uses the variance of each arm. With
    `relative`, the effect and its interval are divided by the rate of a, which is treated as known. Raises `BadInput`
    for an arm without units, successes beyond the trials, or a relative effect with a rate of 0 in a.
    """
    check_alpha(alpha)
    check_counts({"a": (successes_a, trials_a), "b": (successes_b, trials_b)})
    if min(trials_a, trials_b) < 1:
        raise BadInput("units", "one or more in each arm", (trials_a, trials_b))
    rate_a, rate_b = successes_a / trials_a, successes_b / trials_b
    pooled = (successes_a + successes_b) / (trials_a + trials_b)
    se_null = np.sqrt(pooled * (1 - pooled) * (1 / trials_a + 1 / trials_b))
    effect = rate_b - rate_a
    p = 1.0 if se_null == 0 else float(2 * stats.norm.sf(abs(effect) / se_null))
    se = np.sqrt(rate_a * (1 - rate_a) / trials_a + rate_b * (1 - rate_b) / trials_b)
    reach = float(stats.norm.isf(alpha / 2) * se)
    if relative and rate_a == 0:
        raise BadInput("rate of arm a", "above 0 for a relative effect", rate_a)
    unit = rate_a if relative else 1.0
    return Inference(
        "two proportions",
        "one look",
        effect / unit,
        (effect - reach) / unit,
        (effect + reach) / unit,
        p,
        alpha,
        trials_a,
        trials_b,
        relative=relative,
        constants={"alpha": alpha},
    )
