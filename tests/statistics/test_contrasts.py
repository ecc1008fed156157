"""Contrasts against GrowthBook's published values, numeric derivatives, and planted effects."""

import numpy as np
import pytest
from tests.statistics.vectors import contrast_of, vectors

from flyball.core import BadInput
from flyball.statistics import (
    Contrast,
    Sums,
    adjusted_contrast,
    adjusted_ratio_contrast,
    adjustment,
    anytime,
    mean_contrast,
    rate_contrast,
    ratio_contrast,
    stratified_contrast,
    welch,
)
from flyball.statistics.contrasts import standardized

SIDES = {"greater": "greater", "lesser": "less"}


def test_growthbook_cases() -> None:
    """All 17. Two conventions differ: impossible sums are refused here, and a one-sided p is not capped at 0.4999."""
    checked = 0
    for case in vectors("gbstats_frequentist")["cases"]:
        if "expect" in case:
            with pytest.raises(BadInput, match="sum of squares"):
                contrast_of(case)
            checked += 1
            continue
        contrast, side = contrast_of(case), SIDES.get(case.get("side", ""), "two")
        sequential = case.get("sequential", False)
        found = anytime(contrast, case.get("tuning", 5000), side=side) if sequential else welch(contrast, side=side)
        if "effect" in case:
            assert found.effect == pytest.approx(case["effect"], abs=6e-6)
        if "se" in case:
            assert contrast.se == pytest.approx(case["se"], abs=6e-6)
        low, high = case["ci"]
        assert found.low == (-np.inf if low is None else pytest.approx(low, abs=6e-6)), case["name"]
        assert found.high == (np.inf if high is None else pytest.approx(high, abs=6e-6)), case["name"]
        if sequential and side != "two":
            assert found.p >= 0.4999 if case["p"] == 0.4999 else found.p == pytest.approx(case["p"], abs=2e-4)
        else:
            assert found.p == pytest.approx(case["p"], abs=6e-6), case["name"]
        checked += 1
    assert checked == 17


def test_growthbook_adjustment_of_a_mean_and_a_ratio() -> None:
    known = vectors("gbstats_misc")
    theta = known["cuped_theta"]
    arm = Sums.of(np.column_stack([theta["post"], theta["pre"]]))
    assert adjustment(arm, arm)[0] == pytest.approx(theta["theta5"], abs=6e-6)
    ratio = known["cuped_ratio_sign"]
    for name in ("improving", "declining"):
        expected = ratio[name]
        for sign in (1, -1):
            a, b = (
                Sums.of(
                    np.column_stack(
                        [
                            sign * np.array(ratio["m_post_a" if arm == "a" else f"m_post_b_{name}"]),
                            ratio[f"d_post_{arm}"],
                            sign * np.array(ratio[f"m_pre_{arm}"]),
                            ratio[f"d_pre_{arm}"],
                        ]
                    )
                )
                for arm in "ab"
            )
            found = adjusted_ratio_contrast(a, b, relative=True, theta=ratio["theta"])
            assert found.effect == pytest.approx(sign * expected["lift"], abs=1e-6)
            assert found.se == pytest.approx(expected["se"], abs=1e-6)
    for base, other, expected in known["relative_diff"]:
        arms = [Sums.of(np.array([-1.0, 1.0]) + mean) for mean in (base, other)]
        assert mean_contrast(*arms, relative=True).effect == pytest.approx(expected)


@pytest.mark.parametrize("relative", [False, True])
def test_the_delta_method_is_the_spread_of_many_experiments(relative: bool) -> None:
    """The standard error of each contrast is the standard deviation of its effect over 800 worlds."""
    rng = np.random.default_rng(5)
    found: dict[str, list[tuple[float, float]]] = {"ratio": [], "adjusted": [], "adjusted ratio": []}
    for _ in range(800):
        arms = []
        for _ in range(2):
            taste = rng.normal(1.0, 0.3, size=150)
            views = 1 + rng.poisson(4, size=(2, 150))
            clicks = views * np.clip(taste + rng.normal(0, 0.3, size=(2, 150)), 0, 3)
            arms.append(Sums.of(np.column_stack([clicks[1], views[1], clicks[0], views[0]])))
        a, b = arms
        for name, contrast in (
            ("ratio", ratio_contrast(a, b, relative)),
            ("adjusted", adjusted_contrast(a, b, relative)),
            ("adjusted ratio", adjusted_ratio_contrast(a, b, relative)),
        ):
            found[name].append((contrast.effect, contrast.se))
    for name, pairs in found.items():
        effects, ses = np.array(pairs).T
        assert np.sqrt((ses**2).mean()) == pytest.approx(effects.std(), rel=0.1), name
        assert abs(effects.mean()) < 4 * effects.std() / np.sqrt(800), name


