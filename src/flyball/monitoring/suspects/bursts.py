"""Bursts: the most events of an account within ten minutes; and the kinds of its events."""

import numpy as np

from flyball.core import Ints, counted_units
from flyball.monitoring.suspects.account_test import FEWEST, AccountTest, divergence
from flyball.monitoring.suspects.actions import Actions

BURST_US = 600_000_000
_LEAST_SCALE = 0.1


def burst_test(actions: Actions) -> AccountTest:
    """Accounts with many events at once. Null: an account has as many in its fullest ten minutes as those as active.

    Fewer than five are no burst, however rarely others have two.
    """
    peaks = fullest(actions.account, actions.at_us, len(actions.accounts), BURST_US)
    return AccountTest(
        "burst",
        np.log(np.maximum(peaks, FEWEST - 1)),
        actions.counts >= FEWEST,
        _LEAST_SCALE,
        lambda row: f"{counted_units(int(peaks[row]), 'event')} within 10 minutes",
    )


def kinds_test(actions: Actions) -> AccountTest:
    """Accounts whose events are of other kinds than usual. Null: their shares differ as those of the others do."""
    counts = np.zeros((len(actions.accounts), len(actions.kinds)))
    np.add.at(counts, (actions.account, actions.kind), 1)
    usual = counts.sum(axis=0) / max(counts.sum(), 1.0)

    def words(row: int) -> str:
        own = counts[row]
        kind = int(np.argmax(own - own.sum() * usual))
        return f"{own[kind]:.0f} of {own.sum():.0f} events are {actions.kinds[kind]}, {usual[kind]:.1%} usual"

    several = len(actions.kinds) > 1
    return AccountTest("kinds", divergence(counts), (actions.counts >= FEWEST) & several, _LEAST_SCALE, words)


def fullest(account: Ints, at_us: Ints, count: int, length_us: int) -> Ints:
    """The most events of each account within any `length_us`; rows are ordered by account, then time."""
    peaks = np.zeros(count, np.int64)
    if len(account):
        at_ms, length_ms = (at_us - at_us.min()) // 1_000, length_us // 1_000
        apart = account * (int(at_ms.max()) + length_ms + 1) + at_ms
        ends = np.searchsorted(apart, apart + length_ms, side="left")
        np.maximum.at(peaks, account, ends - np.arange(len(account)))
    return peaks
