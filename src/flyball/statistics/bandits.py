"""Bandits: traffic shares that adapt to observed rewards, with the exact propensity of each answer.

The state of an arm is the `Sums` of its rewards, which merges; a contextual bandit has one state for each group.
Sources: Auer, Cesa-Bianchi and Fischer, Machine Learning 2002 (epsilon-greedy, UCB1); Thompson, Biometrika 1933;
Agrawal and Goyal, JACM 2017 (Gaussian).
"""

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import doubles, finite
from flyball.statistics.sums import Sums

BANDITS = ("epsilon_greedy", "thompson_beta", "thompson_gaussian", "ucb")
_NODES = 256


class Bandit(msgspec.Struct, frozen=True):
    """A bandit rule and its constants, fixed before the start.

    `rule`: one of `BANDITS`. `epsilon`: for epsilon-greedy, the share that is spread over all arms. `floor`: the
    smallest probability of any arm, so that every propensity is above 0 and the log can be evaluated off-policy.
    `prior`: of an arm without rewards, the successes and failures (beta) or the mean and standard deviation (Gaussian).
    `width`: for UCB, the factor of the confidence bonus.
    """

    rule: str = "thompson_beta"
    epsilon: float = 0.1
    floor: float = 0.01
    prior: tuple[float, float] = (1.0, 1.0)
    width: float = 2.0**0.5


def arm_probabilities(bandit: Bandit, arms: Sequence[Sums | None]) -> Doubles:
    """The probability of each arm for the next answer, shape (arms,), summing to 1: its exact propensity.

    `arms`: the rewards of each arm; None or no units for an arm that was not chosen yet. For Thompson sampling the
    probability that an arm has the best draw is integrated numerically instead of sampled. Raises `BadInput` for an
    unknown rule or constants that it cannot have, no arms, or for `thompson_beta` mean rewards outside [0, 1].

    >>> arm_probabilities(Bandit(), [None, None]).round(9).tolist()
    [0.5, 0.5]
    """
    if bandit.rule not in BANDITS:
        raise BadInput("bandit", f"one of {', '.join(BANDITS)}", bandit.rule)
    if not arms:
        raise BadInput("arms", "one or more", 0)
    _check(bandit)
    counts = np.array([0 if arm is None else arm.count for arm in arms])
    means = np.array([0.0 if arm is None or not arm.count else arm.mean() for arm in arms])
    if bandit.rule == "epsilon_greedy":
        shares = (1 - bandit.epsilon) * _best(np.where(counts > 0, means, np.inf)) + bandit.epsilon / len(arms)
    elif bandit.rule == "ucb":
        bonus = bandit.width * np.sqrt(np.log(max(int(counts.sum()), 2)) / np.maximum(counts, 1))
        shares = _best(np.where(counts > 0, means + bonus, np.inf))
    elif bandit.rule == "thompson_beta":
        if (means < 0).any() or (means > 1).any():
            raise BadInput("rewards", "within [0, 1] for thompson_beta", means.tolist())
        shares = _best_of_beta(bandit.prior[0] + means * counts, bandit.prior[1] + (1 - means) * counts)
    else:
        shares = _best_of_normal(*_posterior(bandit, arms, counts, means))
    return with_floor(shares, bandit.floor)


def _check(bandit: Bandit) -> None:
    """Raise `BadInput` for constants that the rule cannot have."""
    doubles("epsilon", bandit.epsilon, 0.0, 1.0)
    doubles("width", bandit.width, 0.0)
    prior = doubles("prior", bandit.prior)
    if prior.shape != (2,) or not prior[1] > 0 or (bandit.rule == "thompson_beta" and not prior[0] > 0):
        needed = "two numbers above 0" if bandit.rule == "thompson_beta" else "a mean, and a deviation above 0"
        raise BadInput("prior", needed, bandit.prior)


@finite("floor")
def with_floor(shares: ArrayLike, floor: float) -> Doubles:
    """Probabilities of at least `floor` each: p = floor + (1 - arms x floor) x share, shape (arms,).

    They are uniform if arms x floor is 1 or more. Raises `BadInput` for a negative share.
    """
    array = doubles("shares", shares, 0.0)
    count, least = len(array), max(0.0, floor)
    if count * least >= 1:
        return np.full(count, 1 / count)
    return np.asarray(least + (1 - count * least) * array / array.sum())


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[Doubles, Doubles]:
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    return points, weights


def _best(scores: Doubles) -> Doubles:
    best = scores == scores.max()
    return np.asarray(best / best.sum())


