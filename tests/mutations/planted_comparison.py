"""Errors planted in the comparison of arms, one at a time; the tests must find each of them."""

from tests.mutations.planted import Planted

_ANALYSIS, _COMPARISON, _EXPOSURES, _VALUES = "analysis.py", "comparison.py", "exposures.py", "unit_values.py"
_PAIR = 'own & (frame["arm"] == control).to_numpy(), own & (frame["arm"] == arm).to_numpy()'

PLANTED_COMPARISON = (
    Planted(
        _ANALYSIS,
        _PAIR,
        'own & (frame["arm"] == arm).to_numpy(), own & (frame["arm"] == control).to_numpy()',
        "control and candidate exchanged",
    ),
    Planted(_ANALYSIS, _PAIR, f"own, {_PAIR.split(', ')[1]}", "units of the candidate enter control as well"),
    Planted(
        _ANALYSIS,
        '(frame["stratum"] == stratum).to_numpy() & chosen',
        '(frame["stratum"] != "").to_numpy() & chosen',
        "steps of a ramp are pooled",
    ),
    Planted(
        _COMPARISON,
        "both = [(a & values.closed, b & values.closed) for a, b in strata]",
        "both = [(a, b) for a, b in strata]",
        "units enter before their window is over",
    ),
    Planted(
        _EXPOSURES,
        "if (exposed.at_us, exposed.id, exposed.arm) < (first.at_us, first.id, first.arm):",
        "if (exposed.at_us, exposed.id, exposed.arm) > (first.at_us, first.id, first.arm):",
        "the window begins with the last exposure",
    ),
    Planted(
        _VALUES,
        "(elapsed >= -metric.before_us) & (elapsed < 0)",
        "(elapsed >= 0) & (elapsed <= metric.before_us)",
        "CUPED by the time after the exposure",
    ),
    Planted(
        _VALUES,
        "values if cap is None else np.clip(values, -cap, cap)",
        "values if cap is None else np.clip(values, -cap, np.quantile(values, 0.99) if len(values) else cap)",
        "winsorized at a quantile of what came in, not where declared",
    ),
    Planted(
        _VALUES,
        "per, per_before = per_after / MICRO, per_earlier / MICRO",
        "per, per_before = per_earlier / MICRO, per_after / MICRO",
        "denominators of the other period",
    ),
    Planted(
        _COMPARISON,
        "exact = metric.is_share and not values.adjusted and not plan.ramp and",
        "exact = metric.is_share and not values.adjusted and",
        "a rate in a ramp is that of its first step",
    ),
    Planted(
        _COMPARISON,
        "return merged.mean(0) / below if below else None",
        "return merged.mean(0) if below else None",
        "a ratio without what is below",
    ),
    Planted(
        _COMPARISON,
        'return -metric.margin if metric.better == "high" else metric.margin',
        'return metric.margin if metric.better == "high" else -metric.margin',
        "a margin on the side of the gain",
    ),
    Planted(
        _ANALYSIS,
        "at_margin = adjusted([1.0 if result.p is None else result.p for result in results])",
        "at_margin = adjusted([0.0 if result.p is None else result.p for result in results])",
        "a metric without data counts as found",
    ),
)
