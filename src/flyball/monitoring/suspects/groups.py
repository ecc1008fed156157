"""Groups: accounts that act on the same target in the same week, and are odd together though none need be so alone.

A group is tested as accounts are: how odd its members are, how many more came than the target and the week have, how
far its values are from those of the rest; each compared with all groups of similar size.
"""

import numpy as np
from msgspec import Struct

from flyball.core import Doubles, Ints
from flyball.monitoring.suspects.account_test import FEWEST
from flyball.monitoring.suspects.actions import Actions
from flyball.statistics import upper_tail_p_values

WEEK_US = 604_800_000_000
_PRIOR = 5.0
"""So many values as all have are added to those of a target's other accounts."""


class TargetGroups(Struct, frozen=True):
    """Groups with five members or more. `p`: of each, shape (groups,); `target`, `since_us`; -1 for all times.

    `group_of`: of each pair, -1 for none.
    """

    p: Doubles
    target: Ints
    since_us: Ints
    group_of: Ints


def groups_of(pairs: Actions, by_test: Doubles, shift_us: int | None) -> TargetGroups:
    """The groups by target and week; `shift_us`: of the weeks' starts, None for one group of a target.

    `pairs`: a row for each account and target (`Actions.pairs`). `by_test`: the p-values of the accounts, shape (tests,
    accounts). Null: by each test members are as odd as those of other groups of similar size are, as many came, and
    their values agree as much.
    """
    week = np.zeros(len(pairs.at_us), np.int64) if shift_us is None else (pairs.at_us + shift_us) // WEEK_US
    first = int(week.min()) if len(week) else 0
    week -= first
    weeks = int(week.max()) + 1 if len(week) else 1
    cells, cell, sizes = np.unique(pairs.target * weeks + week, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(sizes >= FEWEST)
    number = np.full(len(cells), -1, np.int64)
    number[kept] = np.arange(len(kept))
    target, since, group_of, size = cells[kept] // weeks, cells[kept] % weeks, number[cell], sizes[kept]
    since_us = np.full(len(kept), -1) if shift_us is None else (since + first) * WEEK_US - shift_us
    odd = [_oddness(group_of, p[pairs.account], size) for p in by_test]
    others = [_agreement(pairs, group_of, target, size)] if (~np.isnan(pairs.value)).any() else []
    if shift_us is not None:
        popularity = np.bincount(pairs.target, minlength=len(pairs.targets))
        others.append(_rush(np.bincount(week, minlength=weeks)[since] / len(week), popularity[target], size))
    together = upper_tail_p_values(-np.log(np.array([*odd, *others])).sum(axis=0), size, 1.0)
    oddest = np.minimum(1.0, len(odd) * np.min(odd, axis=0))
    return TargetGroups(np.maximum(oddest, together), target, since_us, group_of)


def _oddness(group_of: Ints, p: Doubles, size: Ints) -> Doubles:
    """How odd the members are by one test, as a p-value: Fisher's sum of logarithms, standardized."""
    inside = group_of >= 0
    nats = np.bincount(group_of[inside], -np.log(p[inside]), minlength=len(size))
    return upper_tail_p_values((nats - size) / np.sqrt(size), size, 0.5)


def _rush(share: Doubles, of_target: Ints, size: Ints) -> Doubles:
    """How many more accounts came than by the week's share of all, as a p-value."""
    expected = np.maximum(of_target * share, 0.1)
    above = size > expected
    ratio = np.divide(size, expected, out=np.ones(len(size)), where=above)
    return upper_tail_p_values(np.where(above, size * np.log(ratio) - (size - expected), 0.0), size, 1.0)


def _agreement(pairs: Actions, group_of: Ints, target: Ints, size: Ints) -> Doubles:
    """How far the values of a group are from those of the target's other accounts, as a p-value."""
    valued = ~np.isnan(pairs.value)
    levels, level = np.unique(pairs.value[valued], return_inverse=True)
    if len(levels) > 20:
        level = np.searchsorted(np.quantile(pairs.value[valued], np.arange(1, 10) / 10), pairs.value[valued])
    width = int(level.max()) + 1
    of_all = np.bincount(pairs.target[valued] * width + level, minlength=len(pairs.targets) * width)
    group, counts = group_of[valued], np.zeros((len(size), width))
    np.add.at(counts, (group[group >= 0], level[group >= 0]), 1)
    remaining = np.maximum(of_all.reshape(-1, width)[target] - counts, 0)
    usual = of_all.reshape(-1, width).sum(axis=0) / valued.sum()
    chance = (remaining + _PRIOR * usual) / (remaining.sum(axis=1, keepdims=True) + _PRIOR)
    own = counts.sum(axis=1, keepdims=True)
    ratio = np.divide(counts, np.maximum(own, 1) * chance, out=np.ones_like(counts), where=counts > 0)
    nats = (counts * np.log(ratio)).sum(axis=1)
    return upper_tail_p_values(np.log(np.maximum(nats, 0.1)), size, 0.1)