def test_adjustment_narrows_by_the_correlation() -> None:
    rng = np.random.default_rng(6)
    before = rng.normal(size=(2, 20_000))
    after = 0.8 * before + 0.6 * rng.normal(size=(2, 20_000)) + np.array([[0.0], [0.05]])
    a, b = (Sums.of(np.column_stack([after[arm], before[arm]])) for arm in (0, 1))
    plain, adjusted = mean_contrast(a, b), adjusted_contrast(a, b)
    assert adjusted.se / plain.se == pytest.approx(0.6, abs=0.01)
    assert adjusted.effect == pytest.approx(0.05, abs=3 * adjusted.se)


def test_ramp_steps_are_not_pooled() -> None:
    """Simpson's paradox by construction: b is better by 1 in both steps, the pooled means say it is worse."""
    noise = np.tile([-0.5, 0.5], 450)
    first = (Sums.of(10 + noise[:900]), Sums.of(11 + noise[:100]))
    second = (Sums.of(20 + noise[:100]), Sums.of(21 + noise[:20]))
    pooled = mean_contrast(first[0].merge(second[0]), first[1].merge(second[1]))
    stratified = stratified_contrast([mean_contrast(*first), mean_contrast(*second)])
    assert stratified.effect == pytest.approx(1.0)
    assert pooled.effect != pytest.approx(1.0, abs=0.2)
    assert (stratified.count_a, stratified.count_b) == (1000, 120)


def test_what_has_no_contrast_is_refused() -> None:
    flat, zero = Sums.of([1.0, 1.0]), Sums.of([-1.0, 1.0])
    for call, message in [
        (lambda: mean_contrast(flat, flat), "not all the same"),
        (lambda: mean_contrast(zero, zero, relative=True), "other than 0"),
        (lambda: mean_contrast(Sums.of([0.0, 1.0]), Sums.of([0.0, 0.0]), relative=True), "arm b must be not all 0"),
        (lambda: adjusted_contrast(flat, flat), "covariates"),
        (lambda: adjusted_ratio_contrast(flat, flat), "four columns"),
        (lambda: ratio_contrast(flat, flat), "2 columns"),
        (lambda: stratified_contrast([]), "one or more"),
        (lambda: stratified_contrast([Contrast(1, 1, 1, 1, 1, 1), Contrast(1, 1, 1, 1, 1, 1, True)]), "all relative"),
        (lambda: rate_contrast(1, 1, 1, 1), "two or more"),
        (lambda: rate_contrast(3, 2, 1, 2), "successes of a"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def test_steps_without_any_error_weigh_as_those_of_equal_ones() -> None:
    steps = [Contrast(1.0, 0.0, 7.0, 5, 5, 1.0), Contrast(3.0, 0.0, 9.0, 10, 20, 1.0)]
    near = [Contrast(step.effect, 1e-60, step.dof, step.count_a, step.count_b, step.base) for step in steps]
    at, limit = stratified_contrast(steps), stratified_contrast(near)
    assert (at.effect, at.se, at.dof) == pytest.approx((limit.effect, 0.0, limit.dof))
    assert at.effect == 2.5


def test_an_effect_without_error_is_infinitely_many_errors_away() -> None:
    assert standardized([-1.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.5]).tolist() == [-np.inf, 0.0, np.inf, 2.0]
    assert standardized(1e300, 1e-300) == np.inf
    for se in (-1.0, np.nan, np.inf):
        with pytest.raises(BadInput, match="se must be"):
            standardized(1.0, se)
