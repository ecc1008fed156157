"""One test of all accounts: a score that is larger the odder an account is, and what it says in words."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from flyball.core import Doubles, Ints
from flyball.statistics import upper_tail_p_values

FEWEST = 5
"""An account with fewer events, targets or values than this is not tested by them."""

Tested = np.ndarray[tuple[int], np.dtype[np.bool_]]


class AccountTest(Struct, frozen=True):
    """`scores`, `tested`: shape (accounts,). `least_scale`: see `upper_tail_p_values`. `words`: of an account.

    `least_p`: no p-value is smaller, shape (accounts,); of a score that says by itself how likely it is: the tail of
    the others' scores cannot show how odd an account of five targets is.
    """

    name: str
    scores: Doubles
    tested: Tested
    least_scale: float
    words: Callable[[int], str]
    least_p: Doubles | None = None

    def p_values(self, sizes: Ints, usual: Tested | None = None) -> Doubles:
        """The p-value of each account among those of similar size, 1 where it is not tested.

        `usual`: the accounts that show what is usual, by default all.
        """
        p = np.ones(len(self.scores))
        rows = np.flatnonzero(self.tested)
        if len(rows) >= FEWEST:
            shown = None if usual is None else usual[rows]
            p[rows] = upper_tail_p_values(self.scores[rows], sizes[rows], self.least_scale, shown)
        return p if self.least_p is None else np.asarray(np.maximum(p, self.least_p))


def divergence(counts: Doubles) -> Doubles:
    """The log of how far the distribution of each account, a row, is from that of all, shape (accounts,).

    The statistic is Pearson's, divided by what it is on average in accounts that differ from each other as the median
    account does (the overdispersion of a Dirichlet-multinomial), so that it does not grow with their events.
    """
    totals, shares = counts.sum(axis=1), counts.sum(axis=0) / max(counts.sum(), 1.0)
    expected = totals[:, None] * shares
    squares = ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum(axis=1)
    enough, degrees = totals >= FEWEST, max(int((shares > 0).sum()) - 1, 1)
    spread = 0.0
    if enough.any():
        spread = max(0.0, float(np.median((squares[enough] / degrees - 1) / (totals[enough] - 1))))
    return np.asarray(np.log(np.maximum(squares / (1 + np.maximum(totals - 1, 0) * spread), 0.1)))
