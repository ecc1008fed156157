"""Off-policy evaluation: the value of a policy, from the log of another one with known propensities.

Sources: Horvitz and Thompson, JASA 1952 (IPS); Swaminathan and Joachims, NeurIPS 2015 (SNIPS); Dudík, Langford and Li,
ICML 2011 (DR); Wang, Agarwal and Dudík, ICML 2017 (switch-DR); lists: Li et al., "Offline evaluation of ranking
policies with click models", KDD 2018; McInerney et al., "Counterfactual evaluation of slate recommendations", KDD 2020;
Swaminathan et al., "Off-policy evaluation for slate recommendation", NeurIPS 2017; intervals of the mean weight and
the value: the empirical Bernstein bound of Maurer and Pontil, COLT 2009, or the normal one.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles, Refused
from flyball.statistics.checks import check_alpha, check_positive, doubles

ESTIMATORS = ("ips", "snips", "dr", "switch_dr")
INTERVALS = ("normal", "bernstein", "hoeffding")
LIST_FORMS = ("whole", "per_item", "cascade", "additive")
SMALLEST_SAMPLE = 30
"""Effective units below which a normal interval is not given."""


class Overlap(msgspec.Struct, frozen=True):
    """How well a log supports a policy.

    `effective`: (Σw)² / Σw², the units that the weighted log is worth. `largest`: the largest weight. `unsupported`:
    the policy's mean probability of what the log could never show. `mean_weight` with its interval contains 1 when the
    propensities are true; that is free to check, and must hold before a value is shown.
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
        """Whether the mean weight's interval contains what it must be: 1 less the mass without support."""
        goal = 1.0 - self.unsupported
        return self.mean_weight_low - 1e-9 <= goal <= self.mean_weight_high + 1e-9

    @property
    def reason(self) -> str:
        """Why no value may be shown; "" when one may."""
        if self.trusted:
            return ""
        interval = f"[{self.mean_weight_low:.4g}, {self.mean_weight_high:.4g}]"
        return (
            f"the mean weight is {self.mean_weight:.4g} {interval} and must be {1 - self.unsupported:.4g}: "
            "the logged propensities are not those that the answers were drawn with"
        )


class PolicyValue(msgspec.Struct, frozen=True):
    """The estimated mean reward of a policy and what it rests on."""

    estimator: str
    interval: str
    value: float
    low: float
    high: float
    alpha: float
    overlap: Overlap

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        o = self.overlap
        return (
            f"the policy would earn {self.value:.4g} [{self.low:.4g}, {self.high:.4g}] a unit ({self.estimator}); "
            f"{o.count} logged units are worth {o.effective:.0f}, the largest weight is {o.largest:.3g}, "
            f"{100 * o.unsupported:.2g} % of the policy was never shown."
        )


def importance_weights(policy: ArrayLike, logged: ArrayLike) -> Doubles:
    """Probability of the shown answer under the policy over its logged propensity, shape (n,).

    Raises `BadInput` for a propensity of 0 or below: what was shown had one.
    """
    shown, propensity = doubles("policy probabilities", policy, 0.0, 1.0), doubles("propensities", logged, 0.0, 1.0)
    if not (propensity > 0).all():
        raise BadInput("propensities", "above 0 for what was shown", float(propensity.min()))
    if shown.shape != propensity.shape:
        raise BadInput("policy probabilities", f"of the shape of the propensities {propensity.shape}", shown.shape)
    return np.asarray(shown / propensity)


def overlap(
    weights: ArrayLike, unsupported: float = 0.0, alpha: float = 0.001, units: ArrayLike | None = None
) -> Overlap:
    """How well the log supports the policy; `units`: whose rows belong together (their weights are summed)."""
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
    """How a value is estimated; see `policy_value`, which takes the same by name."""

    estimator: str = "snips"
    predicted_shown: Any = None
    predicted_policy: Any = None
    threshold: float = 10.0
    interval: str = "normal"
    reward_range: tuple[float, float] | None = None
    largest_weight: float | None = None
    units: Any = None
    alpha: float = 0.05


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

    `policy`, `logged`: probabilities of what was shown, under the policy and as logged, shape (n,). `rewards`: (n,).
    `predicted_shown`, `predicted_policy`: for `dr` and `switch_dr`, a model's reward for what was shown, and its mean
    over what the policy would show; the model must not have been fitted on these rows. `switch_dr` trusts the model
    alone where the weight is above `threshold`. `units`: whose rows belong together. `interval`: `normal`, or
    `hoeffding` or `bernstein`, which hold at any sample size but need `reward_range` and `largest_weight`, as known
    from the policies (not from the log).
    Raises `Refused` where the mean weight shows that the propensities are wrong: no value is given.

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
    """As `policy_value`, from weights that were made and checked elsewhere."""
    check_alpha(how.alpha)
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
    """One number a row, (n,), whose mean is the estimate."""
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
    """An interval that holds at any sample size."""
    if how.estimator != "ips" or how.reward_range is None or how.largest_weight is None or how.units is not None:
        must = "for ips of independent rows, with reward_range and largest_weight"
        raise BadInput(f"interval {how.interval}", must, how.estimator)
    value = float(terms.mean())
    reach = _reach(terms, how.reward_range, how.largest_weight, how.alpha, how.interval)
    return value - reach, value + reach


def _reach(terms: Doubles, reward_range: tuple[float, float], largest: float, alpha: float, interval: str) -> float:
    """Two-sided, for terms whose range follows from that of rewards and weights."""
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
    """The mean reward of a list, from probabilities of the item shown at each position, shape (n, positions).

    `rewards`: of each item, shape (n, positions). `form` is what is assumed of users, from nothing to much:
    `whole`: a list's reward depends on all its items (the weight is the product over positions); `cascade`: an item's
    on those above it; `per_item`: on itself and its position alone; `additive`: the reward of the list, the sum over
    items, is a sum of unknown parts by position (the pseudoinverse estimator for independent positions).
    Fewer assumptions, wider intervals. Raises `Refused` as `policy_value` does.
    """
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
