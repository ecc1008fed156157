"""Asymptotic sequences: the published formula, nesting, and false positives under daily looks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics import (
    Contrast,
    Inference,
    anytime,
    mean_sequence,
    sequence_log_e,
    sequence_p,
    sequence_r2,
    sequence_reach,
)


@given(st.floats(-5, 5), st.floats(0.01, 3), st.integers(2, 10**7), st.sampled_from(["two", "greater", "less"]))
def test_p_is_the_level_at_which_zero_leaves_the_interval(effect: float, se: float, count: int, side: str) -> None:
    r2 = sequence_r2(0.05, 5000, side)
    p = float(sequence_p(effect, se, count, r2, side))
    if 1e-200 < p < (1.0 if side == "two" else 0.5):
        reach = float(sequence_reach(se, count, p, r2, side))
        assert reach == pytest.approx(abs(effect), rel=1e-6)


def test_narrowest_near_the_chosen_units() -> None:
    """GrowthBook's property at n = 6,461, and ours: the choice is best where it was made for."""
    widths = {
        n_best: float(sequence_reach(1.0, 6461, 0.05, sequence_r2(0.05, n_best))) for n_best in (10, 6461, 10_000)
    }
    assert widths[10] > widths[10_000] > widths[6461]


def test_the_e_value_is_that_of_the_normal_mixture() -> None:
    from flyball.statistics import normal_log_mixture

    n, r2, z = 400.0, 0.002, 2.5
    assert sequence_log_e(z * 0.1, 0.1, n, r2) == pytest.approx(normal_log_mixture(z * np.sqrt(n), n, 1 / r2))


def test_false_positives_of_400_experiments_looked_at_a_hundred_times() -> None:
    rng = np.random.default_rng(11)
    steps = rng.normal(size=(400, 100)) * np.sqrt(2 / 200)
    counts = np.arange(1, 101) * 200
    effects = np.cumsum(steps * 200, axis=1) / counts  # differences of means of 100 a side a look
    ses = np.sqrt(2 / counts) * np.sqrt(1.0)
    errs = np.abs(effects) > sequence_reach(ses, counts, 0.05, sequence_r2(0.05, 10_000))
    assert errs.any(axis=1).mean() <= 0.05
    assert (np.abs(effects) > 1.96 * ses).any(axis=1).mean() > 0.25  # what the fixed test does


def test_nothing_is_concluded_within_the_burn_in() -> None:
    strong = Contrast(1.0, 0.01, 1e9, 499, 9_000, 1.0)
    found = anytime(strong, n_best=5000)
    assert (found.verdict, found.missing) == ("too early", "1 more units in the smaller arm (burn-in of 500)")
    assert anytime(strong, n_best=5000, burn_in=499).verdict == "better"


def test_non_inferiority() -> None:
    level = Contrast(-0.001, 0.01, 1e9, 9_000, 9_000, 1.0)
    assert anytime(level, 10_000, margin=0.05).verdict == "not worse than the margin"
    assert anytime(level, 10_000, margin=0.05).p < 0.05
    assert anytime(level, 10_000, margin=0.02).verdict == "undecided"
    with pytest.raises(BadInput, match="n_best"):
        anytime(level, 0)


def test_the_sequence_of_one_mean_covers_it_at_every_look() -> None:
    rng = np.random.default_rng(12)
    missed = 0
    for _ in range(200):
        values = rng.exponential(2.0, size=6_000)
        totals, squares = np.cumsum(values), np.cumsum(values**2)
        looks = [mean_sequence(totals[n - 1], squares[n - 1], n, n_best=3_000) for n in range(500, 6_001, 250)]
        missed += any(look is not None and not look[0] <= 2.0 <= look[1] for look in looks)
    assert missed <= 10  # 5 % of 200
    assert mean_sequence(10.0, 10.0, 499, n_best=3_000) is None
    assert mean_sequence(0.0, 0.0, 1_000, n_best=3_000) == (0.0, 0.0)


def test_one_side_is_tuned_as_one() -> None:
    contrast = Contrast(1.0, 0.1, 1e9, 2_500, 2_500, 2.0)
    r2 = (-2 * np.log(0.1) + np.log1p(-2 * np.log(0.1))) / 5_000
    reach = float(sequence_reach(0.1, 5_000, 0.05, r2, "greater"))
    assert anytime(contrast, 5_000, side="greater").low == pytest.approx(1.0 - reach)


@pytest.mark.parametrize("side", ["two", "greater", "less"])
@pytest.mark.parametrize("effect", [-1.0, 0.0, 2.0])
def test_a_standard_error_of_0_is_the_limit_of_smaller_and_smaller_ones(side: str, effect: float) -> None:
    def looked_at(se: float) -> Inference:
        return anytime(Contrast(effect, se, 7.0, 600, 600, 1.0), n_best=1_000, side=side)

    at, near = looked_at(0.0), looked_at(1e-100)
    assert (at.p, at.low, at.high) == pytest.approx((near.p, near.low, near.high), abs=1e-12)
    assert at.verdict == near.verdict
    for se in (-1.0, math.nan):
        with pytest.raises(BadInput, match="se must be"):
            looked_at(se)
    assert float(sequence_log_e(effect, 0.0, 1_200, 0.01)) == pytest.approx(
        math.inf if effect else float(sequence_log_e(0.0, 1.0, 1_200, 0.01))
    )
