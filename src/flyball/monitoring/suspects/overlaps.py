"""Near-identical accounts: those that act on the same targets as another one, and those that do so at the same time.

The most similar other account is found by MinHash. The score is Chernoff's bound of how unlikely so many common targets
are if the other account had chosen by popularity, in nats, corrected for the number of accounts, for each target of the
account. Tastes make it larger in every population, so a test compares it with that of the others; and an account is no
odder than the bound: among hundreds of accounts with five targets two have four in common by chance.
"""

import numpy as np

from flyball.core import Doubles, Ints
from flyball.monitoring.suspects.account_test import FEWEST, AccountTest, Tested
from flyball.monitoring.suspects.actions import Actions
from flyball.statistics import minhash_signatures, most_similar_sets

HOUR_US = 3_600_000_000
_LEAST_SCALE = 0.05


def twin_test(actions: Actions) -> AccountTest:
    """Accounts with the targets of another one. Null: they have as much in common as accounts of that size have."""
    pairs, sizes = actions.pairs, actions.pair_counts
    other = _partners(pairs.account, pairs.target, len(actions.accounts))
    common, expected = _common(actions, other, pairs.target, sizes[other[pairs.account]])
    return _test("twins", actions, other, common, expected, (other >= 0) & (sizes >= FEWEST), "the same")


def lockstep_test(actions: Actions) -> AccountTest:
    """Accounts that act on the targets of another one in the same hour, among those with one active in their hours."""
    pairs, hours = actions.pairs, _hours(actions.pairs.at_us)
    span = int(hours.max()) + 1 if len(hours) else 1
    other = _partners(pairs.account, pairs.target * span + hours, len(actions.accounts))
    in_hour, counts = np.unique(pairs.account * span + hours, return_counts=True)
    chosen = _count_of(other[pairs.account] * span + hours, in_hour, counts)
    common, expected = _common(actions, other, pairs.target * span + hours, chosen)
    tested = (other >= 0) & (actions.pair_counts >= FEWEST) & (expected > 0)
    return _test("lockstep", actions, other, common, expected, tested, "the same in the same hour")


def _test(
    name: str, actions: Actions, other: Ints, common: Doubles, expected: Doubles, tested: Tested, same: str
) -> AccountTest:
    above = common > np.maximum(expected, 1e-9)
    ratio = np.divide(common, np.maximum(expected, 1e-9), out=np.ones_like(common), where=above)
    nats = np.where(above, common * np.log(ratio) - (common - expected), 0.0)
    number = np.maximum(actions.pair_counts, 1)
    corrected = np.maximum(nats - np.log(max(len(actions.accounts), 1)), 0.0)

    def words(row: int) -> str:
        partner = actions.accounts[other[row]]
        return f"{common[row]:.0f} of {number[row]} targets {same} as of {partner} ({expected[row]:.1f} expected)"

    return AccountTest(name, corrected / number, tested, _LEAST_SCALE, words, np.exp(-corrected))


def _partners(sets: Ints, elements: Ints, count: int) -> Ints:
    return most_similar_sets(minhash_signatures(sets, elements, count))[0]


def _common(actions: Actions, other: Ints, elements: Ints, chosen: Ints) -> tuple[Doubles, Doubles]:
    """(elements in common with the other account, those expected if its `chosen` ones were drawn by popularity)."""
    pairs, count = actions.pairs, len(actions.accounts)
    if not len(elements):
        return np.zeros(count), np.zeros(count)
    has = other[pairs.account] >= 0
    span = int(elements.max()) + 1
    own_elements = np.sort(pairs.account * span + elements)
    shared = _is_in(other[pairs.account] * span + elements, own_elements) & has
    popularity = actions.popularity[pairs.target]
    chance = np.minimum(1.0, chosen * np.maximum(popularity - 2, 0.5) / len(elements)) * has  # without the two of them
    return (
        np.bincount(pairs.account, shared, minlength=count).astype(np.float64),
        np.bincount(pairs.account, chance, minlength=count).astype(np.float64),
    )


def _is_in(values: Ints, ascending: Ints) -> Tested:
    positions = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.asarray(ascending[positions] == values)


def _count_of(values: Ints, ascending: Ints, counts: Ints) -> Ints:
    positions = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.where(ascending[positions] == values, counts[positions], 0)


def _hours(at_us: Ints) -> Ints:
    return (at_us - at_us.min()) // HOUR_US if len(at_us) else at_us
