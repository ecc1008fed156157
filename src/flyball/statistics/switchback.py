"""Switchback experiments: the whole market alternates between arms in time, where units affect each other.

Source: Bojinov, Simchi-Levi and Zhao, "Design and analysis of switchback experiments", Management Science 2023: blocks
as long as effects carry over, randomization inference over the assignments that could have been.
"""

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, doubles
from flyball.statistics.inference import Inference

_Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class SwitchbackPlan(msgspec.Struct, frozen=True):
    """Fixed before the start: `periods` in blocks of `block` periods, the first `carry_over` of a block left out.

    Blocks come in pairs, one of each arm in random order: a trend over pairs cancels. `seed` makes the assignment.
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
    """Raises `BadInput` where blocks are not longer than effects carry over, or too few pairs can show anything."""
    if not 0 <= carry_over < block:
        raise BadInput("carry_over", f"from 0 to {block - 1} periods: less than a block", carry_over)
    pairs = periods // (2 * block)
    fewest = int(np.ceil(np.log2(2 / check_alpha(alpha))))
    if pairs < fewest:
        raise BadInput(
            "periods", f"{2 * block * fewest} or more: {fewest} pairs of blocks for alpha {alpha:g}", periods
        )
    return SwitchbackPlan(periods, block, carry_over, seed, alpha, draws)


def switchback_arms(plan: SwitchbackPlan) -> _Flags:
    """Whether each period is of arm b, shape (periods,); periods after the last whole pair are of a."""
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
    """First block minus second of each pair, without the carry-over; shape (pairs,)."""
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
    """The effect of b when all units get it, from the total of the metric and the units of each period, (periods,).

    p is that of the sharp null hypothesis of no effect, over all possible assignments (exact up to 12 pairs, else over
    `draws` of them and the actual one). The interval contains every constant effect that is not rejected. Valid for one
    look. Raises `BadInput` for arrays of other shapes.
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
    """The effect between `estimate` and `limit` from which on effects are rejected; infinite if `limit` is not."""
    if _p_at(observed, signs, limit) > alpha:
        return float(np.copysign(np.inf, limit - estimate))
    inner, outer = estimate, limit
    for _ in range(60):
        middle = (inner + outer) / 2
        inner, outer = (middle, outer) if _p_at(observed, signs, middle) > alpha else (inner, middle)
    return outer


def _signs(plan: SwitchbackPlan, pairs: int) -> Doubles:
    """Assignments relative to the true one, shape (draws, pairs): all of them, or drawn ones and the true one."""
    if pairs <= 12:
        bits = (np.arange(2**pairs)[:, None] >> np.arange(pairs)) & 1
        return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)
    rng = np.random.default_rng([plan.seed, 1])
    drawn = 1.0 - 2.0 * rng.integers(0, 2, size=(plan.draws, pairs))
    return np.asarray(np.concatenate([np.ones((1, pairs)), drawn]), dtype=np.float64)


def carry_over_length(responses: ArrayLike, alpha: float = 0.05) -> int:
    """How many periods after a switch still differ from the later ones of their block, from a block design run before.

    `responses`: mean of the metric by block and period within the block, shape (blocks, periods in a block), each
    relative to its block's arm. Holm over the periods of the first half against the mean of the second half.
    """
    table = doubles("responses", responses)
    if table.ndim != 2 or min(table.shape) < 2:
        raise BadInput("responses", "of shape (two or more blocks, two or more periods)", table.shape)
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
