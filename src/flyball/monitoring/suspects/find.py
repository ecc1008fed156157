"""Finds suspects: accounts that all tests together hold to be odd, with a bound on how many of them are false.

Null of each account: its scores come from the distribution that accounts as active have. Half of the accepted share of
false suspects goes to accounts that are odd alone (Benjamini-Hochberg over all accounts, of the smallest p-value of the
tests by Bonferroni), half to members of odd groups (Benjamini-Hochberg over groups, then over the members of each).
"""

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flyball.core import Doubles, Ints, format_second
from flyball.monitoring.suspects.account_test import FEWEST, AccountTest, Tested
from flyball.monitoring.suspects.actions import Actions
from flyball.monitoring.suspects.bursts import burst_test, kinds_test
from flyball.monitoring.suspects.choices import deviation_test, rare_test, values_test
from flyball.monitoring.suspects.groups import WEEK_US, groups_of
from flyball.monitoring.suspects.overlaps import lockstep_test, twin_test
from flyball.statistics import benjamini_hochberg, upper_tail_p_values

TESTS = (burst_test, kinds_test, twin_test, lockstep_test, rare_test, values_test, deviation_test)
FALSE_SHARE = 0.05
FEWEST_ACCOUNTS = 100
_SHIFTS = (0, WEEK_US // 2, None)
_WORTH_TELLING, _ROUNDS = 0.05, 20


class Suspect(Struct, frozen=True):
    """An account that is odd. `p`: adjusted for all accounts (of a group: for its members). `events`: of it.

    `tests`: {test: its p-value for this account}, the smallest first. `evidence`: a sentence for each, and for a group.
    `target`: what its group acts on, None without a group.
    """

    account: str
    p: float
    events: int
    tests: dict[str, float]
    evidence: tuple[str, ...]
    target: str | None = None


class Suspects(Struct, frozen=True):
    """All suspects, the oddest first. `tested`: of `accounts` with events enough, 0 if they are too few to compare.

    `false_share`: the share of suspects that may be false on average. `p`: the probability of one as odd as the oddest
    while all accounts are as usual.
    """

    accounts: int
    tested: int
    events: int
    false_share: float
    suspects: tuple[Suspect, ...] = ()
    p: float = 1.0


def find_suspects(actions: Actions, false_share: float = FALSE_SHARE) -> Suspects:
    """Test all accounts with five events or more; none if there are fewer than 100 of them."""
    sizes = np.maximum(actions.counts, actions.pair_counts)
    tested = np.flatnonzero(sizes >= FEWEST)
    result = Suspects(len(actions.accounts), len(tested), len(actions.account), false_share)
    if len(tested) < FEWEST_ACCOUNTS:
        return replace(result, tested=0)
    crowd = _Crowd([make(actions) for make in TESTS], sizes)
    members, group_p = _members(actions, crowd, false_share / 2)
    usual = np.ones(len(sizes), np.bool_)
    usual[list(members)] = False
    by_test = crowd.by_test(usual)
    odd, adjusted = crowd.odd(by_test), np.ones(len(sizes))
    adjusted[tested] = benjamini_hochberg(odd[tested])
    rows = {*np.flatnonzero(adjusted <= false_share / 2).tolist(), *members}
    suspects = [
        _described(actions, row, crowd.tests, by_test[:, row], float(adjusted[row]), members.get(row))
        for row in sorted(rows, key=lambda row: (odd[row], row))
    ]
    p = min(1.0, 2 * min(float(adjusted.min()), group_p)) if suspects else 1.0
    return replace(result, suspects=tuple(suspects), p=p)


class _Crowd(Struct, frozen=True):
    """All accounts with their tests and sizes."""

    tests: list[AccountTest]
    sizes: Ints

    def by_test(self, usual: Tested | None = None) -> Doubles:
        """The p-values, shape (tests, accounts); `usual`: the accounts that show what is usual."""
        return np.array([test.p_values(self.sizes, usual) for test in self.tests])

    def odd(self, by_test: Doubles) -> Doubles:
        """One p-value of each account: by the smallest of the tests (Bonferroni) and by their sum of logarithms."""
        summed = np.ones(len(self.sizes))
        rows = np.flatnonzero(self.sizes >= FEWEST)
        summed[rows] = upper_tail_p_values(-np.log(by_test[:, rows]).sum(axis=0), self.sizes[rows], 1.0)
        return np.asarray(np.minimum(1.0, 2 * np.minimum(len(self.tests) * by_test.min(axis=0), summed)))


class OddGroup(Struct, frozen=True):
    """The accounts, by number, that acted on a target, by number; `since_us`: of their week, -1 for all times."""

    p: float
    target: int
    since_us: int
    accounts: Ints
    values: Doubles


Members = dict[int, tuple[float, OddGroup]]
"""{account: (adjusted p-value, group)} of the odd members of odd groups."""


def _members(actions: Actions, crowd: _Crowd, alpha: float) -> tuple[Members, float]:
    """(the odd members of odd groups, the smallest adjusted p-value of a group).

    The oddest group is looked at first, its members compared with all others; those that are odd are taken out, and the
    groups of the rest are looked at again, since one attack makes many groups odd.
    """
    members: Members = {}
    left, smallest, by_test = np.ones(len(crowd.sizes), np.bool_), 1.0, crowd.by_test()
    for _ in range(_ROUNDS):
        groups = _odd_groups(actions, by_test, left, alpha)
        smallest = min([smallest, *(group.p for group in groups)])
        fresh: Members = {}
        for group in groups[:_ROUNDS]:
            fresh = _odd_members(crowd, group, left, alpha)
            if fresh:
                break
        if not fresh:
            break
        members |= fresh
        left[list(fresh)] = False
        by_test = crowd.by_test(left)
    return members, smallest


def _odd_members(crowd: _Crowd, group: OddGroup, left: Tested, alpha: float) -> Members:
    usual = left.copy()
    usual[group.accounts] = False
    p = benjamini_hochberg(crowd.odd(crowd.by_test(usual))[group.accounts])
    return {
        account: (p_value, group)
        for account, p_value in zip(group.accounts.tolist(), p.tolist(), strict=True)
        if p_value <= alpha
    }


def _odd_groups(actions: Actions, by_test: Doubles, left: Tested, alpha: float) -> list[OddGroup]:
    """The odd groups among the accounts that are left, the oddest first; none of a tenth of all accounts or more."""
    pairs = actions.pairs.only(left)
    families = [groups_of(pairs, by_test, shift_us) for shift_us in _SHIFTS]
    adjusted = benjamini_hochberg(np.concatenate([family.p for family in families]))
    odd, start = list[OddGroup](), 0
    for family in families:
        own, start = adjusted[start : start + len(family.p)], start + len(family.p)
        for group in np.flatnonzero(own <= alpha).tolist():
            inside = family.group_of == group
            if inside.sum() * 10 < len(left):
                target_week = int(family.target[group]), int(family.since_us[group])
                odd.append(OddGroup(float(own[group]), *target_week, pairs.account[inside], pairs.value[inside]))
    return sorted(odd, key=lambda group: (group.p, len(group.accounts)))


def _sentence(actions: Actions, group: OddGroup) -> str:
    when = "" if group.since_us < 0 else f" in the week from {format_second(group.since_us)[:10]}"
    values, agreement = group.values[~np.isnan(group.values)], ""
    if len(values):
        levels, count = np.unique(values, return_counts=True)
        agreement = f"; {count.max()} of {len(values)} values are {levels[count.argmax()]:g}"
    return f"acted on {actions.targets[group.target]} with {len(group.accounts) - 1} others{when}{agreement}"


def _described(
    actions: Actions,
    row: int,
    tests: list[AccountTest],
    p: Doubles,
    adjusted: float,
    member: tuple[float, OddGroup] | None,
) -> Suspect:
    telling = [number for number in np.argsort(p, kind="stable").tolist() if p[number] <= _WORTH_TELLING]
    evidence = [tests[number].words(row) for number in telling]
    if member is not None:
        evidence.append(_sentence(actions, member[1]))
    return Suspect(
        actions.accounts[row],
        adjusted if member is None else min(adjusted, member[0]),
        int(actions.counts[row]),
        {tests[number].name: float(p[number]) for number in telling},
        tuple(evidence),
        None if member is None else actions.targets[member[1].target],
    )
