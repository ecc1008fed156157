"""Errors planted in the statistics of experiments, one at a time; the tests must find each of them."""

# ruff: noqa: E501

from tests.mutations.planted import Planted

_FIXED, _SEQUENCES, _RATIOS, _MANY = "fixed.py", "sequences.py", "sample_ratios.py", "multiplicity.py"
_DRAFTS, _INTERLEAVING, _OFF, _SPENDING = "drafts.py", "interleaving.py", "off_policy.py", "spending.py"
_BANDITS, _SWITCHBACK = "bandits.py", "switchback.py"

PLANTED_STATISTICS = (
    Planted(
        _FIXED, 'side = "greater" if higher_is_better else "less"', 'side = "greater"', "a loss is tested from above"
    ),
    Planted(
        _FIXED, "return -margin if higher_is_better else margin", "return margin", "non-inferiority asks for a gain"
    ),
    Planted(
        _SEQUENCES,
        "log_level = np.log1p(np.sqrt(grown + 1) / (2 * alpha))",
        "log_level = np.log1p(np.sqrt(grown + 1) / (4 * alpha))",
        "one-sided sequences err twice as often",
    ),
    Planted(
        _SEQUENCES, "if fewest >= burn_in else", "if contrast.count >= burn_in else", "burn-in of both arms together"
    ),
    Planted(_SEQUENCES, "np.log(np.sqrt(grown + 1) / alpha)", "np.log(1 / alpha)", "an interval for one look"),
    Planted(
        _RATIOS,
        "max(float(sample_ratio_log_e(counts, weights, concentration)), largest_before)",
        "float(sample_ratio_log_e(counts, weights, concentration))",
        "an alarm is forgotten",
    ),
    Planted(_MANY, "np.arange(len(p), 0, -1)", "np.arange(len(p) - 1, -1, -1)", "Holm counts one comparison too few"),
    Planted(_MANY, "p = p / (share / share.mean())", "p = p / share", "weights add to the budget"),
    Planted(
        _MANY,
        "len(e) / (alpha * np.arange(1, len(e) + 1))",
        "1 / (alpha * np.arange(1, len(e) + 1))",
        "e-BH ignores how many there are",
    ),
    Planted(_MANY, "largest = np.maximum.accumulate(", "largest = (lambda e, axis: e)(", "p rises again"),
    Planted(
        _DRAFTS, "rng.permutation(len(rankings)).tolist()", "list(range(len(rankings)))", "control always picks first"
    ),
    Planted(
        _DRAFTS,
        "share = list(before), probability / len(orders)",
        "share = list(before), probability",
        "places likelier than they are",
    ),
    Planted(_INTERLEAVING, "np.divide(b - a, total,", "np.divide(a - b, total,", "the loser is preferred"),
    Planted(_OFF, "float(w.sum() ** 2 / squares)", "float(w.sum() / squares)", "an effective sample of weights"),
    Planted(_OFF, "goal = 1.0 - self.unsupported", "goal = 1.0", "mass without support is a false alarm"),
    Planted(
        _OFF,
        '    if not support.trusted:\n        raise Refused(f"no value of the policy: {support.reason}; correct the logging of propensities first")\n    how =',
        "    how =",
        "a value from false propensities",
    ),
    Planted(
        _OFF, "return model + kept * (rewards - shown)", "return model + kept * rewards", "the model is not subtracted"
    ),
    Planted(_OFF, "above = np.cumprod(w, axis=1)", "above = w", "a cascade of independent items"),
    Planted(_OFF, "weights = 1 + (w - 1).sum(axis=1)", "weights = w.sum(axis=1)", "a pseudoinverse without its one"),
    Planted(
        _SPENDING,
        'goals = 2 * SPENDING[spending](t, alpha / 2) if side == "two"',
        'goals = SPENDING[spending](t, alpha) if side == "two"',
        "O'Brien-Fleming spends alpha on both sides together",
    ),
    Planted(_SPENDING, "spend = np.diff(goals, prepend=0.0)", "spend = goals", "each look spends all again"),
    Planted(
        _BANDITS,
        "least + (1 - count * least) * array / array.sum()",
        "np.maximum(least, array / array.sum())",
        "shares that do not add up",
    ),
    Planted(
        _BANDITS,
        "bandit.prior[1] + (1 - means) * counts",
        "bandit.prior[1] + means * counts",
        "failures counted as successes",
    ),
    Planted(
        _SWITCHBACK, "np.where(b_first, differences, -differences)", "differences", "the order of a pair is ignored"
    ),
    Planted(
        _SWITCHBACK,
        "[..., plan.carry_over :].sum(axis=2)\n    sizes",
        "[..., :].sum(axis=2)\n    sizes",
        "the carry-over counts in totals",
    ),
)
