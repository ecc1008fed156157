"""What accounts choose and how they value it: rare targets, odd distributions of values, values unlike the others'."""

from itertools import pairwise

import numpy as np

from flyball.core import Ints, SignedInts
from flyball.monitoring.suspects.account_test import FEWEST, AccountTest, divergence
from flyball.monitoring.suspects.actions import Actions

_LEVELS = 20
_LEAST_SCALE, _LEAST_DIVERGENCE = 0.02, 0.05


def rare_test(actions: Actions) -> AccountTest:
    """Accounts that choose what few others do. Null: their targets are as popular as those of accounts as active."""
    pairs, sizes = actions.pairs, actions.pair_counts
    others = np.maximum(actions.popularity[pairs.target] - 1, 0.5)
    mean = np.bincount(pairs.account, np.log(others), minlength=len(sizes)) / np.maximum(sizes, 1)
    usual = float(np.exp(np.median(mean[sizes >= FEWEST]))) if (sizes >= FEWEST).any() else 0.0

    def words(row: int) -> str:
        return f"its {sizes[row]} targets were chosen by {np.exp(mean[row]):.1f} others in the mean, {usual:.1f} usual"

    return AccountTest("rare", -mean, sizes >= FEWEST, _LEAST_SCALE, words)


def values_test(actions: Actions) -> AccountTest:
    """Accounts whose values are distributed otherwise. Null: they differ from the rest as the others do."""
    account, level, names = _levels(actions)
    counts = np.zeros((len(actions.accounts), len(names)))
    np.add.at(counts, (account, level), 1)
    usual = counts.sum(axis=0) / max(counts.sum(), 1.0)

    def words(row: int) -> str:
        own = counts[row]
        at = int(np.argmax(own - own.sum() * usual))
        return f"{own[at]:.0f} of {own.sum():.0f} values are {names[at]}, {usual[at]:.0%} usual"

    return AccountTest("values", divergence(counts), counts.sum(axis=1) >= FEWEST, _LEAST_DIVERGENCE, words)


def deviation_test(actions: Actions) -> AccountTest:
    """Accounts whose values are far from those of others for the same target (RDMA: Chirita et al., WIDM 2005)."""
    pairs, count = actions.pairs, len(actions.accounts)
    valued = ~np.isnan(pairs.value)
    account, target, value = pairs.account[valued], pairs.target[valued], pairs.value[valued]
    sums, numbers = (np.bincount(target, weights, minlength=len(actions.targets)) for weights in (value, None))
    several = numbers[target] > 1
    away = np.abs(value - (sums[target] - value) / np.maximum(numbers[target] - 1, 1))[several]
    rated = np.bincount(account[several], minlength=count)
    mean = np.bincount(account[several], away, minlength=count) / np.maximum(rated, 1)
    tested = rated >= FEWEST
    usual = float(np.median(mean[tested])) if tested.any() else 0.0

    def words(row: int) -> str:
        return f"values are {mean[row]:.2f} away from those of the others in the mean, {usual:.2f} usual"

    return AccountTest("deviation", np.log(np.maximum(mean, 1e-3)), tested, _LEAST_SCALE, words)


def _levels(actions: Actions) -> tuple[Ints, SignedInts, list[str]]:
    """(account, level of its value, names of the levels): the values themselves, or ten quantiles of many."""
    valued = ~np.isnan(actions.pairs.value)
    account, value = actions.pairs.account[valued], actions.pairs.value[valued]
    levels, level = np.unique(value, return_inverse=True)
    if len(levels) <= _LEVELS:
        return account, level, [f"{level_value:g}" for level_value in levels]
    ends = np.unique(np.quantile(value, np.arange(1, 10) / 10))
    names = [f"at most {ends[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(ends))]
    return account, np.searchsorted(ends, value), [*names, f"above {ends[-1]:g}"]