def _best_of_beta(a: Doubles, b: Doubles) -> Doubles:
    """P(an arm's draw is the largest), shape (arms,): the integral of its density times the others' distributions.

    By Gauss-Legendre quadrature within ten standard deviations of the mean. The variable is the angle whose squared
    sine is the rate: in it the density is smooth for a, b >= 1/2.
    """
    mean, spread = a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)
    first = np.arcsin(np.sqrt(np.clip(mean - 10 * spread, 0.0, 1.0)))
    last = np.arcsin(np.sqrt(np.clip(mean + 10 * spread, 0.0, 1.0)))
    points, weights = _gauss_legendre()
    probabilities = np.empty(len(a))
    for arm in range(len(a)):
        angle = first[arm] + (points + 1) / 2 * (last[arm] - first[arm])
        log_density = (2 * a[arm] - 1) * np.log(np.sin(angle)) + (2 * b[arm] - 1) * np.log(np.cos(angle))
        mass = weights * np.exp(log_density - log_density.max())
        rate = np.sin(angle) ** 2
        others = [special.betainc(a[k], b[k], rate) for k in range(len(a)) if k != arm]
        probabilities[arm] = float(mass @ np.prod(others, axis=0) / mass.sum()) if others else 1.0
    return np.asarray(probabilities / probabilities.sum())


def _posterior(
    bandit: Bandit, arms: Sequence[Sums | None], counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], means: Doubles
) -> tuple[Doubles, Doubles]:
    """The posterior mean and standard deviation of each arm's mean, from the prior and the pooled reward variance."""
    degrees = sum(max(int(count) - 1, 0) for count in counts)
    spread = sum((arm.count - 1) * arm.covariance() for arm in arms if arm is not None and arm.count > 1)
    prior_mean, prior_sd = bandit.prior
    variance = spread / degrees if degrees and spread > 0 else prior_sd**2
    precision = counts / variance + 1 / prior_sd**2
    return np.asarray((means * counts / variance + prior_mean / prior_sd**2) / precision), np.asarray(
        1 / np.sqrt(precision)
    )


def _best_of_normal(means: Doubles, sds: Doubles) -> Doubles:
    points, weights = _gauss_legendre()
    u = (points + 1) / 2
    z = special.ndtri(u)
    probabilities = np.empty(len(means))
    for arm in range(len(means)):
        x = means[arm] + sds[arm] * z
        others = [special.ndtr((x - means[k]) / sds[k]) for k in range(len(means)) if k != arm]
        probabilities[arm] = float(weights @ np.prod(others, axis=0)) / 2 if others else 1.0
    return np.asarray(probabilities / probabilities.sum())


@finite("u")
def choose_arm(probabilities: ArrayLike, u: float) -> tuple[int, float]:
    """(arm, its propensity) for a uniform number `u` in [0, 1).

    If `u` is a hash of the unit, the same unit gets the same arm. `probabilities`: shape (arms,). Raises `BadInput` for
    probabilities that do not sum to 1 or a `u` outside [0, 1).
    """
    shares = doubles("probabilities", probabilities, 0.0, 1.0)
    if abs(float(shares.sum()) - 1) > 1e-9 or not 0 <= u < 1:
        raise BadInput("probabilities", "summing to 1, with u in [0, 1)", (shares.tolist(), u))
    arm = min(int(np.searchsorted(np.cumsum(shares), u, side="right")), len(shares) - 1)
    while shares[arm] == 0:
        arm -= 1
    return arm, float(shares[arm])


def group_probabilities(bandit: Bandit, groups: Mapping[Hashable, Sequence[Sums | None]]) -> dict[Hashable, Doubles]:
    """{group: its `arm_probabilities`}: a contextual bandit whose groups learn independently."""
    return {group: arm_probabilities(bandit, arms) for group, arms in groups.items()}


def regret(probabilities: ArrayLike, true_means: ArrayLike) -> Doubles:
    """The expected regret of each answer, shape (answers,): the mean of the best arm minus the mean of the policy.

    `probabilities`: shape (answers, arms). `true_means`: the expected reward of each arm, shape (arms,) or the same.
    Raises `BadInput` for another number of arms, and for a probability outside [0, 1].
    """
    shares, means = doubles("probabilities", probabilities, 0.0, 1.0), doubles("true means", true_means)
    if not means.size or shares.shape[-1:] != means.shape[-1:]:
        raise BadInput("probabilities", "of shape (answers, arms), for each of the true means", shares.shape)
    return np.asarray(means.max(axis=-1) - (shares * means).sum(axis=-1))
