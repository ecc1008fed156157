"""Power and units needed against G*Power, Spotify, expan, GrowthBook and a simulation."""

import numpy as np
import pytest
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import (
    Contrast,
    Design,
    Sums,
    anytime,
    best_shares,
    days_needed,
    mean_contrast,
    minimum_detectable_effect,
    power_of,
    units_needed,
)


def test_gpowers_nine_sizes() -> None:
    for case in vectors("experiment_design")["sample_size_gpower"]:
        variance = case["variance"] if case["kind"] == "mean" else case["p"] * (1 - case["p"])
        shares = case.get("allocation", [1 / case.get("arms", 2)] * case.get("arms", 2))
        pair = shares[0] + shares[1]
        design = Design(variance, alpha=case.get("alpha", 0.05), power=case.get("power", 0.85), share=shares[1] / pair)
        assert units_needed(design, case["mde_abs"]) / pair == pytest.approx(case["total"], rel=case["rtol"])


def test_spotifys_six_sizes() -> None:
    """Their rules, spelled out: alpha shared by success metrics and treatments, power by guardrails; p(1 - p) of b."""
    for case in vectors("experiment_design")["sample_size_spot1"]:
        metrics, weights = case["metrics"], np.array(case["weights"], dtype=float)
        successes = sum(metric[3] == "mde" for metric in metrics)
        guardrails = len(metrics) - successes
        for (kind, mean, variance, role, size, side), total in zip(metrics, case["n"], strict=True):
            alpha = (1 - case["interval"]) / (len(weights) - 1) / max(successes if role == "mde" else 1, 1)
            power = 1 - (1 - case["power"]) / (guardrails + (successes > 0) if guardrails else 1)
            moved = mean * (1 + size)
            other = moved * (1 - moved) if kind == "binary" and role == "mde" else variance
            pair = (weights[0] + weights[1]) / weights.sum()
            design = Design(
                variance,
                alpha=alpha,
                power=power,
                share=weights[1] / (weights[0] + weights[1]),
                side="two" if side is None else "greater",
                variance_b=other,
            )
            assert units_needed(design, mean * size) / pair == pytest.approx(total, rel=2e-3), case


def test_expans_power_and_sizes() -> None:
    known = vectors("experiment_design")
    for case in known["power"]:
        design = Design(case["variance"], alpha=case["alpha"], share=case["n"][1] / sum(case["n"]))
        assert power_of(design, case["mde"], sum(case["n"])) == pytest.approx(case["power"], rel=0.005)
    for case in known["expan_estimate_sample_size"]:
        x = np.array(case["x"], dtype=float)
        # expan: relative to the mean, variance of n - 1, units of both arms, power .8
        assert units_needed(Design(float(x.var(ddof=1))), 0.01 * x.mean()) == pytest.approx(case["n"], rel=1e-4)


def test_growthbooks_units_in_the_middle_of_an_experiment() -> None:
    """Their factor counts what is still to come: how often the present units, beside these."""
    known = vectors("gbstats_misc")["midexperiment_power"]
    a, b = (Sums.of_totals(known[arm]["n"], [known[arm]["sum"]], [known[arm]["sum_squares"]]) for arm in "ab")
    contrast = mean_contrast(a, b, relative=True)
    variance = contrast.se**2 * contrast.count / 4
    expected = known["scaling_factor"]
    fixed = units_needed(Design(variance), known["target_mde"]) / contrast.count - 1
    assert fixed == pytest.approx(expected["fixed"], abs=0.02)
    sequence = Design(variance, "anytime", looks=1, n_best=5000)
    assert units_needed(sequence, known["target_mde"]) / contrast.count - 1 == pytest.approx(
        expected["sequential_5000"], abs=0.02
    )


def test_the_horizon_declared_costs_little_and_every_look_more() -> None:
    needed = {method: units_needed(Design(1.0, method), 0.05) for method in ("fixed", "group_sequential", "anytime")}
    assert needed["fixed"] < needed["group_sequential"] < 1.1 * needed["fixed"]
    assert 1.3 * needed["fixed"] < needed["anytime"] < 2 * needed["fixed"]
    for method, units in needed.items():
        assert power_of(Design(1.0, method), 0.05, units) == pytest.approx(0.8, abs=1e-3)
        assert minimum_detectable_effect(Design(1.0, method), units) == pytest.approx(0.05, rel=1e-3)
    assert days_needed(Design(1.0), 0.05, units_a_day=1_000) == needed["fixed"] / 1_000
    assert units_needed(Design(1.0), 0.0, margin=0.05) == needed["fixed"]


def test_the_power_of_every_look_is_that_of_simulated_experiments() -> None:
    rng = np.random.default_rng(9)
    units, effect = 20_000, 0.05
    steps = rng.normal(effect * units / 20, np.sqrt(4 * units / 20), size=(1_500, 20))
    counts = np.arange(1, 21) * units / 20
    effects = np.cumsum(steps, axis=1) / counts
    ses = 2 / np.sqrt(counts)
    wins = 0
    for row in effects:
        arms = zip(row.tolist(), ses.tolist(), (counts // 2).astype(int).tolist(), strict=True)
        looks = [Contrast(look, se, 1e9, units_a, units_a, 1.0) for look, se, units_a in arms]
        wins += any(anytime(look, units, burn_in=0).low > 0 for look in looks)
    expected = power_of(Design(1.0, "anytime"), effect, units)
    assert wins / 1_500 == pytest.approx(expected, abs=0.035)


def test_shares_of_arms() -> None:
    """Spotify takes 1 / treatments for each treatment (.5, .25, .25); the square root is narrower (Dunnett)."""
    known = vectors("experiment_design")["optimal_allocation"]["control_vs_all 3 arms default"]
    ours = best_shares(3)
    assert 1 / ours[0] + 1 / ours[1] < 1 / known[0] + 1 / known[1]
    grid = np.linspace(0.2, 0.8, 2_001)
    assert ours[0] == pytest.approx(grid[(1 / grid + 2 / (1 - grid)).argmin()], abs=1e-3)
    ratios = np.array([1, np.sqrt(0.5), np.sqrt(0.5)])
    assert best_shares(3, (1, 2, 2), all_pairs=True) == pytest.approx(ratios / ratios.sum())


def test_bad_arguments_are_refused() -> None:
    for call, message in [
        (lambda: units_needed(Design(1.0, "bayes"), 0.1), "fixed, group_sequential, anytime"),
        (lambda: units_needed(Design(0.0), 0.1), "variance must be a number above 0"),
        (lambda: units_needed(Design(1.0), 0.0), "effect must be"),
        (lambda: units_needed(Design(1.0, share=0.0), 0.1), "share must be between"),
        (lambda: best_shares(1), "2 arms or more"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()
