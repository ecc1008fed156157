"""A call of each public function of `flyball.statistics` with numbers, {name: (function, arguments by name)}."""

from collections.abc import Callable
from typing import Any

import numpy as np

import flyball.statistics as room

_A = room.Sums.of([1.0, 2.0, 4.0, 3.0])
_PAIR = room.Sums.of([[1.0, 2.0], [2.0, 3.0], [4.0, 1.0], [3.0, 3.5]])
_WIDE = np.linspace(0.0, 1.0, 200).reshape(100, 2)
_CHANCES = np.linspace(0.05, 0.95, 60)
_CAME = (np.arange(60) % 3 == 0).astype(float)
_CONTRAST = room.mean_contrast(_A, _A)
_DESIGN = room.Design(1.0)
_ARMS = {"successes_a": 10, "trials_a": 100, "successes_b": 12, "trials_b": 100}
_SAMPLE = ([1.0, 2.0], [1.0, 1.0])
_BEFORE = np.tile([0.2, 0.4, 0.3], 100)
_PLAN = room.plan_detector(_BEFORE)
_BETS = room.plan_betting(0.0, 1.0, 100, 0.3, candidates=11)
_DRAFT = [["a", "b"], ["b", "a"]]

_CALLS: dict[str, dict[str, Any]] = {
    "adjusted_contrast": {"a": _PAIR, "b": _PAIR},
    "alarms_among": {"log_wealth": {"a": 5.0, "b": 0.0}, "run_length": 100},
    "anytime": {"contrast": _CONTRAST, "n_best": 100, "alpha": 0.05, "margin": 0.0, "burn_in": 2},
    "benjamini_hochberg": {"p_values": [0.1, 0.2], "weights": [1.0, 2.0]},
    "best_rho": {"v_best": 10.0, "alpha": 0.05},
    "best_shares": {"arms": 3, "costs": (1.0, 2.0, 3.0)},
    "bet": {"plan": _BETS, "values": [0.1, 0.9]},
    "beta_binomial_log_mixture": {"s": 1.0, "v": 5.0, "r": 3.0, "g": 0.5, "h": 0.5},
    "beta_binomial_r": {"v_best": 10.0, "alpha": 0.05, "g": 0.5, "h": 0.5},
    "bounded_mean_interval": {"totals": 5.0, "counts": 10.0, "alpha": 0.05, "n_best": 100},
    "calibration_errors": {"probabilities": _CHANCES, "outcomes": _CAME},
    "calibration_gap": {
        "probabilities": _CHANCES,
        "outcomes": _CAME,
        "deviation": 0.3,
        "n_best": 100,
        "alpha": 0.05,
    },
    "calibration_log_e": {"probabilities": _CHANCES, "outcomes": _CAME},
    "carry_over_length": {"means": _WIDE[:40]},
    "choose_arm": {"probabilities": [0.5, 0.5], "u": 0.3},
    "concentration": {"n_best": 100, "alpha": 0.05},
    "contrast_of_quantiles": {"a": (1.0, 0.5, 1.5, 10), "b": (1.0, 0.5, 1.5, 10)},
    "crossing_probabilities": {"fractions": [0.5, 1.0], "bounds": [2.5, 2.0], "drift": 0.0},
    "days_needed": {"design": _DESIGN, "effect": 0.1, "units_a_day": 100, "margin": 0.0},
    "design_effect": {"shares": [[0.5], [0.4], [0.6], [0.5]], "counts": [10, 10, 10, 10]},
    "detect": {"plan": _PLAN, "values": [0.2, 0.3]},
    "domain_classifier_test": {"a": _WIDE, "b": _WIDE + 1.0},
    "double_stitching_bound": {"quantile": 0.5, "t": 100.0, "alpha": 0.05, "t_best": 10.0},
    "e_benjamini_hochberg": {"e_values": [90.0, 5.0], "alpha": 0.05},
    "e_of_p": {"p_values": [0.1, 0.2]},
    "effective_size": {"weights": [1.0, 2.0]},
    "empirical_process_bound": {"t": 100, "alpha": 0.05, "t_min": 10},
    "entropy_bits": {"counts": [1.0, 2.0]},
    "expected_performance": {"scores": _CHANCES, "threshold": 0.5, "alpha": 0.05},
    "gamma_exponential_log_mixture": {"s": 1.0, "v": 5.0, "rho": 3.0, "c": 0.5},
    "gamma_poisson_log_mixture": {"s": 1.0, "v": 5.0, "rho": 3.0, "c": 0.5},
    "gini_index": {"counts": [1.0, 2.0], "more_zeros": 0},
    "group_sequential": {"contrast": _CONTRAST, "plan": room.plan_looks(8, 2), "margin": 0.0},
    "holm": {"p_values": [0.1, 0.2]},
    "homogeneity_p": {"a": [50, 50], "b": [70, 30], "effect": 1.0},
    "importance_weights": {"policy": [0.5, 0.5], "logged": [0.5, 0.5]},
    "jensen_shannon_divergence": {"a": [1, 2], "b": [2, 1], "base": 2.0},
    "kolmogorov_smirnov": {"a": _SAMPLE, "b": _SAMPLE},
    "kolmogorov_smirnov_p": {"distance": 0.5, "count_a": 10, "count_b": 10, "effect_a": 1.0, "effect_b": 1.0},
    "learn_calibration": {"scores": np.repeat(_CHANCES, 2), "outcomes": np.repeat(_CAME, 2), "draws": 3},
    "mean_discrepancy": {"a": _WIDE, "b": _WIDE, "bandwidth": 1.0},
    "mean_discrepancy_test": {"a": _WIDE, "b": _WIDE, "permutations": 9},
    "mean_sequence": {"total": 500.0, "squares": 900.0, "count": 600.0, "n_best": 1000, "alpha": 0.05},
    "minimum_detectable_effect": {"design": _DESIGN, "units": 1000},
    "next_log_wealth": {"log_wealth": 1.0, "e_value": 2.0, "weight": 1.0},
    "normal_log_mixture": {"s": 1.0, "v": 5.0, "rho": 3.0},
    "normal_mixture_bound": {"v": 5.0, "alpha": 0.05, "rho": 3.0},
    "overlap": {"weights": [1.0, 2.0, 0.5], "unsupported": 0.0, "alpha": 0.001},
    "p_of_e": {"log_e": [1.0, 2.0]},
    "plan_betting": {"low": 0.0, "high": 1.0, "n_best": 100, "sd": 0.3, "alpha": 0.05, "candidates": 11},
    "plan_bounded_difference": {
        "low": 0.0,
        "high": 1.0,
        "n_best": 100,
        "sd": 0.3,
        "center": 0.5,
        "share": 0.5,
        "alpha": 0.05,
        "margin": 0.0,
        "candidates": 11,
    },
    "plan_detector": {"baseline": _BEFORE, "run_length": 1000, "low": 0.0, "high": 1.0, "alpha": 0.05},
    "plan_interleaving": {"n_best": 100, "sd": 0.7, "alpha": 0.05},
    "plan_looks": {"units": 100, "looks": 2, "alpha": 0.05},
    "policy_value": {
        "policy": [0.5, 0.5, 0.4],
        "logged": [0.5, 0.4, 0.5],
        "rewards": [1.0, 0.0, 1.0],
        "threshold": 10.0,
        "unsupported": 0.0,
        "alpha": 0.05,
    },
    "poly_stitching_bound": {"v": 5.0, "alpha": 0.05, "v_min": 1.0, "c": 0.0},
    "population_stability_index": {"a": [1, 2], "b": [2, 1], "least": 1e-4},
    "power_of": {"design": _DESIGN, "effect": 0.1, "units": 1000},
    "quantile_contrast": {"a": _WIDE[:, 0], "b": _WIDE[:, 1], "quantile": 0.5, "alpha": 0.05},
    "quantile_difference": {"a": _WIDE[:, 0], "b": _WIDE[:, 1], "quantile": 0.5, "n_best": 100, "alpha": 0.05},
    "quantile_interval": {"values": _WIDE[:, 0], "quantile": 0.5, "alpha": 0.05},
    "quantile_sequence": {"values": _WIDE[:, 0], "quantile": 0.5, "n_best": 100, "alpha": 0.05},
    "rate_contrast": _ARMS,
    "rate_difference": _ARMS | {"n_best": 100, "alpha": 0.05, "margin": 0.0, "share": 0.5},
    "rate_difference_interval": _ARMS | {"alpha": 0.05, "n_best": 100, "share": 0.5},
    "rate_difference_log_e": _ARMS | {"difference": 0.0, "n_best": 100, "alpha": 0.05, "share": 0.5},
    "rate_interval": {"successes": 5, "trials": 10, "alpha": 0.05, "n_best": 100},
    "rate_log_e": {"successes": 5, "trials": 10, "rate": 0.5, "k": 10.0},
    "regret": {"probabilities": [0.5, 0.5], "true_means": [1.0, 2.0]},
    "sample_ratio": {"counts": [50, 50], "weights": [1, 1], "alpha": 0.001, "concentration": 1000.0},
    "sample_ratio_chi_square": {"counts": [50, 50], "weights": [1, 1], "alpha": 0.001},
    "sample_ratio_log_e": {"counts": [50, 50], "weights": [1, 1], "concentration": 1000.0},
    "sequence_log_e": {"effect": 1.0, "se": 0.5, "count": 100, "r2": 10.0},
    "sequence_p": {"effect": 1.0, "se": 0.5, "count": 100, "r2": 10.0},
    "sequence_r2": {"alpha": 0.05, "n_best": 100},
    "sequence_reach": {"se": 0.5, "count": 100, "alpha": 0.05, "r2": 10.0},
    "shared_tail_p": {"p": 0.01, "effect": 2.0, "shared": 1.0},
    "shares_of": {"counts": [1, 2]},
    "spending_bounds": {"fractions": [0.5, 1.0], "alpha": 0.05},
    "sum_by_unit": {"units": [0, 0, 1], "columns": [1.0, 2.0, 3.0]},
    "total_variation": {"a": [1, 2], "b": [2, 1]},
    "two_proportions": _ARMS | {"alpha": 0.05},
    "unit_preference": {"credit_a": [1.0, 0.0], "credit_b": [0.0, 1.0]},
    "units_needed": {"design": _DESIGN, "effect": 0.1, "margin": 0.0},
    "upper_tail_p_values": {"scores": np.arange(200.0), "sizes": np.full(200, 10.0), "least_scale": 0.0},
    "wasserstein": {"a": _SAMPLE, "b": _SAMPLE},
    "welch": {"contrast": _CONTRAST, "alpha": 0.05, "margin": 0.0},
    "winsorize": {"values": [1.0, 2.0], "low": 0.0, "high": 1.5},
    "with_floor": {"shares": [0.5, 0.5], "floor": 0.1},
}
_BANDIT = room.Bandit()
_WEALTH = room.bet(_BETS, [0.1, 0.9])
_LABELS = np.repeat([0, 1], 40)
_PREDICTED = np.eye(2)[np.where(np.arange(80) % 5 == 0, 1 - _LABELS, _LABELS)]
_FOUR = room.Sums.of([[1.0, 2.0, 1.0, 3.0], [2.0, 3.0, 2.0, 2.0], [4.0, 5.0, 1.0, 4.0], [3.0, 3.5, 2.0, 5.0]])
_RANKINGS = [["a", "b", "c"], ["b", "c", "a"]]
_SWITCH = room.plan_switchback(12, 1, 0, 3)
_OVERLAP = room.overlap([1.0, 2.0, 0.5])

