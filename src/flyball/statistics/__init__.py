"""Inference for experiments: intervals and tests that say what may be concluded, and when.

Promises: every method's error rate is alpha at most in the way it is looked at (once, at planned looks, or at any
time); every constant is an argument, to be fixed before the start and kept in the result; state is sums that merge in
any order. Knows nothing of releases, metrics or applications: numbers in, numbers and one plain sentence out.
"""

from flyball.statistics.contrasts import (
    Contrast,
    adjusted_contrast,
    adjusted_ratio_contrast,
    adjustment,
    mean_contrast,
    rate_contrast,
    ratio_contrast,
    stratified_contrast,
)
from flyball.statistics.fixed import two_proportions, welch
from flyball.statistics.inference import Inference
from flyball.statistics.mixtures import (
    best_rho,
    beta_binomial_log_mixture,
    beta_binomial_r,
    double_stitching_bound,
    empirical_process_bound,
    gamma_exponential_log_mixture,
    gamma_poisson_log_mixture,
    mixture_bound,
    normal_log_mixture,
    normal_mixture_bound,
    poly_stitching_bound,
)
from flyball.statistics.rates import (
    concentration,
    rate_difference,
    rate_difference_interval,
    rate_difference_log_e,
    rate_interval,
    rate_log_e,
)
from flyball.statistics.sequences import BURN_IN, anytime, sequence_log_e, sequence_p, sequence_r2, sequence_reach
from flyball.statistics.spending import (
    SPENDING,
    GroupSequentialPlan,
    crossing_probabilities,
    group_sequential,
    plan_looks,
    spending_bounds,
)
from flyball.statistics.sums import Sums, sum_by_unit, winsorize

__all__ = [
    "BURN_IN",
    "SPENDING",
    "Contrast",
    "GroupSequentialPlan",
    "Inference",
    "Sums",
    "adjusted_contrast",
    "adjusted_ratio_contrast",
    "adjustment",
    "anytime",
    "best_rho",
    "beta_binomial_log_mixture",
    "beta_binomial_r",
    "concentration",
    "crossing_probabilities",
    "double_stitching_bound",
    "empirical_process_bound",
    "gamma_exponential_log_mixture",
    "gamma_poisson_log_mixture",
    "group_sequential",
    "mean_contrast",
    "mixture_bound",
    "normal_log_mixture",
    "normal_mixture_bound",
    "plan_looks",
    "poly_stitching_bound",
    "rate_contrast",
    "rate_difference",
    "rate_difference_interval",
    "rate_difference_log_e",
    "rate_interval",
    "rate_log_e",
    "ratio_contrast",
    "sequence_log_e",
    "sequence_p",
    "sequence_r2",
    "sequence_reach",
    "spending_bounds",
    "stratified_contrast",
    "sum_by_unit",
    "two_proportions",
    "welch",
    "winsorize",
]
