"""Switchback experiments: all units alternate between arms over time, for units that affect each other.

Source: Bojinov, Simchi-Levi and Zhao, "Design and analysis of switchback experiments", Management Science 2023: blocks
longer than effects carry over, and randomization inference over all possible assignments.
"""

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, doubles, whole_number
from flyball.statistics.inference import Inference

_Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class SwitchbackPlan(msgspec.Struct, frozen=True):
    """The constants of a switchback experiment, fixed before the start.

    `periods`: their number, in blocks of `block` periods; the first `carry_over` periods of a block are ignored. Blocks
    form pairs, one block of each arm in random order, so that a trend over pairs cancels. `seed`: of the assignment.
    `draws`: the number of random assignments that stand for all, with more than 12 pairs.
    """

    periods: int
    block: int
    carry_over: int
    seed: int
    alpha: float = 0.05
    draws: int = 4_999


def plan_switchback(
    periods: int, block: int, carry_over: int, seed: int, alpha: float = 0.05, draws: int = 4_999
) -> SwitchbackPlan:
    """A `SwitchbackPlan` of these constants.

    Raises `BadInput` for what is no whole number, if a block is not longer than the carry-over, or if so few pairs can
    never give p <= alpha.
    """
    periods, block = whole_number("periods", periods, 1), whole_number("block", block, 1)
    seed, draws = whole_number("seed", seed), whole_number("draws", draws, 1)
    carry_over = whole_number("carry_over", carry_over)
    if not carry_over < block:
        raise BadInput("carry_over", f"from 0 to {block - 1} periods: less than a block", carry_over)
    pairs = periods // (2 * block)
    fewest = int(np.ceil(np.log2(2 / check_alpha(alpha))))
    if pairs < fewest:
        raise BadInput(
            "periods", f"{2 * block * fewest} or more: {fewest} pairs of blocks for alpha {alpha:g}", periods
        )
    return SwitchbackPlan(periods, block, carry_over, seed, alpha, draws)


def switchback_arms(plan: SwitchbackPlan) -> _Flags:
    """Whether each period is assigned to arm b, shape (periods,); periods after the last whole pair go to arm a."""
    rng = np.random.default_rng(plan.seed)
    return _arms(plan, rng.random(_pairs(plan)) < 0.5)


def _pairs(plan: SwitchbackPlan) -> int:
    return plan.periods // (2 * plan.block)


def _arms(plan: SwitchbackPlan, b_first: _Flags) -> _Flags:
    blocks = np.stack([b_first, ~b_first], axis=1).ravel()
    arms = np.zeros(plan.periods, dtype=bool)
    arms[: len(blocks) * plan.block] = np.repeat(blocks, plan.block)
    return arms


def _pair_differences(plan: SwitchbackPlan, totals: Doubles, counts: Doubles) -> Doubles:
    """The mean of the first block of each pair minus that of the second, without carry-over, shape (pairs,)."""
    shape = (_pairs(plan), 2, plan.block)
    used = shape[0] * 2 * plan.block
    sums = totals[:used].reshape(shape)[..., plan.carry_over :].sum(axis=2)
    sizes = counts[:used].reshape(shape)[..., plan.carry_over :].sum(axis=2)
    if not (sizes > 0).all():
        raise BadInput("counts", "above 0 in every block once the carry-over is left out", sizes.min())
    means = sums / sizes
    return np.asarray(means[:, 0] - means[:, 1])


