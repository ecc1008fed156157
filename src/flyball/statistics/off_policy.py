"""Off-policy evaluation: the value of a policy, estimated from the log of another policy with known propensities.

Sources: Horvitz and Thompson, JASA 1952 (IPS); Swaminathan and Joachims, NeurIPS 2015 (SNIPS); Dudík, Langford and Li,
ICML 2011 (DR); Wang, Agarwal and Dudík, ICML 2017 (switch-DR); lists: Li et al., "Offline evaluation of ranking
policies with click models", KDD 2018; McInerney et al., "Counterfactual evaluation of slate recommendations", KDD 2020;
Swaminathan et al., "Off-policy evaluation for slate recommendation", NeurIPS 2017. Intervals: normal, Hoeffding's
inequality (JASA 1963), or the empirical Bernstein bound of Maurer and Pontil, COLT 2009.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles, Refused
from flyball.statistics.checks import check_alpha, check_positive, doubles, finite

ESTIMATORS = ("ips", "snips", "dr", "switch_dr")
INTERVALS = ("normal", "bernstein", "hoeffding")
LIST_FORMS = ("whole", "per_item", "cascade", "additive")
SMALLEST_SAMPLE = 30
"""The effective sample size below which no normal interval is given."""


class Overlap(msgspec.Struct, frozen=True):
    """How well a log supports the evaluation of a policy.

    `count`: logged rows. `effective`: the effective sample size (Σw)² / Σw². `largest`: the largest weight w.
    `unsupported`: the policy's mean probability of answers that the logging policy never gives. `mean_weight`: with
    its interval of level 1 - `alpha`, which contains 1 - `unsupported` if the propensities are true.
    """

    count: int
    effective: float
    largest: float
    unsupported: float
    mean_weight: float
    mean_weight_low: float
    mean_weight_high: float
    alpha: float

    @property
    def trusted(self) -> bool:
        """Whether the interval of the mean weight contains its expected value 1 - `unsupported`."""
        goal = 1.0 - self.unsupported
        return self.mean_weight_low - 1e-9 <= goal <= self.mean_weight_high + 1e-9

    @property
    def reason(self) -> str:
        """Why no value can be given; "" if one can."""
        if self.trusted:
            return ""
        interval = f"[{self.mean_weight_low:.4g}, {self.mean_weight_high:.4g}]"
        return (
            f"the mean weight is {self.mean_weight:.4g} {interval} and must be {1 - self.unsupported:.4g}: "
            "the logged propensities are not those that the answers were drawn with"
        )


class PolicyValue(msgspec.Struct, frozen=True):
    """The estimated mean reward `value` of a policy with its interval of level 1 - `alpha`.

    `estimator`: one of `ESTIMATORS`, or of `LIST_FORMS` for lists. `overlap`: how well the log supports the policy.
    """

    estimator: str
    interval: str
    value: float
    low: float
    high: float
    alpha: float
    overlap: Overlap

    @property
    def sentence(self) -> str:
        """The value, its interval and the overlap, in one sentence."""
        support = self.overlap
        return (
            f"the policy would earn {self.value:.4g} [{self.low:.4g}, {self.high:.4g}] a unit ({self.estimator}); "
            f"{support.count} logged units are worth {support.effective:.0f}, the largest weight is "
            f"{support.largest:.3g}, {100 * support.unsupported:.2g} % of the policy was never shown."
        )


def importance_weights(policy: ArrayLike, logged: ArrayLike) -> Doubles:
    """The probability of the shown answer under the policy divided by its logged propensity; shape of `policy`.

    Raises `BadInput` for a propensity of 0, a number outside [0, 1], or different shapes.
    """
    shown, propensity = doubles("policy probabilities", policy, 0.0, 1.0), doubles("propensities", logged, 0.0, 1.0)
    if not (propensity > 0).all():
        raise BadInput("propensities", "above 0 for what was shown", float(propensity.min()))
    if shown.shape != propensity.shape:
        raise BadInput("policy probabilities", f"of the shape of the propensities {propensity.shape}", shown.shape)
    return np.asarray(shown / propensity)


@finite("unsupported")
def overlap(
    weights: ArrayLike, unsupported: float = 0.0, alpha: float = 0.001, units: ArrayLike | None = None
) -> Overlap:
    """How well the log supports the policy.

    `weights`: importance weights, shape (n,). `units`: the unit of each row, shape (n,), if rows of a unit depend on
    each other. Raises `BadInput` for no weights, a negative weight, or an `unsupported` or `alpha` out of range.
    """
    w = doubles("weights", weights, 0.0)
    check_alpha(alpha)
    if not len(w):
        raise BadInput("weights", "one or more", 0)
    if not 0.0 <= unsupported <= 1.0:
        raise BadInput("unsupported", "within [0, 1]: a mean probability", unsupported)
    squares = float((w**2).sum())
    low, high = _normal(w, units, alpha)
    return Overlap(
        len(w),
        float(w.sum() ** 2 / squares) if squares else 0.0,
        float(w.max()),
        float(unsupported),
        float(w.mean()),
        low,
        high,
        alpha,
    )


def _normal(terms: Doubles, units: ArrayLike | None, alpha: float) -> tuple[float, float]:
    """The normal interval of the mean of `terms`, robust to clusters of `units`."""
    mean, count = float(terms.mean()), len(terms)
    centered = terms - mean
    if units is not None:
        _, cluster = np.unique(np.asarray(units), return_inverse=True)
        centered = np.asarray(np.bincount(cluster, weights=centered), dtype=np.float64)
    groups = len(centered)
    if groups < 2:
        return -np.inf, np.inf
    se = float(np.sqrt((centered**2).sum() * groups / (groups - 1)) / count)
    reach = float(stats.t.isf(alpha / 2, groups - 1)) * se
    return mean - reach, mean + reach


class Estimation(msgspec.Struct, frozen=True, kw_only=True):
    """How a value is estimated: the arguments of `policy_value` of the same names."""

    estimator: str = "snips"
    predicted_shown: Any = None
    predicted_policy: Any = None
    threshold: float = 10.0
    interval: str = "normal"
    reward_range: tuple[float, float] | None = None
    largest_weight: float | None = None
    units: Any = None
    alpha: float = 0.05


@finite("threshold", "unsupported")
def policy_value(
    policy: ArrayLike,
    logged: ArrayLike,
    rewards: ArrayLike,
    estimator: str = "snips",
    predicted_shown: ArrayLike | None = None,
    predicted_policy: ArrayLike | None = None,
    threshold: float = 10.0,
    unsupported: float = 0.0,
    interval: str = "normal",
    reward_range: tuple[float, float] | None = None,
    largest_weight: float | None = None,
    units: ArrayLike | None = None,
    alpha: float = 0.05,
) -> PolicyValue:
    """The mean reward that the policy would have earned.

    `policy`, `logged`: the probability of the shown answer under the policy, and its logged propensity, shape (n,).
    `rewards`: shape (n,). `predicted_shown`, `predicted_policy`: for `dr` and `switch_dr`, the reward that a model
    predicts for the shown answer, and its mean under the policy, shape (n,); the model must be fitted on other rows.
    `switch_dr` uses the model alone in rows with a weight above `threshold`. `units`: the unit of each row, shape (n,).
    `interval`: `normal`, or `hoeffding` or `bernstein`, which are valid at any sample size but need `reward_range` and
    `largest_weight`; these must come from the policies and not from the log.
    Raises `Refused` if the mean weight shows that the propensities are wrong, and `BadInput` for an unknown estimator
    or interval, wrong shapes, or missing arguments.

    >>> round(policy_value([0.2, 0.8] * 50, [0.5, 0.5] * 50, [1.0, 0.0] * 50, "ips").value, 9)
    0.2
    """
    w = importance_weights(policy, logged)
    r = doubles("rewards", rewards)
    if r.shape != w.shape:
        raise BadInput("rewards", f"of the shape of the propensities {w.shape}", r.shape)
    support = overlap(w, unsupported, units=units)
    if not support.trusted:
        raise Refused(f"no value of the policy: {support.reason}; correct the logging of propensities first")
    how = Estimation(
        estimator=estimator,
        predicted_shown=predicted_shown,
        predicted_policy=predicted_policy,
        threshold=threshold,
        interval=interval,
        reward_range=reward_range,
        largest_weight=largest_weight,
        units=units,
        alpha=alpha,
    )
    return value_of_weights(w, r, support, how)


def value_of_weights(weights: Doubles, rewards: Doubles, support: Overlap, how: Estimation) -> PolicyValue:
    """As `policy_value`, from importance weights and their overlap, shapes (n,). Raises `BadInput` likewise."""
    check_alpha(how.alpha)
    weights, rewards = doubles("weights", weights, 0.0), doubles("rewards", rewards)
    if weights.ndim != 1 or rewards.shape != weights.shape:
        raise BadInput("rewards", f"of the shape (n,) of the weights {weights.shape}", rewards.shape)
    if how.interval not in INTERVALS:
        raise BadInput("interval", f"one of {', '.join(INTERVALS)}", how.interval)
    terms = _terms(weights, rewards, how)
    value = float(terms.mean())
    if how.interval != "normal":
        low, high = _bounded(terms, how)
    elif support.effective >= SMALLEST_SAMPLE:
        low, high = _normal(terms, how.units, how.alpha)
    else:
        low, high = -np.inf, np.inf
    return PolicyValue(how.estimator, how.interval, value, low, high, how.alpha, support)


def _terms(weights: Doubles, rewards: Doubles, how: Estimation) -> Doubles:
    """The terms whose mean is the estimate, shape (n,)."""
    if how.estimator not in ESTIMATORS:
        raise BadInput("estimator", f"one of {', '.join(ESTIMATORS)}", how.estimator)
    if how.estimator == "ips":
        return weights * rewards
    if how.estimator == "snips":
        total = float(weights.sum())
        if not total:
            raise BadInput("weights", "above 0 somewhere", total)
        center = float((weights * rewards).sum()) / total
        return center + weights * (rewards - center) / (total / len(weights))  # the linearized ratio
    if how.predicted_shown is None or how.predicted_policy is None:
        raise BadInput("predicted_shown and predicted_policy", f"given for {how.estimator}", None)
    kept = weights if how.estimator == "dr" else np.where(weights <= how.threshold, weights, 0.0)
    model, shown = doubles("predicted_policy", how.predicted_policy), doubles("predicted_shown", how.predicted_shown)
    return model + kept * (rewards - shown)


def _bounded(terms: Doubles, how: Estimation) -> tuple[float, float]:
    """An interval that is valid at any sample size."""
    if how.estimator != "ips" or how.reward_range is None or how.largest_weight is None or how.units is not None:
        must = "for ips of independent rows, with reward_range and largest_weight"
        raise BadInput(f"interval {how.interval}", must, how.estimator)
    value = float(terms.mean())
    reach = _reach(terms, how.reward_range, how.largest_weight, how.alpha, how.interval)
    return value - reach, value + reach


def _reach(terms: Doubles, reward_range: tuple[float, float], largest: float, alpha: float, interval: str) -> float:
    """Half the width of a two-sided interval of the mean of `terms`, from the range of rewards and weights."""
    check_positive(largest_weight=largest)
    first, last = min(0.0, largest * reward_range[0]), max(0.0, largest * reward_range[1])
    if terms.min() < first or terms.max() > last:
        raise BadInput("reward_range and largest_weight", "limits of what is in the log", (reward_range, largest))
    count, log_level = len(terms), np.log(2 / alpha)
    if interval == "hoeffding":
        return float((last - first) * np.sqrt(log_level / (2 * count)))
    if count < 2:
        return np.inf
    log_level = np.log(4 / alpha)
    return float(
        np.sqrt(2 * terms.var(ddof=1) * log_level / count) + 7 * (last - first) * log_level / (3 * (count - 1))
    )


def list_value(
    policy: ArrayLike,
    logged: ArrayLike,
    rewards: ArrayLike,
    form: str = "per_item",
    alpha: float = 0.05,
    units: ArrayLike | None = None,
) -> PolicyValue:
    """The mean reward of a list, the sum over its positions, under a policy.

    `policy`, `logged`: the probability of the item shown at each position, under the policy and as logged, shape
    (n, positions). `rewards`: the reward at each position, same shape. `units`: as in `policy_value`.
    `form`: what the reward is assumed to depend on. `whole`: the reward of the list on all its items (no assumption;
    the weight is the product over positions). `cascade`: the reward of an item on it and the items above. `per_item`:
    the reward of an item on it and its position. `additive`: the reward of the list is a sum of unknown contributions
    of positions (the pseudoinverse estimator for independent positions). Stronger assumptions give narrower intervals.
    Raises `BadInput` for an unknown form or wrong shapes, and `Refused` as `policy_value` does.
    """
    check_alpha(alpha)
    if form not in LIST_FORMS:
        raise BadInput("form", f"one of {', '.join(LIST_FORMS)}", form)
    w = importance_weights(policy, logged)
    r = doubles("rewards", rewards)
    if w.ndim != 2 or r.shape != w.shape:
        raise BadInput("rewards", f"of the shape (lists, positions) of the propensities {w.shape}", r.shape)
    if form == "per_item":
        weights, terms = w.mean(axis=1), (w * r).sum(axis=1)
    elif form == "cascade":
        above = np.cumprod(w, axis=1)
        weights, terms = above[:, -1], (above * r).sum(axis=1)
    elif form == "additive":
        weights = 1 + (w - 1).sum(axis=1)
        terms = weights * r.sum(axis=1)
    else:
        weights = np.prod(w, axis=1)
        terms = weights * r.sum(axis=1)
    support = overlap(np.maximum(weights, 0.0) if form != "additive" else w.mean(axis=1), units=units)
    if not support.trusted:
        raise Refused(f"no value of the policy: {support.reason}; correct the logging of propensities first")
    low, high = _normal(terms, units, alpha) if support.effective >= SMALLEST_SAMPLE else (-np.inf, np.inf)
    return PolicyValue(form, "normal", float(terms.mean()), low, high, alpha, support)
