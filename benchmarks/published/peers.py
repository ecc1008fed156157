"""What public packages answer to the questions of `benchmarks/statistics_peers.py`; needs numpy and these packages.

Run: python peers.py DATA.npz; prints {package: {question: numbers}, or {"missing": why}} as JSON.
"""

import importlib.metadata
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import numpy as np

Answers = dict[str, list[float]]


def gbstats(data: dict[str, Any]) -> Answers:
    """GrowthBook's engine, from aggregates."""
    from gbstats.frequentist.tests import FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest
    from gbstats.models.statistics import (
        ProportionStatistic,
        QuantileStatistic,
        RatioStatistic,
        RegressionAdjustedStatistic,
        SampleMeanStatistic,
    )
    from gbstats.utils import check_srm

    def mean(values: Any) -> Any:
        return SampleMeanStatistic(n=len(values), sum=float(values.sum()), sum_squares=float((values**2).sum()))

    def result(test: Any, a: Any, b: Any, config: Any) -> list[float]:
        found = test(a, b, config).compute_result()
        return [found.expected, *found.ci, found.p_value]

    def ratio(arm: str) -> Any:
        clicks, views = data[f"clicks_{arm}"], data[f"views_{arm}"]
        parts = (mean(clicks), mean(views))
        return RatioStatistic(len(clicks), *parts, m_d_sum_of_products=float((clicks * views).sum()))

    def adjusted(arm: str) -> Any:
        after, before = data[f"value_{arm}"], data[f"before_{arm}"]
        shared = float((after * before).sum())
        return RegressionAdjustedStatistic(len(after), mean(after), mean(before), shared, theta=1.0)

    def quantile(arm: str) -> Any:
        n, estimate, low, high = data[f"quantile_{arm}"]
        return QuantileStatistic(int(n), int(n), 0.9, estimate, low, high)

    absolute = FrequentistConfig(difference_type="absolute")
    a, b = mean(data["value_a"]), mean(data["value_b"])
    rates = [ProportionStatistic(n=int(n), sum=int(s)) for s, n in data["rates"]]
    sequential = SequentialConfig(difference_type="absolute", sequential_tuning_parameter=5000)
    return {
        "Welch": result(TwoSidedTTest, a, b, absolute),
        "Welch, relative": result(TwoSidedTTest, a, b, FrequentistConfig()),
        "two rates, own variances": result(TwoSidedTTest, *rates, absolute),
        "asymptotic sequence": result(SequentialTwoSidedTTest, a, b, sequential),
        "ratio, relative": result(TwoSidedTTest, ratio("a"), ratio("b"), FrequentistConfig()),
        "CUPED": result(TwoSidedTTest, adjusted("a"), adjusted("b"), absolute),
        "quantile .9": result(TwoSidedTTest, quantile("a"), quantile("b"), absolute)[:3],
        "sample ratio, one look": [float(check_srm(data["counts"].tolist(), [0.5, 0.3, 0.2]))],
    }


def spotify_confidence(data: dict[str, Any]) -> Answers:
    """Spotify's tests on a data frame, its bounds and sizes."""
    import pandas as pd
    import spotify_confidence as confidence
    from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds

    def result(test: Any, rows: list[tuple[float, float, int]]) -> list[float]:
        frame = pd.DataFrame(rows, columns=["total", "squares", "count"]).assign(arm=["a", "b"])
        columns = {"numerator_column": "total", "denominator_column": "count", "categorical_group_columns": "arm"}
        if test is not confidence.ChiSquared:
            columns["numerator_sum_squares_column"] = "squares"
        found = test(frame, interval_size=0.95, **columns).difference(level_1="a", level_2="b").iloc[0]
        return [float(found[name]) for name in ("difference", "ci_lower", "ci_upper", "p-value")]

    values = [data["value_a"], data["value_b"]]
    means = [(float(value.sum()), float((value**2).sum()), len(value)) for value in values]
    rates = [(float(s), float(s), int(n)) for s, n in data["rates"]]
    size, _, _ = confidence.SampleSize.continuous(average_absolute_mde=0.3, baseline_variance=100, power=0.8)
    planned = bounds(data["fractions"], alpha=0.05, rho=2.0, ztrun=8.0, sides=2).bounds
    return {
        "Welch": result(confidence.StudentsTTest, means),
        "two proportions": result(confidence.ChiSquared, rates),
        "bounds, quadratic": np.asarray(planned).tolist(),
        "units needed": [float(size)],
    }


