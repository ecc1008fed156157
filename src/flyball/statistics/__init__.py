"""Inference for experiments: intervals and tests that say what may be concluded, and when.

Promises: every method's error rate is alpha at most in the way it is looked at (once, at planned looks, or at any
time); every constant is an argument, to be fixed before the start and kept in the result; state is sums that merge in
any order. Knows nothing of releases, metrics or applications: numbers in, numbers and one plain sentence out.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door

if TYPE_CHECKING:  # scipy, which a process that only drafts lists should not load
    from flyball.statistics.bandits import (
        BANDITS,
        Bandit,
        arm_probabilities,
        choose_arm,
        group_probabilities,
        regret,
        with_floor,
    )
    from flyball.statistics.bounded import (
        BettingPlan,
        BoundedDifference,
        Wealth,
        bet,
        betting_interval,
        betting_log_e,
        plan_betting,
        plan_bounded_difference,
    )
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
    from flyball.statistics.drafts import Draft, position_probabilities, team_draft
    from flyball.statistics.fixed import two_proportions, welch
    from flyball.statistics.inference import Inference, inference_of
    from flyball.statistics.interleaving import (
        harvest_position_bias,
        infer_interleaving,
        interleaving_wealth,
        plan_interleaving,
        team_credit,
        unit_preference,
    )
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
    from flyball.statistics.multiplicity import benjamini_hochberg, e_benjamini_hochberg, holm, p_of_e
    from flyball.statistics.off_policy import (
        ESTIMATORS,
        LIST_FORMS,
        Estimation,
        Overlap,
        PolicyValue,
        importance_weights,
        list_value,
        overlap,
        policy_value,
        value_of_weights,
    )
    from flyball.statistics.power import (
        METHODS,
        Design,
        best_shares,
        days_needed,
        minimum_detectable_effect,
        power_of,
        units_needed,
    )
    from flyball.statistics.quantiles import (
        contrast_of_quantiles,
        quantile_contrast,
        quantile_difference,
        quantile_difference_log_e,
        quantile_interval,
        quantile_sequence,
    )
    from flyball.statistics.rates import (
        concentration,
        rate_difference,
        rate_difference_interval,
        rate_difference_log_e,
        rate_interval,
        rate_log_e,
    )
    from flyball.statistics.sample_ratios import (
        CONCENTRATION,
        SAMPLE_RATIO_ALPHA,
        SampleRatio,
        sample_ratio,
        sample_ratio_chi_square,
        sample_ratio_log_e,
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
    from flyball.statistics.switchback import (
        SwitchbackPlan,
        carry_over_length,
        infer_switchback,
        plan_switchback,
        switchback_arms,
    )

__all__ = [
    "BANDITS",
    "BURN_IN",
    "CONCENTRATION",
    "ESTIMATORS",
    "LIST_FORMS",
    "METHODS",
    "SAMPLE_RATIO_ALPHA",
    "SPENDING",
    "Bandit",
    "BettingPlan",
    "BoundedDifference",
    "Contrast",
    "Design",
    "Draft",
    "Estimation",
    "GroupSequentialPlan",
    "Inference",
    "Overlap",
    "PolicyValue",
    "SampleRatio",
    "Sums",
    "SwitchbackPlan",
    "Wealth",
    "adjusted_contrast",
    "adjusted_ratio_contrast",
    "adjustment",
    "anytime",
    "arm_probabilities",
    "benjamini_hochberg",
    "best_rho",
    "best_shares",
    "bet",
    "beta_binomial_log_mixture",
    "beta_binomial_r",
    "betting_interval",
    "betting_log_e",
    "carry_over_length",
    "choose_arm",
    "concentration",
    "contrast_of_quantiles",
    "crossing_probabilities",
    "days_needed",
    "double_stitching_bound",
    "e_benjamini_hochberg",
    "empirical_process_bound",
    "gamma_exponential_log_mixture",
    "gamma_poisson_log_mixture",
    "group_probabilities",
    "group_sequential",
    "harvest_position_bias",
    "holm",
    "importance_weights",
    "infer_interleaving",
    "infer_switchback",
    "inference_of",
    "interleaving_wealth",
    "list_value",
    "mean_contrast",
    "minimum_detectable_effect",
    "mixture_bound",
    "normal_log_mixture",
    "normal_mixture_bound",
    "overlap",
    "p_of_e",
    "plan_betting",
    "plan_bounded_difference",
    "plan_interleaving",
    "plan_looks",
    "plan_switchback",
    "policy_value",
    "poly_stitching_bound",
    "position_probabilities",
    "power_of",
    "quantile_contrast",
    "quantile_difference",
    "quantile_difference_log_e",
    "quantile_interval",
    "quantile_sequence",
    "rate_contrast",
    "rate_difference",
    "rate_difference_interval",
    "rate_difference_log_e",
    "rate_interval",
    "rate_log_e",
    "ratio_contrast",
    "regret",
    "sample_ratio",
    "sample_ratio_chi_square",
    "sample_ratio_log_e",
    "sequence_log_e",
    "sequence_p",
    "sequence_r2",
    "sequence_reach",
    "spending_bounds",
    "stratified_contrast",
    "sum_by_unit",
    "switchback_arms",
    "team_credit",
    "team_draft",
    "two_proportions",
    "unit_preference",
    "units_needed",
    "value_of_weights",
    "welch",
    "winsorize",
    "with_floor",
]

__getattr__ = lazy_door(__name__, __file__)
