"""Published inputs with expected outputs, and GrowthBook's aggregates as our sums."""

import json
from typing import Any

from tests.data import real

from flyball.statistics import Contrast, Sums, adjusted_contrast, adjusted_ratio_contrast, mean_contrast, rate_contrast


def vectors(name: str) -> dict[str, Any]:
    """The vectors of one file."""
    found: dict[str, Any] = json.loads(real("..", "vectors", f"{name}.json").read_text())
    return found


def arm_of(case: dict[str, Any], before: dict[str, Any] | None = None, product: float = 0.0) -> Sums:
    """GrowthBook's aggregates of an arm: a mean, a mean with its covariate, or a ratio with its covariate."""
    if "m_post" in case:
        totals = [case[name][0] for name in ("m_post", "d_post", "m_pre", "d_pre")]
        names = (
            "m_post m_post_d_post m_post_m_pre m_post_d_pre d_post m_pre_d_post d_post_d_pre m_pre m_pre_d_pre d_pre"
        )
        products = [case[name][1] if isinstance(case[name], list) else case[name] for name in names.split()]
        return Sums.of_totals(case["n"], totals, products)
    if before is not None:
        products = [case["sum_squares"], product, before["sum_squares"]]
        return Sums.of_totals(case["n"], [case["sum"], before["sum"]], products)
    return Sums.of_totals(case["n"], [case["sum"]], [case["sum_squares"]])


def contrast_of(case: dict[str, Any]) -> Contrast:
    """The contrast that a case of GrowthBook's tests is about."""
    a, b, relative = case["a"], case["b"], case.get("difference", "relative") == "relative"
    if a.get("type") == "proportion":
        return rate_contrast(a["sum"], a["n"], b["sum"], b["n"], relative)
    if "m_post" in a:
        return adjusted_ratio_contrast(arm_of(a), arm_of(b), relative)
    if "a_pre" in case:
        products = case["post_pre_sum_of_products"]
        arms = (arm_of(a, case["a_pre"], products[0]), arm_of(b, case["b_pre"], products[1]))
        return adjusted_contrast(*arms, relative)
    return mean_contrast(arm_of(a), arm_of(b), relative)