def infer_switchback(
    plan: SwitchbackPlan, totals: ArrayLike, counts: ArrayLike, higher_is_better: bool = True
) -> Inference:
    """The effect of b if all units get it, valid for one look.

    `totals`, `counts`: the total of the metric and the number of units in each period, shape (periods,). p is the
    p-value of the sharp null hypothesis of no effect: exact over all assignments up to 12 pairs, otherwise over `draws`
    random ones and the actual one. The interval contains every constant effect that is not rejected. Raises `BadInput`
    for arrays of other shapes or a block without units.
    """
    sums = doubles("totals", totals)
    sizes = doubles("counts", counts, 0.0)
    if sums.shape != (plan.periods,) or sizes.shape != sums.shape:
        raise BadInput("totals and counts", f"of shape ({plan.periods},): one for each period", sums.shape)
    differences = _pair_differences(plan, sums, sizes)
    b_first = switchback_arms(plan)[: 2 * plan.block * _pairs(plan) : 2 * plan.block]
    observed = np.where(b_first, differences, -differences)  # b minus a in each pair
    signs, estimate = _signs(plan, len(observed)), float(observed.mean())
    reach = 4 * float(np.abs(observed - estimate).max()) + 1e-12
    low, high = (_interval_end(observed, signs, estimate, estimate + side, plan.alpha) for side in (-reach, reach))
    return Inference(
        "switchback, randomization inference",
        "one look",
        estimate,
        low,
        high,
        _p_at(observed, signs, 0.0),
        plan.alpha,
        int(sizes[~switchback_arms(plan)].sum()),
        int(sizes[switchback_arms(plan)].sum()),
        higher_is_better=higher_is_better,
        constants={
            "alpha": plan.alpha,
            "periods": plan.periods,
            "block": plan.block,
            "carry_over": plan.carry_over,
            "seed": plan.seed,
        },
    )


def _p_at(observed: Doubles, signs: Doubles, effect: float) -> float:
    """The p-value of a constant effect, over the assignments `signs` (assignments, pairs)."""
    shifted = observed - effect
    drawn = np.abs(signs @ shifted)
    return float((drawn >= abs(shifted.sum()) * (1 - 1e-12)).mean())


def _interval_end(observed: Doubles, signs: Doubles, estimate: float, limit: float, alpha: float) -> float:
    """The smallest rejected effect on the way from `estimate` to `limit`; infinite if `limit` is not rejected."""
    if _p_at(observed, signs, limit) > alpha:
        return float(np.copysign(np.inf, limit - estimate))
    inner, outer = estimate, limit
    for _ in range(60):
        middle = (inner + outer) / 2
        inner, outer = (middle, outer) if _p_at(observed, signs, middle) > alpha else (inner, middle)
    return outer


def _signs(plan: SwitchbackPlan, pairs: int) -> Doubles:
    """Signs relative to the actual assignment, shape (assignments, pairs): of all, or of it and random ones."""
    if pairs <= 12:
        bits = (np.arange(2**pairs)[:, None] >> np.arange(pairs)) & 1
        return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)
    rng = np.random.default_rng([plan.seed, 1])
    drawn = 1.0 - 2.0 * rng.integers(0, 2, size=(plan.draws, pairs))
    return np.asarray(np.concatenate([np.ones((1, pairs)), drawn]), dtype=np.float64)


def carry_over_length(means: ArrayLike, alpha: float = 0.05) -> int:
    """The number of periods after a switch that still differ from later periods of their block, by an earlier run.

    `means`: the mean of the metric in each block and period, shape (blocks, periods in a block), minus the mean of
    the arm of the block. Each period of the first half is compared with the mean of the second half by a t test,
    corrected by Holm's method at level `alpha`. Raises `BadInput` for another shape.
    """
    table = doubles("means", means)
    if table.ndim != 2 or min(table.shape) < 2:
        raise BadInput("means", "of shape (two or more blocks, two or more periods)", table.shape)
    half = table.shape[1] // 2
    settled = table[:, half:].mean(axis=1)
    p = np.array([float(stats.ttest_1samp(table[:, k] - settled, 0.0).pvalue) for k in range(half)])
    order = np.argsort(p)
    rejected = np.zeros(half, dtype=bool)
    for step, index in enumerate(order):
        if not p[index] * (half - step) <= alpha:
            break
        rejected[index] = True
    return int(np.flatnonzero(rejected)[-1]) + 1 if rejected.any() else 0
