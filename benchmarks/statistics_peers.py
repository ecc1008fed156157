"""Intervals, p-values, power and policy values beside public packages, on the same data in the same run.

Run: python benchmarks/statistics_peers.py

Packages are asked by the Python that STATISTICS_PEERS_PYTHON names, else by this one; those that it does not have are
left out. confseq is built from C++ and needs Boost; obp is asked without torch, which these estimators do not use. The
exit code is 1 where a number differs by more than 1e-4 of it without a reason below.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from flyball.statistics import (
    Contrast,
    Design,
    Inference,
    Sums,
    adjusted_contrast,
    anytime,
    benjamini_hochberg,
    best_rho,
    bet,
    betting_interval,
    contrast_of_quantiles,
    gamma_exponential_log_mixture,
    holm,
    mean_contrast,
    mixture_bound,
    normal_mixture_bound,
    plan_betting,
    policy_value,
    poly_stitching_bound,
    quantile_difference_log_e,
    quantile_interval,
    rate_contrast,
    rate_interval,
    ratio_contrast,
    sample_ratio_chi_square,
    spending_bounds,
    two_proportions,
    units_needed,
    welch,
)

TOLERANCE = 1e-4
REASONS = {
    ("confseq", "betting"): "stakes are fixed before the start, so that looks merge; confseq predicts them on the way",
    ("gbstats", "quantile .9"): "GrowthBook scales the variance by (n - 1) / n",
    (
        "gbstats",
        "CUPED",
    ): "GrowthBook fits the coefficient over both arms together; ours is within arms, free of the effect",
    ("spotify-confidence", "bounds, quadratic"): "a coarser grid for the recursion over looks",
}
"""{(package, question): why its numbers are others}."""


def draw() -> dict[str, Any]:
    """Two arms of each kind of metric, and a log of 4,000 answers with three choices."""
    rng = np.random.default_rng(8)
    data: dict[str, Any] = {
        "rates": np.array([[400, 20_000], [520, 20_100]]),
        "counts": np.array([5_100, 2_950, 1_950]),
    }
    for arm, count, lift in (("a", 3_400, 1.0), ("b", 3_500, 1.08)):
        before = rng.lognormal(0.0, 0.8, count)
        views = 1.0 + rng.poisson(4.0, count)
        data |= {f"before_{arm}": before, f"value_{arm}": before * lift * rng.lognormal(0.0, 0.5, count)}
        data |= {f"views_{arm}": views, f"clicks_{arm}": rng.binomial(views.astype(int), 0.2 * lift).astype(float)}
        data[f"quantile_{arm}"] = np.array([count, *quantile_interval(data[f"value_{arm}"], 0.9)])
    rows = np.arange(4_000)
    logged = rng.dirichlet([4.0, 4.0, 4.0], len(rows)) * 0.85 + 0.05
    action = (rng.random(len(rows))[:, None] > logged.cumsum(axis=1)[:, :2]).sum(axis=1)
    model = np.tile([0.1, 0.2, 0.15], (len(rows), 1))
    reward = (rng.random(len(rows)) < model[rows, action] + 0.02).astype(float)
    policy = np.tile([0.2, 0.6, 0.2], (len(rows), 1))
    data |= {"logged": logged, "action": action, "model": model, "reward": reward, "policy": policy}
    data |= {"fractions": np.arange(1, 6) / 5, "p_values": rng.random(12) ** 3}
    return data | {"bounded": rng.beta(2.0, 5.0, 400)}


def numbers(found: Inference) -> list[float]:
    """Effect, interval and p."""
    return [found.effect, found.low, found.high, found.p]


def ours(data: dict[str, Any]) -> dict[str, list[float]]:
    """{question: our numbers}."""
    contrast = mean_contrast(Sums.of(data["value_a"]), Sums.of(data["value_b"]))
    relative = mean_contrast(Sums.of(data["value_a"]), Sums.of(data["value_b"]), relative=True)
    rates = [int(number) for number in data["rates"].ravel()]
    ratio = [Sums.of(np.column_stack([data[f"clicks_{arm}"], data[f"views_{arm}"]])) for arm in "ab"]
    adjusted = [Sums.of(np.column_stack([data[f"value_{arm}"], data[f"before_{arm}"]])) for arm in "ab"]
    proportions = two_proportions(*rates)
    return {
        "Welch": numbers(welch(contrast)),
        "Welch, relative": numbers(welch(relative)),
        "two rates, own variances": numbers(welch(rate_contrast(*rates))),
        "two proportions": numbers(proportions),
        "two proportions, p": [proportions.p],
        "asymptotic sequence": numbers(anytime(contrast, 5_000)),
        "ratio, relative": numbers(welch(ratio_contrast(*ratio, relative=True))),
        "CUPED": numbers(welch(adjusted_contrast(*adjusted))),
        "quantile .9": numbers(welch(quantile(data)))[:3],
        "sample ratio, one look": [sample_ratio_chi_square(data["counts"], [0.5, 0.3, 0.2]).p],
        "bounds, quadratic": spending_bounds(data["fractions"], 0.05, "quadratic").tolist(),
        "units needed": [float(units_needed(Design(100.0), 0.3))],
        "Holm": holm(data["p_values"]).tolist(),
        "Benjamini-Hochberg": benjamini_hochberg(data["p_values"]).tolist(),
        **sequences(data),
        **policies(data),
    }


def quantile(data: dict[str, Any]) -> Contrast:
    """From the estimates and intervals of both arms."""
    a, b = (
        (estimate, low, high, int(count)) for count, estimate, low, high in (data["quantile_a"], data["quantile_b"])
    )
    return contrast_of_quantiles(a, b)


def sequences(data: dict[str, Any]) -> dict[str, list[float]]:
    """Boundaries and intervals that hold at every look."""
    one = float(best_rho(100, 0.05, 1))
    successes, trials = (int(number) for number in data["rates"][0])
    a, b = data["value_a"][:1000], 1.3 * data["value_b"][:1000]
    plan = plan_betting(0.0, 1.0, len(data["bounded"]), 0.16, candidates=1001)
    exponential = mixture_bound(lambda s: gamma_exponential_log_mixture(s, 100, one, 2), 100, 0.05)
    return {
        "normal mixture": [float(normal_mixture_bound(100, 0.05, best_rho(100, 0.05)))],
        "gamma-exponential": [exponential],
        "stitched": [poly_stitching_bound(100, 0.05, 10, 3)],
        "one rate": [float(end) for end in rate_interval(successes, trials, 0.05, 1000)],
        "quantiles, p": [min(1.0, float(np.exp(-quantile_difference_log_e(a, b, 0.5, 100))))],
        "betting": list(betting_interval(plan, bet(plan, data["bounded"]))),
    }


def policies(data: dict[str, Any]) -> dict[str, list[float]]:
    """Values of the policy from the log."""
    rows = np.arange(len(data["action"]))
    shown = (rows, data["action"])
    given = (data["policy"][shown], data["logged"][shown], data["reward"])
    model = {
        "predicted_shown": data["model"][shown],
        "predicted_policy": (data["policy"] * data["model"]).sum(axis=1),
    }
    return {
        "IPS": [policy_value(*given, "ips").value],
        "SNIPS": [policy_value(*given, "snips").value],
        "doubly robust": [policy_value(*given, "dr", **model).value],
        "switch-DR": [policy_value(*given, "switch_dr", threshold=2.0, **model).value],
    }


def ask(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{package: {question: its numbers}}."""
    python = os.environ.get("STATISTICS_PEERS_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(path, **data)
        script = Path(__file__).parent / "published" / "peers.py"
        done = subprocess.run([python, str(script), str(path)], capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(done.stderr[-2_000:])
    answers: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def main() -> int:
    """Ask everyone, print, and return the exit code."""
    data = draw()
    known, wrong = ours(data), 0
    print(f"{'question':26}{'package':28}{'ours':34}{'theirs':34}{'difference':>11}")
    for package, answers in ask(data).items():
        if "missing" in answers:
            print(f"{'':26}{package:28}left out: {answers['missing']}")
            continue
        name = f"{package} {answers.pop('version')}"
        for question, theirs in answers.items():
            mine, other = np.array(known[question]), np.array(theirs)
            difference = float((np.abs(mine - other) / np.maximum(np.abs(other), 1e-9)).max())
            why = REASONS.get((package, question), "")
            wrong += difference > TOLERANCE and not why
            note = f"  {why}" if why and difference > TOLERANCE else ""
            print(f"{question:26}{name:28}{short(mine):34}{short(other):34}{difference:>11.1e}{note}")
    return int(wrong > 0)


def short(values: Any) -> str:
    """The first four numbers."""
    return " ".join(f"{value:.4g}" for value in values[:4]) + (" ..." if len(values) > 4 else "")


if __name__ == "__main__":
    sys.exit(main())
