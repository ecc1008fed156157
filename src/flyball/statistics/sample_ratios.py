"""Sample ratio mismatch: a test of whether the arms got their declared shares of units.

If they did not, no comparison of the arms is valid.

Source: Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022 (arXiv 2011.03567).
"""

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_positive, finite

SAMPLE_RATIO_ALPHA = 0.001
"""The probability of a false alarm, over all looks of an experiment."""
CONCENTRATION = 1_000.0
"""Of the Dirichlet prior: deviations of about 1 / sqrt(1,000) of the declared shares are found soonest."""


class SampleRatio(msgspec.Struct, frozen=True):
    """The result of a sample ratio test.

    `counts`, `expected`: observed and expected units of each arm with a weight above 0. `p`: the p-value of the
    declared shares. `anytime`: whether `alpha` holds over all looks; otherwise it holds for one.
    """

    counts: tuple[int, ...]
    expected: tuple[float, ...]
    p: float
    alpha: float
    anytime: bool

    @property
    def alarm(self) -> bool:
        """Whether the declared shares are rejected at `alpha`."""
        return self.p < self.alpha

    @property
    def sentence(self) -> str:
        """The counts, the declared shares and the conclusion, in one sentence."""
        shares = ", ".join(
            f"{count} (declared: {expected:.0f})" for count, expected in zip(self.counts, self.expected, strict=True)
        )
        if self.alarm:
            return (
                f"units are not split as declared: {shares}; p = {self.p:.2g}; compare nothing until it is explained."
            )
        return f"units are split as declared: {shares}; p = {self.p:.2g}."


def _declared(counts: ArrayLike, weights: ArrayLike) -> tuple[Doubles, Doubles]:
    observed, shares = np.asarray(counts, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if observed.shape[-1] > shares.shape[-1] or not (observed >= 0).all():
        raise BadInput("counts", f"0 or above, at most one for each of {shares.shape[-1]} weights", counts)
    used = shares > 0
    if not used.any():
        raise BadInput("weights", "above 0 for one arm or more", weights)
    padded = np.zeros((*observed.shape[:-1], len(shares)))
    padded[..., : observed.shape[-1]] = observed
    return padded[..., used], shares[used] / shares[used].sum()


@finite("counts", "weights")
def sample_ratio_log_e(counts: ArrayLike, weights: ArrayLike, concentration: float = CONCENTRATION) -> Doubles:
    """Log e-value against the declared shares, by a Dirichlet mixture around them, shape (...,).

    `counts`: units of each arm, shape (..., arms). `weights`: the declared shares up to a factor, shape (arms,). The
    e-value depends on the counts alone, so it is valid at any look and in any order of units. Raises `BadInput` for
    negative counts, more counts than weights, or weights without one above 0.
    """
    check_positive(concentration=concentration)
    observed, shares = _declared(counts, weights)
    prior = concentration * shares
    grown = special.gammaln(prior + observed) - special.gammaln(prior) - observed * np.log(shares)
    units = observed.sum(axis=-1)
    return np.asarray(special.gammaln(concentration) - special.gammaln(concentration + units) + grown.sum(axis=-1))


@finite("counts", "weights", "alpha")
def sample_ratio(
    counts: ArrayLike,
    weights: ArrayLike,
    alpha: float = SAMPLE_RATIO_ALPHA,
    concentration: float = CONCENTRATION,
    largest_before: float = 0.0,
) -> SampleRatio:
    """The sequential test at this look, valid at every look.

    `counts`, `weights`: shape (arms,). `largest_before`: the largest log e-value of earlier looks, so that an alarm
    once raised stays. Raises `BadInput` as `sample_ratio_log_e` does.

    >>> sample_ratio([10_000, 10_100], [1, 1]).alarm
    False
    >>> sample_ratio([10_000, 11_000], [1, 1]).alarm
    True
    """
    log_e = max(float(sample_ratio_log_e(counts, weights, concentration)), largest_before)
    return _result(counts, weights, min(1.0, float(np.exp(-log_e))), alpha, True)


@finite("counts", "weights", "alpha")
def sample_ratio_chi_square(counts: ArrayLike, weights: ArrayLike, alpha: float = SAMPLE_RATIO_ALPHA) -> SampleRatio:
    """Pearson's chi-square test, valid for one look; `counts` and `weights` of shape (arms,).

    An arm of weight 0 is left out, also of the degrees of freedom. Raises `BadInput` as `sample_ratio_log_e` does.
    Source: Pearson, Philosophical Magazine 1900.
    """
    observed, shares = _declared(counts, weights)
    expected = observed.sum() * shares
    if len(shares) < 2 or not expected.sum() or np.asarray(counts).shape[-1] < 2:
        return _result(counts, weights, 1.0, alpha, False)
    p = float(stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(shares) - 1))
    return _result(counts, weights, p, alpha, False)


def _result(counts: ArrayLike, weights: ArrayLike, p: float, alpha: float, anytime: bool) -> SampleRatio:
    observed, shares = _declared(counts, weights)
    units = observed.sum()
    return SampleRatio(tuple(int(count) for count in observed), tuple((units * shares).tolist()), p, alpha, anytime)
