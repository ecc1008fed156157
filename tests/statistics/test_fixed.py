"""Fixed-horizon tests against scipy and Spotify's published values."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import Contrast, Inference, Sums, mean_contrast, two_proportions, welch


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = np.round(rng.normal(0, 1, 40), 6), np.round(rng.normal(0.4, 3, 25), 6)
    contrast = mean_contrast(Sums.of(a), Sums.of(b))
    for side, alternative in (("two", "two-sided"), ("greater", "greater"), ("less", "less")):
        peer = stats.ttest_ind(b, a, equal_var=False, alternative=alternative)
        found = welch(contrast, side=side)
        assert found.p == pytest.approx(peer.pvalue, rel=1e-9)
        assert (found.low, found.high) == pytest.approx(tuple(peer.confidence_interval(0.95)), rel=1e-9)


def test_two_proportions_are_spotifys() -> None:
    for case in vectors("experiment_design")["chi_squared_two_prop"]:
        found = two_proportions(*case["a"], *case["b"], relative=case.get("relative", False))
        assert found.effect == pytest.approx(case["diff"], abs=1e-6)
        assert [found.low, found.high] == pytest.approx(case["ci95"], abs=1e-6)
        assert found.p == pytest.approx(case["p"], abs=1e-6)
        if "ci99" in case:
            wide = two_proportions(*case["a"], *case["b"], alpha=0.01)
            assert [wide.low, wide.high] == pytest.approx(case["ci99"], abs=1e-6)


def test_non_inferiority_is_a_shifted_one_sided_test() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, 900), rng.normal(1, 1, 900)
    contrast = mean_contrast(Sums.of(a), Sums.of(b))
    found = welch(contrast, margin=0.3)
    assert found.p == pytest.approx(
        stats.ttest_ind(b + 0.3, a, equal_var=False, alternative="greater").pvalue, rel=1e-4
    )
    assert found.verdict == "not worse than the margin"
    assert found.high == np.inf
    assert welch(contrast, margin=0.3, higher_is_better=False).low == -np.inf


def test_no_events_at_all_prove_nothing() -> None:
    assert two_proportions(0, 10, 0, 10).p == 1.0


def test_bad_arguments_are_refused() -> None:
    contrast = mean_contrast(Sums.of([0.0, 1.0]), Sums.of([0.0, 1.0]))
    for call, message in [
        (lambda: welch(contrast, alpha=5), "alpha must be between 0 and 1"),
        (lambda: welch(contrast, side="both"), "side must be one of two, greater, less"),
        (lambda: welch(contrast, margin=-1), "margin must be 0 or above"),
        (lambda: two_proportions(0, 0, 0, 0), "one or more"),
        (lambda: two_proportions(0, 9, 1, 9, relative=True), "above 0"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def test_two_proportions_are_the_chi_square_of_their_table() -> None:
    table = [[42, 62], [500, 509]]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert two_proportions(42, 104, 500, 1009).p == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("side", ["two", "greater", "less"])
@pytest.mark.parametrize("effect", [-1.0, 0.0, 2.0])
@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_a_standard_error_of_0_is_the_limit_of_smaller_and_smaller_ones(
    side: str, effect: float, margin: float
) -> None:
    def tested(se: float) -> Inference:
        return welch(Contrast(effect, se, 7.0, 5, 5, 1.0), side=side, margin=margin)

    at, near = tested(0.0), tested(1e-60)
    assert at.p == pytest.approx(near.p, abs=1e-12)
    assert (at.low, at.high) == pytest.approx((near.low, near.high), abs=1e-12)
    assert at.verdict == near.verdict or effect == -margin, "at the margin itself an interval without width is a point"


def test_a_standard_error_of_0_is_as_in_scipy() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        peer = stats.ttest_ind([2.0, 2.0, 2.0], [1.0, 1.0, 1.0], equal_var=False)
    assert (welch(Contrast(1.0, 0.0, 4.0, 3, 3, 1.0)).p, 0.0) == (peer.pvalue, 0.0)


def test_standard_errors_that_cannot_be_are_refused() -> None:
    for se in (-1.0, math.nan, math.inf):
        with pytest.raises(BadInput, match="se must be"):
            welch(Contrast(1.0, se, 7.0, 5, 5, 1.0))
