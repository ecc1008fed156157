"""Calibration maps against scipy, published vectors and planted distortions; ties, weights and edges."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from tests.data import real

from flyball.core import BadInput
from flyball.models.tabular.calibration.beta import BetaMap, fit_beta
from flyball.models.tabular.calibration.isotonic import fit_isotonic
from flyball.models.tabular.calibration.logistic import smoothed_targets
from flyball.models.tabular.calibration.platt import fit_platt, log_odds_of
from flyball.models.tabular.calibration.prior import corrected_prior

FITS: dict[str, Any] = {"isotonic": fit_isotonic, "platt": fit_platt, "beta": fit_beta}
grid = [0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 1.0]
examples = st.lists(
    st.tuples(st.sampled_from(grid), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=25
).filter(lambda rows: any(weight for *_, weight in rows))


def columns_of(rows: Any) -> list[Any]:
    return [np.array(column, np.float64) for column in zip(*rows, strict=True)]


@given(rows=examples)
def test_isotonic_is_that_of_scipy_at_every_score(rows: list[Any]) -> None:
    scores, actual, weight = columns_of(rows)
    found = fit_isotonic(scores, actual, weight)
    points = np.unique(scores[weight > 0])
    masses = np.array([weight[scores == point].sum() for point in points])
    means = np.array([(weight * actual)[scores == point].sum() for point in points]) / masses
    expected = optimize.isotonic_regression(means, weights=masses).x
    assert found.apply(points) == pytest.approx(expected, abs=1e-12)
    assert (np.diff(found.apply(np.linspace(-1, 2, 50))) >= 0).all()
    assert found.apply(np.array([-5.0, 5.0])) == pytest.approx([expected[0], expected[-1]])


@pytest.mark.parametrize("name", FITS)
@given(rows=examples, seed=st.integers(0, 3))
def test_weights_are_repeated_examples_and_order_is_nothing(name: str, rows: list[Any], seed: int) -> None:
    scores, actual, weight = columns_of(rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    points = np.array(grid)
    plain = FITS[name](scores, actual, weight).apply(points)
    assert FITS[name](scores[order], actual[order], weight[order]).apply(points).tolist() == plain.tolist()
    twice = np.repeat(np.arange(len(rows)), weight.astype(int))
    # As near as the fits converge: where all scores are one, slope and intercept can stand in for each other.
    assert FITS[name](scores[twice], actual[twice]).apply(points) == pytest.approx(plain, abs=1e-4)


def test_platt_is_that_of_libsvm() -> None:
    case = json.loads(real("..", "vectors", "calibration.json").read_text())["platt"]
    found = fit_platt(np.array(case["f"]), (np.array(case["y"]) > 0).astype(float))
    assert -found.slope == pytest.approx(case["A"], abs=0.5 * 10 ** -case["places"])
    assert -found.intercept == pytest.approx(case["B"], abs=0.5 * 10 ** -case["places"])


@given(rows=examples)
def test_platt_and_beta_have_the_least_loss_there_is(rows: list[Any]) -> None:
    """The oracle is scipy's bounded optimizer on the same smoothed targets."""
    scores, actual, weight = columns_of(rows)
    target = smoothed_targets(actual, weight)
    clipped = np.clip(scores, 1e-15, 1 - 1e-15)
    designs = {
        "platt": (np.stack([scores, np.ones(len(scores))], axis=1), [(None, None)] * 2),
        "beta": (
            np.stack([np.log(clipped), -np.log1p(-clipped), np.ones(len(scores))], axis=1),
            [(0, None), (0, None), (None, None)],
        ),
    }
    for name, (design, bounds) in designs.items():

        def loss(theta: Any, design: Any = design, name: str = name) -> float:
            link = design @ theta
            pull = 0.5e-3 * ((theta - [1.0, 1.0, 0.0]) ** 2).sum() if name == "beta" else 0.0
            return float((weight * (np.logaddexp(0, link) - target * link)).sum() + pull)

        best = optimize.minimize(loss, np.zeros(design.shape[1]), bounds=bounds, method="L-BFGS-B").fun
        found = FITS[name](scores, actual, weight)
        theta = [found.slope, found.intercept] if name == "platt" else [found.a, found.b, found.c]
        assert loss(np.array(theta)) <= best + 1e-3 * max(1.0, abs(best))


