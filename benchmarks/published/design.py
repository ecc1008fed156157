"""Sizes and power of G*Power, Spotify and expan, and their tests for one look."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from flyball.statistics import (
    SPENDING,
    Design,
    Sums,
    benjamini_hochberg,
    best_shares,
    group_sequential,
    mean_contrast,
    plan_looks,
    power_of,
    two_proportions,
    units_needed,
    welch,
)
from published.lines import Line, agrees, many


def design_of_experiments(known: dict[str, Any]) -> Iterator[Line]:
    """Sizes, power, two proportions, shares of arms, spending; expan's own examples."""
    for case in known["sample_size_gpower"]:
        variance = case["variance"] if case["kind"] == "mean" else case["p"] * (1 - case["p"])
        arms = case.get("arms", 2)
        shares = case.get("allocation", [1 / arms] * arms)
        pair = shares[0] + shares[1]
        design = Design(variance, alpha=case.get("alpha", 0.05), power=case.get("power", 0.85), share=shares[1] / pair)
        name = f"G*Power, {case['kind']}, {arms} arms, {case['mde_abs']:g}"
        ours = units_needed(design, case["mde_abs"]) / pair
        yield Line(name, case["total"], ours, case["rtol"], relative=True)
    for case in known["sample_size_spot1"]:
        yield from spotify_sizes(case)
    for case in known["power"]:
        design = Design(case["variance"], alpha=case["alpha"], share=case["n"][1] / sum(case["n"]))
        ours = power_of(design, case["mde"], sum(case["n"]))
        yield Line(f"power of {case['mde']:g}", case["power"], ours, case["rtol"], relative=True)
    for case in known["chi_squared_two_prop"]:
        found = two_proportions(*case["a"], *case["b"], relative=case.get("relative", False))
        name = f"two proportions {case['a']} {case['b']}"
        yield Line(f"{name}, effect", case["diff"], found.effect)
        yield from many(f"{name}, interval", case["ci95"], [found.low, found.high])
        yield Line(f"{name}, p", case["p"], found.p)
    spent = known["obrien_fleming_spending"]
    ours = SPENDING["obrien_fleming"](np.array(spent["t"]), spent["alpha"])
    yield from many("O'Brien-Fleming, spent", spent["spent"], ours.tolist(), 1e-8)
    why = "the control gets the square root of the number of treatments (Dunnett 1955); Spotify: as many as all of them"
    yield from many(
        "shares of 3 arms", known["optimal_allocation"]["control_vs_all 3 arms default"], best_shares(3), 1e-6, why
    )
    root = float(np.sqrt(0.5))
    costly = [1 / (1 + 2 * root), root / (1 + 2 * root), root / (1 + 2 * root)]
    yield from many("shares with costs, all pairs", costly, best_shares(3, (1, 2, 2), all_pairs=True))
    yield from expan(known)


def spotify_sizes(case: dict[str, Any]) -> Iterator[Line]:
    """Alpha shared by success metrics and treatments, power by guardrails; the variance of b after the effect."""
    metrics, weights = case["metrics"], np.array(case["weights"], dtype=float)
    successes = sum(metric[3] == "mde" for metric in metrics)
    guardrails = len(metrics) - successes
    for (kind, mean, variance, role, size, side), total in zip(metrics, case["n"], strict=True):
        alpha = (1 - case["interval"]) / (len(weights) - 1) / max(successes if role == "mde" else 1, 1)
        power = 1 - (1 - case["power"]) / (guardrails + (successes > 0) if guardrails else 1)
        moved = mean * (1 + size)
        other = moved * (1 - moved) if kind == "binary" and role == "mde" else variance
        pairs = [
            units_needed(
                Design(
                    variance,
                    alpha=alpha,
                    power=power,
                    share=arm / (weights[0] + arm),
                    side="two" if side is None else "greater",
                    variance_b=other,
                ),
                mean * size,
            )
            / (weights[0] + arm)
            for arm in weights[1:]
        ]
        yield Line(f"Spotify, {kind}, {role} {size:g}", total, max(pairs) * weights.sum(), 2e-3, relative=True)


def expan(known: dict[str, Any]) -> Iterator[Line]:
    """Its group-sequential example, sizes, corrections and the t-test with a pooled variance."""
    case = known["expan_group_sequential"]
    rng = np.random.RandomState(0)
    x, y = rng.normal(0, 1, 1000), rng.normal(0.1, 1, 1000)
    found = group_sequential(mean_contrast(Sums.of(y), Sums.of(x)), plan_looks(2000, 1))
    why = "expan pools the variances; ours are the arms' own (Welch)"
    yield Line("expan, group sequential, effect", case["delta"], found.effect)
    yield from many("expan, group sequential, interval", case["ci"], [found.low, found.high], 1e-6, why)
    yield Line("expan, group sequential, p", case["p"], found.p, 1e-6, why=why)
    for example in known["expan_estimate_sample_size"]:
        values = np.array(example["x"], dtype=float)
        ours = units_needed(Design(float(values.var(ddof=1))), example["mde"] * values.mean())
        yield Line("expan, size", example["n"], ours, 1e-4, relative=True)
    for example in known["expan_normal_difference"]:
        arms = [
            Sums.of_totals(n, [mean * n], [sd**2 * (n - 1) + mean**2 * n])
            for mean, sd, n in (example["b"], example["a"])
        ]
        found = welch(mean_contrast(*arms))
        yield from many("expan, difference of means, interval", example["ci"], [found.low, found.high], 1e-6, why)
    for example in known["corrected_alpha"]:
        raw, alpha = np.array(example["p"]), example["alpha"]
        found_by_us = (benjamini_hochberg(raw) if example["method"] == "bh" else len(raw) * raw) <= alpha
        same = bool((found_by_us == (raw <= example["out"])).all())
        yield agrees(f"expan, {example['method']} finds the same of {example['p']}", same)
