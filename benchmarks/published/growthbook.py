"""GrowthBook's tests: means, rates, ratios, adjusted ones, sample ratios, many comparisons, power."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from flyball.statistics import (
    Contrast,
    Design,
    Sums,
    adjusted_contrast,
    adjusted_ratio_contrast,
    adjustment,
    anytime,
    benjamini_hochberg,
    contrast_of_quantiles,
    holm,
    mean_contrast,
    rate_contrast,
    sample_ratio_chi_square,
    units_needed,
    welch,
    with_floor,
)
from published.lines import Line, absent, agrees, many


def growthbook_tests(known: dict[str, Any]) -> Iterator[Line]:
    """Welch, one-sided, sequential and adjusted (CUPED) tests."""
    for case in known["cases"]:
        name = case["name"]
        if "expect" in case:
            yield absent(f"{name}, p", 1.0, "sums that no values have are refused; GrowthBook: effect 0, p = 1")
            continue
        contrast = growthbook_contrast(case)
        side = {"greater": "greater", "lesser": "less"}.get(case.get("side", ""), "two")
        sequential = case.get("sequential", False)
        found = anytime(contrast, case["tuning"], side=side) if sequential else welch(contrast, side=side)
        if "effect" in case:
            yield Line(f"{name}, effect", case["effect"], found.effect, 6e-6)
        if "se" in case:
            yield Line(f"{name}, standard error", case["se"], contrast.se, 6e-6)
        ends = [-sign * np.inf if end is None else end for sign, end in zip((1, -1), case["ci"], strict=True)]
        yield from many(f"{name}, interval", ends, [found.low, found.high], 6e-6)
        yield Line(f"{name}, p", case["p"], found.p, 6e-6, why=one_sided(case["p"]) if sequential else "")
    contrast = growthbook_contrast(next(case for case in known["cases"] if case.get("sequential")))
    widths = {n: (found := anytime(contrast, n)).high - found.low for n in (10, 10_000, 6_461)}
    yield agrees("a sequence is narrowest near n_best units", widths[10] > widths[10_000] > widths[6_461])


def one_sided(p: float) -> str:
    """Why the p-value of a one-sided sequence differs."""
    if p == 0.4999:
        return "GrowthBook caps the p-value of a one-sided sequence at 0.4999"
    return "GrowthBook bisects for the p-value of a one-sided sequence, to 2e-4; ours is its closed form"


def growthbook_contrast(case: dict[str, Any]) -> Contrast:
    """What a case of GrowthBook's tests compares, from its aggregates."""
    a, b, relative = case["a"], case["b"], case.get("difference", "relative") == "relative"
    if a.get("type") == "proportion":
        return rate_contrast(a["sum"], a["n"], b["sum"], b["n"], relative)
    if "m_post" in a:
        return adjusted_ratio_contrast(ratio_sums(a), ratio_sums(b), relative)
    if "a_pre" in case:
        shared = case["post_pre_sum_of_products"]
        return adjusted_contrast(
            mean_sums(a, case["a_pre"], shared[0]), mean_sums(b, case["b_pre"], shared[1]), relative
        )
    return mean_contrast(mean_sums(a), mean_sums(b), relative)


def mean_sums(arm: dict[str, Any], before: dict[str, Any] | None = None, shared: float = 0.0) -> Sums:
    """The sums of a mean, with its covariate from before the start where there is one."""
    if before is None:
        return Sums.of_totals(arm["n"], [arm["sum"]], [arm["sum_squares"]])
    products = [arm["sum_squares"], shared, before["sum_squares"]]
    return Sums.of_totals(arm["n"], [arm["sum"], before["sum"]], products)


def ratio_sums(arm: dict[str, Any]) -> Sums:
    """The sums of a ratio and of the same ratio before the start."""
    names = ("m_post", "d_post", "m_pre", "d_pre")
    products = []
    for row, first in enumerate(names):
        for second in names[row:]:
            value = arm[first][1] if first == second else arm.get(f"{first}_{second}", arm.get(f"{second}_{first}"))
            products.append(value)
    return Sums.of_totals(arm["n"], [arm[name][0] for name in names], products)


