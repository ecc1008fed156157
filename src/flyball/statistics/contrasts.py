"""Differences of two arms with their standard errors, from mergeable sums: means, rates and ratios, adjusted or not.

Sources: the delta method for ratios, Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics", KDD 2018;
the adjustment by covariates measured before the start (CUPED), Deng, Xu, Kohavi and Walker, WSDM 2013.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_counts, doubles, finite
from flyball.statistics.sums import Sums


class Contrast(msgspec.Struct, frozen=True):
    """Arm b minus arm a: the `effect` with its standard error `se` and degrees of freedom `dof`.

    `count_a`, `count_b`: units of each arm. `base`: the mean of a. `relative`: whether `effect` and `se` are divided by
    |base|.
    """

    effect: float
    se: float
    dof: float
    count_a: int
    count_b: int
    base: float
    relative: bool = False

    @property
    def count(self) -> int:
        """Units of both arms."""
        return self.count_a + self.count_b


def standardized(effect: ArrayLike, se: ArrayLike) -> Doubles:
    """effect / se, with its limit where `se` is 0: infinite for an effect, and 0 for none. Shapes broadcast.

    Raises `BadInput` for a number that is not finite, and for a standard error below 0.
    """
    effects, errors = np.broadcast_arrays(doubles("effect", effect), doubles("se", se, 0.0))
    certain = np.where(effects == 0, 0.0, np.copysign(np.inf, effects))
    with np.errstate(over="ignore"):  # the quotient of a tiny standard error is infinite, too
        return np.asarray(np.divide(effects, errors, out=certain, where=errors > 0))


def _contrast(
    means: tuple[float, float],
    variances: tuple[float, float],
    counts: tuple[int, int],
    relative: bool,
    base: float | None = None,
) -> Contrast:
    """The contrast of `means` and unit `variances` of (a, b); `base`: the baseline, if not the mean of a."""
    (mean_a, mean_b), (variance_a, variance_b), (count_a, count_b) = means, variances, counts
    baseline = mean_a if base is None else base
    part_a, part_b = variance_a / count_a, variance_b / count_b
    total = part_a + part_b
    if not total > 0:
        raise BadInput("values", "not all the same: without variance there is no interval", f"variance {total:g}")
    dof = total**2 / (part_a**2 / (count_a - 1) + part_b**2 / (count_b - 1))
    difference = mean_b - mean_a
    if not relative:
        return Contrast(difference, float(np.sqrt(total)), dof, count_a, count_b, baseline)
    if baseline == 0:
        raise BadInput("mean of arm a", "other than 0 for a relative effect; ask for the absolute one", baseline)
    size = abs(baseline)
    se = np.sqrt(part_b / size**2 + part_a * (difference + baseline) ** 2 / size**4)
    return Contrast(difference / size, _spread(float(se)), dof, count_a, count_b, baseline, True)


def _spread(se: float) -> float:
    """The standard error of a relative effect: 0 where all values of b are 0, which says nothing about the next one."""
    if not se > 0:
        raise BadInput("values of arm b", "not all 0: without variance a relative effect has no interval", se)
    return se


def mean_contrast(a: Sums, b: Sums, relative: bool = False) -> Contrast:
    """The difference of the means of column 0; with `relative`, divided by |mean of a| (delta method).

    Raises `BadInput` for an arm with fewer than two units, for no variance, or for a relative effect on a mean of 0.

    >>> mean_contrast(Sums.of([1.0, 3.0]), Sums.of([2.0, 4.0])).effect
    1.0
    """
    return _contrast((a.mean(), b.mean()), (a.covariance(), b.covariance()), (a.count, b.count), relative)


def rate_contrast(successes_a: int, trials_a: int, successes_b: int, trials_b: int, relative: bool = False) -> Contrast:
    """The difference of two rates with the variance p(1 - p) of each arm (not pooled).

    Raises `BadInput` for an arm with fewer than two trials, successes beyond the trials, or no variance.
    """
    check_counts({"a": (successes_a, trials_a), "b": (successes_b, trials_b)})
    if min(trials_a, trials_b) < 2:
        raise BadInput("units", "two or more in each arm", (trials_a, trials_b))
    rates = (successes_a / trials_a, successes_b / trials_b)
    variances = (rates[0] * (1 - rates[0]), rates[1] * (1 - rates[1]))
    return _contrast(rates, variances, (trials_a, trials_b), relative)


def adjusted_contrast(a: Sums, b: Sums, relative: bool = False) -> Contrast:
    """The difference of the means of column 0, adjusted by covariates in columns 1 to k - 1 (CUPED).

    The covariates are measured before the start; their coefficients are those of `adjustment`. A relative effect is
    divided by the unadjusted mean of a. Raises `BadInput` as `mean_contrast` does, and for sums without a covariate.
    """
    theta = adjustment(a, b)
    shift = float(theta @ (b.means()[1:] - a.means()[1:]))
    weights = np.concatenate([[1.0], -theta])
    variances = (_variance(a, weights), _variance(b, weights))
    means = (a.mean(), b.mean() - shift)
    counts = (a.count, b.count)
    if not relative:
        return _contrast(means, variances, counts, False)
    baseline, difference = a.mean(), means[1] - means[0]
    if baseline == 0:
        raise BadInput("mean of arm a", "other than 0 for a relative effect; ask for the absolute one", baseline)
    absolute = _contrast(means, variances, counts, False)
    gradient_a = np.concatenate([[-b.mean() / baseline], theta])  # |baseline| x d effect / d means of a
    variance_a = float(gradient_a @ a.covariances() @ gradient_a)
    se = np.sqrt(variances[1] / b.count + variance_a / a.count) / abs(baseline)
    return Contrast(difference / abs(baseline), _spread(float(se)), absolute.dof, a.count, b.count, baseline, True)


def adjustment(a: Sums, b: Sums) -> Doubles:
    """The coefficients of the covariates in columns 1 to k - 1, shape (k - 1,): Cov(x)^-1 Cov(x, y).

    Covariances are computed within each arm and then added, so that they do not contain the effect. Raises `BadInput`
    for sums without a covariate.
    """
    if a.width < 2:
        raise BadInput("sums", "of a value and one or more covariates", f"{a.width} column")
    both = a.covariances() + b.covariances()
    return np.asarray(np.linalg.lstsq(both[1:, 1:], both[1:, 0], rcond=None)[0], dtype=np.float64)


def _variance(sums: Sums, weights: Doubles) -> float:
    used = len(weights)
    return float(weights @ sums.covariances()[:used, :used] @ weights)


def ratio_contrast(a: Sums, b: Sums, relative: bool = False) -> Contrast:
    """The difference of ratios of two totals, such as clicks (column 0) per view (column 1), by the delta method.

    Each row is one unit of randomization, so the views of one user are not treated as independent. Raises `BadInput`
    for fewer than two columns, a denominator with a mean of 0, fewer than two units in an arm, or no variance.
    """
    ratios = (_ratio(a), _ratio(b))
    variances = (_variance(a, _ratio_gradient(a)), _variance(b, _ratio_gradient(b)))
    return _contrast(ratios, variances, (a.count, b.count), relative)


@finite("theta")
def adjusted_ratio_contrast(a: Sums, b: Sums, relative: bool = False, theta: float | None = None) -> Contrast:
    """The difference of ratios (column 0 per column 1), adjusted by the ratio before the start (column 2 per column 3).

    `theta`: the coefficient of the ratio before the start, if it was fixed in advance; by default the least-squares
    coefficient within arms. Raises `BadInput` for sums of other than four columns and as `ratio_contrast` does.
    """
    if a.width != 4:
        raise BadInput("sums", "of four columns: numerator, denominator, and both before the start", a.width)
    after, before = {}, {}
    for name, arm in (("a", a), ("b", b)):
        gradient = _ratio_gradient(arm)
        after[name] = np.concatenate([gradient, np.zeros(2)])
        before[name] = np.concatenate([np.zeros(2), _ratio_gradient(arm, 2)])
    arms = (("a", a), ("b", b))
    shared = sum(float(after[name] @ arm.covariances() @ before[name]) for name, arm in arms)
    spread = sum(_variance(arm, before[name]) for name, arm in arms)
    if theta is None:
        theta = shared / spread if spread > 0 else 0.0
    shift = theta * (_ratio(b, 2) - _ratio(a, 2))
    baseline = _ratio(a)
    difference = _ratio(b) - baseline - shift
    variances = tuple(_variance(arm, after[name] - theta * before[name]) for name, arm in arms)
    absolute = _contrast((baseline, baseline + difference), (variances[0], variances[1]), (a.count, b.count), False)
    if not relative:
        return absolute
    if baseline == 0:
        raise BadInput("ratio of arm a", "other than 0 for a relative effect; ask for the absolute one", baseline)
    gradient_a = -(baseline + difference) / baseline * after["a"] + theta * before["a"]
    se = np.sqrt(variances[1] / b.count + _variance(a, gradient_a) / a.count) / abs(baseline)
    return Contrast(difference / abs(baseline), _spread(float(se)), absolute.dof, a.count, b.count, baseline, True)


def _ratio(sums: Sums, first: int = 0) -> float:
    if sums.width < first + 2:
        raise BadInput("sums", f"of {first + 2} columns or more", sums.width)
    below = sums.mean(first + 1)
    if below == 0:
        raise BadInput("mean of the denominator", "other than 0", below)
    return sums.mean(first) / below


def _ratio_gradient(sums: Sums, first: int = 0) -> Doubles:
    """The gradient of the ratio with respect to its two means, shape (2,)."""
    ratio = _ratio(sums, first)
    return np.array([1.0, -ratio]) / sums.mean(first + 1)


def stratified_contrast(steps: Sequence[Contrast]) -> Contrast:
    """One effect from the steps of a ramp: arms are compared within each step, and steps weighted by their units.

    If the units of steps with different shares were pooled, the arms would differ in time (Simpson's paradox).
    Raises `BadInput` without steps, or when some are relative and some are not.

    >>> step = Contrast(1.0, 0.5, 10.0, 40, 10, 2.0)
    >>> stratified_contrast([step, step]).effect
    1.0
    """
    if not steps or len({step.relative for step in steps}) > 1:
        raise BadInput("steps", "one or more, all relative or all absolute", [step.relative for step in steps])
    units = np.array([float(step.count) for step in steps])
    weights = units / units.sum()
    errors = doubles("standard errors of the steps", [step.se for step in steps], 0.0)
    parts = (weights * errors) ** 2
    total = float(parts.sum())
    sized = parts if total > 0 else weights**2  # without any error, as with equal ones, however small
    dof = float(sized.sum()) ** 2 / float((sized**2 / np.array([step.dof for step in steps])).sum())
    return Contrast(
        float(weights @ np.array([step.effect for step in steps])),
        float(np.sqrt(total)),
        dof,
        sum(step.count_a for step in steps),
        sum(step.count_b for step in steps),
        float(weights @ np.array([step.base for step in steps])),
        steps[0].relative,
    )
