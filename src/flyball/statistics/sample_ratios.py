"""Sample ratio mismatch: whether units went to the arms in the declared shares; if not, no comparison is valid.

Source: Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022 (arXiv 2011.03567).
"""

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_positive

SAMPLE_RATIO_ALPHA = 0.001
"""The rate of false alarms, over the whole life of an experiment."""
CONCENTRATION = 1_000.0
"""How far off shares are looked for: about one part in sqrt(1,000)."""


class SampleRatio(msgspec.Struct, frozen=True):
    """`p`: of the declared shares; `alarm`: at `alpha`, over all looks where `anytime`."""

    counts: tuple[int, ...]
    expected: tuple[float, ...]
    p: float
    alpha: float
    anytime: bool

    @property
    def alarm(self) -> bool:
        """Whether the shares are not the declared ones."""
        return self.p < self.alpha

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
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


def sample_ratio_log_e(counts: ArrayLike, weights: ArrayLike, concentration: float = CONCENTRATION) -> Doubles:
    """Log e-value against the declared shares; `counts` shape (..., arms): a Dirichlet mixture around them.

    A function of the counts alone: valid at any look and in any order of units.
    """
    check_positive(concentration=concentration)
    observed, shares = _declared(counts, weights)
    prior = concentration * shares
    grown = special.gammaln(prior + observed) - special.gammaln(prior) - observed * np.log(shares)
    units = observed.sum(axis=-1)
    return np.asarray(special.gammaln(concentration) - special.gammaln(concentration + units) + grown.sum(axis=-1))


def sample_ratio(
    counts: ArrayLike,
    weights: ArrayLike,
    alpha: float = SAMPLE_RATIO_ALPHA,
    concentration: float = CONCENTRATION,
    largest_before: float = 0.0,
) -> SampleRatio:
    """The sequential check at this look; `counts` shape (arms,).

    `largest_before`: the largest log e-value of looks before, where they are kept: once an alarm, always one.

    >>> sample_ratio([10_000, 10_100], [1, 1]).alarm
    False
    >>> sample_ratio([10_000, 11_000], [1, 1]).alarm
    True
    """
    log_e = max(float(sample_ratio_log_e(counts, weights, concentration)), largest_before)
    return _result(counts, weights, min(1.0, float(np.exp(-log_e))), alpha, True)


def sample_ratio_chi_square(counts: ArrayLike, weights: ArrayLike, alpha: float = SAMPLE_RATIO_ALPHA) -> SampleRatio:
    """The chi-square test for one look; arms of weight 0 count neither as units nor as degrees of freedom."""
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