def growthbook_rest(known: dict[str, Any]) -> Iterator[Line]:
    """Sample ratio, many comparisons, power in the middle, quantiles, adjustment, bandits' floor."""
    for counts, weights, p in known["srm"]["cases"]:
        yield Line(f"sample ratio {counts}", p, sample_ratio_chi_square(counts, weights).p, 1e-9)
    case, pair = known["benjamini_hochberg"], known["holm_vs_bh"]
    yield from many("Benjamini-Hochberg", case["adjusted_in_input_order"], benjamini_hochberg(case["p"]).tolist(), 1e-9)
    yield from many("Holm", pair["holm"], holm(pair["p"]).tolist(), 1e-9)
    yield from many("Benjamini-Hochberg of two", pair["bh"], benjamini_hochberg(pair["p"]).tolist(), 1e-9)
    for case in known["adjusted_ci"]:
        yield absent("adjusted interval, high", case["ci8"][1], "p-values are adjusted, intervals are not")
    for mean_a, mean_b, lift in known["relative_diff"]:
        a, b = (Sums.of([mean - 1.0, mean + 1.0]) for mean in (mean_a, mean_b))
        yield Line(f"lift of {mean_a} to {mean_b}", lift, mean_contrast(a, b, relative=True).effect)
    yield from growthbook_power(known["midexperiment_power"])
    yield from growthbook_adjustment(known)
    yield from growthbook_bayes(known)
    floored = with_floor([0.7, 0.3, 0.0], 0.05)
    yield from many("bandit's floor", [0.05 + 0.85 * share for share in (0.7, 0.3, 0.0)], floored.tolist(), 1e-12)
    yield from many("bandit's floor, too high", [1 / 3] * 3, with_floor([0.7, 0.3, 0.0], 0.5).tolist(), 1e-12)
    yield from many("bandit's floor, negative", [0.7, 0.3, 0.0], with_floor([0.7, 0.3, 0.0], -1.0).tolist(), 1e-12)


def growthbook_power(known: dict[str, Any]) -> Iterator[Line]:
    """How often the present units are still needed."""
    contrast = mean_contrast(mean_sums(known["a"]), mean_sums(known["b"]), relative=True)
    variance, expected = contrast.se**2 * contrast.count / 4, known["scaling_factor"]
    designs = {"fixed": Design(variance), "sequential_5000": Design(variance, "anytime", looks=1, n_best=5000)}
    why = "whole units of both arms from the start, where GrowthBook counts how many times the present ones are to come"
    for name, design in designs.items():
        again = units_needed(design, known["target_mde"]) / contrast.count - 1
        yield Line(f"power in the middle, {name}", expected[name], again, 1e-3, why=why)
    yield absent(
        "power in the middle, Bayes", expected["bayes_prior_N(0.05,0.001)"], "no priors on effects are offered"
    )


def growthbook_adjustment(known: dict[str, Any]) -> Iterator[Line]:
    """The coefficient of a covariate, a ratio adjusted by itself before the start, a quantile."""
    theta = known["cuped_theta"]
    arm = Sums.of(np.column_stack([theta["post"], theta["pre"]]))
    yield Line("CUPED, coefficient", theta["theta5"], float(adjustment(arm, arm)[0]), 6e-6)
    ratio = known["cuped_ratio_sign"]
    for name in ("improving", "declining"):
        after = {"a": ratio["m_post_a"], "b": ratio[f"m_post_b_{name}"]}
        arms = [
            Sums.of(np.column_stack([after[arm], ratio[f"d_post_{arm}"], ratio[f"m_pre_{arm}"], ratio[f"d_pre_{arm}"]]))
            for arm in "ab"
        ]
        found = adjusted_ratio_contrast(*arms, relative=True, theta=ratio["theta"])
        yield Line(f"CUPED of a ratio, {name}, lift", ratio[name]["lift"], found.effect, 6e-7)
        yield Line(f"CUPED of a ratio, {name}, standard error", ratio[name]["se"], found.se, 6e-7)
    quantile = known["quantile_effect"]
    arms_of = [tuple(quantile[arm][name] for name in ("q", "lo", "hi", "n")) for arm in ("control", "treatment")]
    found = contrast_of_quantiles(*arms_of)
    yield Line("quantile, effect", quantile["absolute_effect"], found.effect)
    reach = float(stats.norm.isf(0.025)) * found.se
    why = "the width of an arm's interval gives its standard error; GrowthBook's store takes other order statistics"
    yield from many("quantile, interval", quantile["ci"], [found.effect - reach, found.effect + reach], 1e-6, why)
    relative = contrast_of_quantiles(*arms_of, relative=True).effect
    yield Line("quantile, relative", quantile["relative_effect_prior_N(0,1e6)"], relative)


def growthbook_bayes(known: dict[str, Any]) -> Iterator[Line]:
    """With a flat prior the posterior is the contrast's own normal distribution; priors and risks are not offered."""
    for case in known["bayes"]:
        if "prior" in case:
            yield absent("Bayes with a prior, effect", case["effect"], "no priors on effects are offered")
            continue
        contrast = growthbook_contrast(case)
        name = f"Bayes, flat prior, {case['a'].get('type', 'mean')}"
        yield Line(f"{name}, effect", case["effect"], contrast.effect, 6e-6)
        yield Line(f"{name}, deviation", case["sd"], contrast.se, 6e-6)
        chance = float(stats.norm.cdf(contrast.effect / contrast.se))
        yield Line(f"{name}, chance that b is better", case["chance_to_win"], chance, 6e-6)
        yield absent(f"{name}, risk", case["risk"][1], "decisions rest on intervals, not on expected losses")