@pytest.mark.parametrize("true", [BetaMap(1.0, 1.0, 0.0), BetaMap(0.6, 1.5, -0.7), BetaMap(2.0, 0.5, 0.3)])
def test_beta_finds_the_planted_map(true: BetaMap) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.beta(1.2, 2.0, 200_000)
    actual = (rng.random(200_000) < true.apply(probabilities)).astype(float)
    found = fit_beta(probabilities, actual)
    assert (found.a, found.b, found.c) == pytest.approx((true.a, true.b, true.c), abs=0.06)


def test_a_scale_that_falls_is_no_map_of_beta() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.random(5_000)
    found = fit_beta(probabilities, (rng.random(5_000) > probabilities).astype(float))
    assert found.a >= 0
    assert found.b >= 0
    assert (np.diff(found.apply(np.linspace(0, 1, 50))) >= 0).all()


@pytest.mark.parametrize("name", FITS)
def test_overconfident_probabilities_are_corrected_on_fresh_examples(name: str) -> None:
    rng = np.random.default_rng(2)

    def drawn(count: int) -> tuple[Any, Any, Any]:
        true = rng.beta(1.0, 3.0, count)
        odds = (true / (1 - true)) ** 2  # log-odds twice as far from 0 as they should be
        return odds / (1 + odds), true, (rng.random(count) < true).astype(float)

    said, _, actual = drawn(40_000)
    fresh, true, _ = drawn(40_000)
    scores, points = (log_odds_of(said), log_odds_of(fresh)) if name == "platt" else (said, fresh)
    corrected = FITS[name](scores, actual).apply(points)
    assert np.abs(corrected - true).mean() < 0.01 < np.abs(fresh - true).mean()


@pytest.mark.parametrize("name", FITS)
def test_a_row_has_the_same_bits_in_any_batch(name: str) -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(301)
    found = FITS[name](scores, (rng.random(301) < scores).astype(float))
    whole = found.apply(scores)
    assert [found.apply(scores[row : row + 1])[0] for row in range(301)] == whole.tolist()
    assert found.apply(scores[5:18]).tolist() == whole[5:18].tolist()


@pytest.mark.parametrize("name", FITS)
def test_edges(name: str) -> None:
    fit = FITS[name]
    for actual in (0.0, 1.0):  # all of one class, all of one score
        constant = fit(np.full(6, 0.5), np.full(6, actual)).apply(np.array([0.1, 0.5, 0.9]))
        assert np.isfinite(constant).all()
        assert abs(constant[1] - actual) < 0.2
    single = fit(np.array([0.3]), np.array([1.0])).apply(np.array([0.0, 1.0]))
    assert ((single >= 0) & (single <= 1)).all()
    separated = fit(np.repeat([0.0, 1.0], 50), np.repeat([0.0, 1.0], 50)).apply(np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(separated).all()
    assert separated[0] < 0.1 < 0.9 < separated[2]
    with pytest.raises(BadInput, match=r"scores to calibrate by must be finite|probabilities"):
        fit(np.array([np.nan, 0.5]), np.array([0, 1]))
    with pytest.raises(BadInput, match=r"actual to calibrate by must be of shape \(2,\), got \(3,\)"):
        fit(np.array([0.1, 0.5]), np.array([0, 1, 1]))
    with pytest.raises(BadInput, match="actual to calibrate by must be from 0 to 1, got 2"):
        fit(np.array([0.1, 0.5]), np.array([0, 2]))
    with pytest.raises(BadInput, match="weight to calibrate by must be from 0, got -1"):
        fit(np.array([0.1, 0.5]), np.array([0, 1]), np.array([1, -1]))
    with pytest.raises(BadInput, match="examples to calibrate by must be one or more of a weight above 0, got 2"):
        fit(np.array([0.1, 0.5]), np.array([0, 1]), np.zeros(2))


def test_beta_refuses_what_is_no_probability() -> None:
    with pytest.raises(BadInput, match="probabilities to calibrate by must be from 0 to 1, got 1.5"):
        fit_beta(np.array([0.1, 1.5]), np.array([0, 1]))


def test_the_prior_is_put_back_as_bayes_has_it() -> None:
    """Among what is left after keeping a tenth of the negatives, the share of positives is larger; undone exactly."""
    true = np.array([0.001, 0.01, 0.2, 0.9, 0.0, 1.0])
    kept = true / (true + (1 - true) * 0.1)
    assert corrected_prior(kept, 0.1) == pytest.approx(true, abs=1e-15)
    assert corrected_prior(true, 1.0) == pytest.approx(true)
    for wrong in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(BadInput, match="share of the negatives that was kept must be above 0, at most 1"):
            corrected_prior(true, wrong)