_CALLS |= {
    "adjusted_ratio_contrast": {"a": _FOUR, "b": _FOUR, "theta": 0.5},
    "adjustment": {"a": _PAIR, "b": _PAIR},
    "arm_probabilities": {"bandit": _BANDIT, "arms": (room.Sums.of([0.0, 1.0]), None)},
    "betting_interval": {"plan": _BETS, "wealth": _WEALTH},
    "betting_log_e": {"plan": _BETS, "wealth": _WEALTH},
    "covariate_weights": {"reference": _WIDE, "current": _WIDE + 0.5, "limit": 20.0, "most_rows": 1000},
    "group_probabilities": {"bandit": _BANDIT, "groups": {"x": (room.Sums.of([0.0, 1.0]), None)}},
    "harvest_position_bias": {"positions": [0, 1], "others": [1, 0], "clicks": [1.0, 0.0]},
    "hash_numbers": {"values": np.array([1.0, 2.0])},
    "infer_interleaving": {"plan": room.plan_interleaving(100), "wealth": room.bet(room.plan_interleaving(100), [0.5])},
    "infer_switchback": {"plan": _SWITCH, "totals": np.arange(12.0), "counts": np.full(12, 10.0)},
    "interleaving_wealth": {"plan": room.plan_interleaving(100), "preferences": [0.5, -1.0]},
    "jaccard_matrix": {"members": np.array([[1.0, 0.0], [1.0, 1.0]])},
    "label_shift": {
        "labels": _LABELS,
        "reference": _PREDICTED,
        "current": _PREDICTED,
        "draws": 20,
        "alpha": 0.05,
        "counts": np.ones(80),
    },
    "list_value": {"policy": [[0.5, 0.5]] * 3, "logged": [[0.5, 0.5]] * 3, "rewards": [[1.0, 0.0]] * 3, "alpha": 0.05},
    "longest_run": {"values": ["a", "a", "b"], "reference": ["a", "b"] * 20},
    "mean_contrast": {"a": _A, "b": _A},
    "median_bandwidth": {"squared_distances": [[0.0, 1.0], [1.0, 0.0]]},
    "minhash_signatures": {"sets": np.array([0, 0, 1]), "elements": np.array([1, 2, 3]), "count": 2},
    "mixture_bound": {
        "log_mixture": lambda s: room.normal_log_mixture(s, 5.0, 3.0),
        "v": 5.0,
        "alpha": 0.05,
        "largest": 1000.0,
    },
    "most_similar_sets": {"signatures": room.minhash_signatures(np.array([0, 1]), np.array([1, 1]), 2)},
    "plan_switchback": {"periods": 12, "block": 1, "carry_over": 0, "seed": 3, "alpha": 0.05, "draws": 100},
    "position_probabilities": {"rankings": _RANKINGS, "size": 2},
    "quantile_difference_log_e": {
        "a": _WIDE[:, 0],
        "b": _WIDE[:, 1],
        "quantile": 0.5,
        "n_best": 100,
        "alpha": 0.05,
    },
    "randomized_effect": {
        "drawn": [0.0, 1.0, 0.0, 1.0],
        "before": [3.0, 4.0, 2.0, 3.0],
        "after": [3.0, 6.0, 2.0, 5.0],
        "stratum": [0, 0, 1, 1],
        "permutations": 9,
        "seed": 1,
    },
    "ratio_contrast": {"a": _PAIR, "b": _PAIR},
    "ruled_draft": {"rankings": _RANKINGS, "size": 2, "order": [1, 0], "rule": room.DraftRule(1, {})},
    "run_lengths": {"values": ["a", "a", "b"]},
    "share_slope": {
        "counts": [3.0, 4.0, 5.0],
        "past": [1.0, 2.0, 3.0],
        "group": [0, 0, 0],
        "unit": [0, 1, 2],
        "offered": [1.0, 1.0, 1.0],
    },
    "stratified_contrast": {"steps": (_CONTRAST, _CONTRAST)},
    "switchback_arms": {"plan": _SWITCH},
    "team_credit": {"teams": [0, 1, 1], "clicks": {1: 1.0, 2: 0.5}, "rankers": 2},
    "team_draft": {"rankings": _RANKINGS, "size": 2},
    "value_of_weights": {
        "weights": np.array([1.0, 2.0, 0.5]),
        "rewards": np.array([1.0, 0.0, 1.0]),
        "support": _OVERLAP,
        "how": room.Estimation(),
    },
}
_METHODS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Bandit of epsilon_greedy": (
        lambda epsilon, floor: room.arm_probabilities(room.Bandit("epsilon_greedy", epsilon, floor), [_A, None]),
        {"epsilon": 0.1, "floor": 0.01},
    ),
    "Bandit of thompson_beta": (
        lambda prior: room.arm_probabilities(room.Bandit(prior=prior), [None, None]),
        {"prior": [1.0, 1.0]},
    ),
    "Bandit of thompson_gaussian": (
        lambda prior: room.arm_probabilities(room.Bandit("thompson_gaussian", prior=prior), [_A, None]),
        {"prior": [0.0, 1.0]},
    ),
    "Bandit of ucb": (lambda width: room.arm_probabilities(room.Bandit("ucb", width=width), [_A, _A]), {"width": 1.4}),
    "FrequentItems.add": (room.FrequentItems().add, {"counts": {"a": 5, "b": 4}}),
    "QuantileSketch.add": (room.QuantileSketch().add, {"values": [1.0, 2.0]}),
    "QuantileSketch.cdf": (room.QuantileSketch().add([1.0, 2.0]).cdf, {"points": [1.0, 2.0]}),
    "QuantileSketch.quantiles": (room.QuantileSketch().add([1.0, 2.0]).quantiles, {"shares": [0.5, 0.9]}),
    "Sums.of_totals": (room.Sums.of_totals, {"count": 2, "totals": [3.0], "products": [5.0], "scale": 1e-6}),
    "Sums.of": (room.Sums.of, {"columns": [1.0, 2.0], "scale": 1e-6}),
}
NO_NUMBERS = {"inference_of": "it reads what `Inference.document` wrote"}
"""{public function: why it has no call here}."""
RANDOM = (
    "covariate_weights",
    "domain_classifier_test",
    "label_shift",
    "learn_calibration",
    "mean_discrepancy_test",
    "team_draft",
)
"""The functions that take a generator."""


def valid_calls() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Each with its arguments, of which numbers and arrays of numbers may be exchanged for wrong ones."""
    calls = {}
    for name, arguments in _CALLS.items():
        rng = {"rng": np.random.default_rng(1)} if name in RANDOM else {}
        calls[name] = (getattr(room, name), arguments | rng)
    return calls | _METHODS