def statsmodels(data: dict[str, Any]) -> Answers:
    """Means, proportions, power, many comparisons."""
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.power import NormalIndPower
    from statsmodels.stats.proportion import proportions_ztest
    from statsmodels.stats.weightstats import CompareMeans

    both = CompareMeans.from_data(data["value_b"], data["value_a"])
    low, high = both.tconfint_diff(usevar="unequal")
    _, p, _ = both.ttest_ind(usevar="unequal")
    effect = float(data["value_b"].mean() - data["value_a"].mean())
    successes, trials = data["rates"].T
    rate = float(proportions_ztest(successes, trials)[1])
    half = NormalIndPower().solve_power(effect_size=0.03, alpha=0.05, power=0.8)
    p_values = data["p_values"]
    return {
        "Welch": [effect, float(low), float(high), float(p)],
        "two proportions, p": [rate],
        "units needed": [float(2 * half)],
        "Holm": multipletests(p_values, method="holm")[1].tolist(),
        "Benjamini-Hochberg": multipletests(p_values, method="fdr_bh")[1].tolist(),
    }


def scipy(data: dict[str, Any]) -> Answers:
    """Welch and chi-square."""
    from scipy import stats

    found = stats.ttest_ind(data["value_b"], data["value_a"], equal_var=False)
    low, high = found.confidence_interval()
    effect = float(data["value_b"].mean() - data["value_a"].mean())
    expected = np.array([0.5, 0.3, 0.2]) * data["counts"].sum()
    return {
        "Welch": [effect, float(low), float(high), float(found.pvalue)],
        "sample ratio, one look": [float(stats.chisquare(data["counts"], expected).pvalue)],
        "Benjamini-Hochberg": stats.false_discovery_control(data["p_values"]).tolist(),
    }


def confseq(data: dict[str, Any]) -> Answers:
    """Boundaries, a rate, quantiles of two arms, and an interval by betting."""
    from confseq import boundaries, quantiles
    from confseq.betting import betting_cs

    successes, trials = (int(number) for number in data["rates"][0])
    share = data["bounded"]
    low, high = betting_cs(share, alpha=0.05, breaks=1000)
    a, b = data["value_a"][:1000], 1.3 * data["value_b"][:1000]
    return {
        "normal mixture": [float(boundaries.normal_mixture_bound(100.0, 0.05, 100.0, 0.05, is_one_sided=False))],
        "gamma-exponential": [float(boundaries.gamma_exponential_mixture_bound(100.0, 0.05, 100.0, 2.0))],
        "stitched": [float(boundaries.poly_stitching_bound(100.0, 0.05, 10.0, 3.0))],
        "one rate": [float(end) for end in boundaries.bernoulli_confidence_interval(successes, trials, 0.05, 1000)],
        "quantiles, p": [float(quantiles.quantile_ab_p_value(a, b, 0.5, 100))],
        "betting": [float(low[-1]), float(high[-1])],
    }


def obp(data: dict[str, Any]) -> Answers:
    """Estimators of a policy's value; torch, which other estimators need, is stood in for where it is absent."""
    absent = [name for name in ("torch", "seaborn", "pyieoe") if not installed(name)]
    for name in absent:
        for part in ("", ".nn", ".nn.functional", ".optim", ".utils", ".utils.data"):
            sys.modules[name + part] = MagicMock()
        sys.modules[name].Tensor = type("Tensor", (), {})
        sys.modules[name].nn.Module = sys.modules[name].utils.data.Dataset = object
    from obp.ope import estimators

    for name in [module for module in sys.modules if module.split(".")[0] in absent]:
        del sys.modules[name]
    rows = len(data["action"])
    given = {
        "reward": data["reward"],
        "action": data["action"],
        "pscore": data["logged"][np.arange(rows), data["action"]],
        "action_dist": data["policy"][:, :, None],
    }
    model = {"estimated_rewards_by_reg_model": data["model"][:, :, None]}
    return {
        "IPS": [float(estimators.InverseProbabilityWeighting().estimate_policy_value(**given))],
        "SNIPS": [float(estimators.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**given))],
        "doubly robust": [float(estimators.DoublyRobust().estimate_policy_value(**given, **model))],
        "switch-DR": [float(estimators.SwitchDoublyRobust(tau=2.0).estimate_policy_value(**given, **model))],
    }


PACKAGES: dict[str, Callable[[dict[str, Any]], Answers]] = {
    "gbstats": gbstats,
    "spotify-confidence": spotify_confidence,
    "statsmodels": statsmodels,
    "scipy": scipy,
    "confseq": confseq,
    "obp": obp,
}


def installed(name: str) -> bool:
    """Whether a module is there."""
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def main() -> None:
    """Ask every package."""
    warnings.filterwarnings("ignore")
    with np.load(sys.argv[1]) as file:
        data = dict(file)
    answers: dict[str, Any] = {}
    for name, ask in PACKAGES.items():
        try:
            answers[name] = {"version": importlib.metadata.version(name), **ask(data)}
        except ImportError as error:
            answers[name] = {"missing": str(error)}
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
