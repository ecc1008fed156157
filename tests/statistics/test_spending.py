"""Group-sequential bounds: published tables, a multivariate-normal oracle, and Spotify's cases."""

import numpy as np
import pytest
from scipy import stats
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import (
    SPENDING,
    Contrast,
    Sums,
    crossing_probabilities,
    group_sequential,
    mean_contrast,
    plan_looks,
    spending_bounds,
)


def test_the_published_tables_of_five_looks() -> None:
    """Two-sided .05 (ldbounds, Reboussin et al. 2000, tables of Lan-DeMets O'Brien-Fleming and Pocock)."""
    assert spending_bounds(np.arange(1, 6) / 5) == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
    pocock = [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]
    assert spending_bounds(np.arange(1, 6) / 5, spending="pocock") == pytest.approx(pocock, abs=1.2e-4)


def test_what_is_spent_is_expans() -> None:
    known = vectors("experiment_design")["obrien_fleming_spending"]
    assert SPENDING["obrien_fleming"](np.array(known["t"]), 0.05) == pytest.approx(known["spent"], rel=1e-6)
    assert SPENDING["obrien_fleming"](np.array([0.5]), 0.05)[0] == pytest.approx(known["t=.5"])


@pytest.mark.parametrize("spending", sorted(SPENDING))
@pytest.mark.parametrize("side", ["two", "greater"])
def test_crossing_spends_alpha_exactly_and_agrees_with_the_normal_distribution(spending: str, side: str) -> None:
    t = np.array([0.3, 0.55, 1.0])
    bounds = spending_bounds(t, 0.05, spending, side)
    above, below = crossing_probabilities(t, bounds, side=side)
    assert above.sum() + below.sum() == pytest.approx(0.05, abs=1e-7)
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    limit = stats.multivariate_normal(cov=correlation, seed=1)
    lower = -bounds if side == "two" else np.full(3, -12.0)
    assert limit.cdf(bounds, lower_limit=lower) == pytest.approx(0.95, abs=2e-4)
    shift = 2.0 * np.sqrt(t)
    up, down = crossing_probabilities(t, bounds, drift=2.0, side=side)
    stays = limit.cdf(bounds - shift, lower_limit=lower - shift)
    assert 1 - up.sum() - down.sum() == pytest.approx(stays, abs=2e-4)


def test_spotifys_many_looks() -> None:
    """181 and 196 looks. Their second bound of the first case is 8, though 5.6e-8 are left to spend there; ours spends
    it (5.32), so the third differs by .07, and later ones by .03 at most: their grid is coarser than ours."""
    known = vectors("spotify_group_sequential_bounds")
    for case in known["cases"]:
        expected = np.array(case["expected_z_bounds"])
        t = np.array(case["information_fractions"])
        found = spending_bounds(t, known["alpha"], "quadratic")
        assert found[0] == pytest.approx(expected[0], abs=1e-6)
        assert np.abs(found - expected)[3:].max() < 0.03
        above, below = crossing_probabilities(t, found)
        assert above.sum() + below.sum() == pytest.approx(known["alpha"] * t[-1] ** 2, rel=1e-5)


def test_spotifys_overrun() -> None:
    """More units than planned: shares of what there is in the end."""
    known = vectors("spotify_group_sequential_bounds")["adjusted_alpha"]
    units = np.array(known["count_1"]) + np.array(known["count_2"])
    bounds = spending_bounds(units / units[-1], known["alpha"], "quadratic")
    assert 2 * stats.norm.sf(bounds) == pytest.approx(known["expected"], abs=1e-4)


def test_expans_example() -> None:
    known = vectors("experiment_design")["expan_group_sequential"]
    rng = np.random.RandomState(0)
    x, y = rng.normal(0, 1, 1000), rng.normal(0.1, 1, 1000)
    contrast = mean_contrast(Sums.of(y), Sums.of(x))
    found = group_sequential(contrast, plan_looks(2000, 1))
    assert found.effect == pytest.approx(known["delta"], abs=1e-6)
    # expan takes the pooled variance and t; at 1,998 degrees of freedom that is the same to 1e-4
    assert [found.low, found.high] == pytest.approx(known["ci"], abs=1e-4)
    assert found.p == pytest.approx(known["p"], abs=1e-5)
    _, below = crossing_probabilities([1.0], [1.959964], drift=contrast.effect / contrast.se)
    assert below[0] == pytest.approx(known["power"], abs=1e-3)
    assert (found.verdict == "worse") == known["stop"]


def test_between_planned_looks_one_waits() -> None:
    plan = plan_looks(1000, 4)
    strong = {units: Contrast(1.0, 0.01, 1e9, units // 2, units // 2, 1.0) for units in (100, 250, 300, 1000, 1400)}
    verdicts = {units: group_sequential(contrast, plan).verdict for units, contrast in strong.items()}
    assert verdicts == {100: "too early", 250: "better", 300: "too early", 1000: "better", 1400: "better"}
    assert group_sequential(strong[100], plan).missing == "the next planned look is at 250 units"
    assert group_sequential(strong[300], plan).missing == "the next planned look is at 500 units"


def test_looks_come_when_units_do() -> None:
    """Irregular looks: the bound is of what is really in, alpha is spent exactly, a second look in a portion waits."""
    plan = plan_looks(1000, 4)
    taken = [260, 510, 900]
    units = [*taken, 1100]
    contrasts = [Contrast(1.0, 0.01, 1e9, count // 2, count // 2, 1.0) for count in units]
    found = [group_sequential(each, plan, looks=units[:look]) for look, each in enumerate(contrasts)]
    bounds = [inference.constants["bound"] for inference in found]
    above, below = crossing_probabilities([0.26, 0.51, 0.9, 1.0], bounds)
    assert above.sum() + below.sum() == pytest.approx(0.05, abs=1e-6)
    assert [inference.verdict for inference in found] == ["better"] * 4
    again = group_sequential(Contrast(1.0, 0.01, 1e9, 150, 150, 1.0), plan, looks=[260])
    assert (again.verdict, again.missing) == ("too early", "the next planned look is at 500 units")
    late = group_sequential(contrasts[-1], plan, looks=[500, 1050])
    assert (late.verdict, late.missing) == ("too early", "the last look was taken at 1050 units, and there is no other")
    exact = [group_sequential(Contrast(1.0, 0.01, 1e9, n // 2, n // 2, 1.0), plan) for n in (250, 500, 750, 1000)]
    assert [inference.constants["bound"] for inference in exact] == pytest.approx(list(plan.bounds), abs=1e-6)
    with pytest.raises(BadInput, match="rising and below the present 520 units"):
        group_sequential(Contrast(1.0, 0.01, 1e9, 260, 260, 1.0), plan, looks=[600])


def test_bad_plans_are_refused() -> None:
    for call, message in [
        (lambda: plan_looks(100, [0.5, 0.9]), "the last at a share of 1"),
        (lambda: plan_looks(100, [0.5, 0.4, 1.0]), "rising"),
        (lambda: plan_looks(100, 3, spending="linear"), "obrien_fleming, pocock, quadratic"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()
