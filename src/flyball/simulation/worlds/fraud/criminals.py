"""Criminals: which cards are stolen and which terminals compromised, until when, and how they react to declines."""

import numpy as np

from flyball.simulation.world import DAY_US

LARGE, TERMINAL, STOLEN = 1, 2, 3
"""The kind of a fraudulent payment; 0 is a payment by the customer."""
COMPROMISED_DAYS, STOLEN_DAYS = 28, 14
_COMPROMISED_A_DAY, _STOLEN_A_DAY = 2 / 10_000, 3 / 5_000
"""As shares of the terminals and of the customers, as in the handbook."""
LARGE_SHARE = 0.0005
TERMINAL_SHARE, STOLEN_SHARE = 0.8, 1 / 3
"""The shares of payments at a compromised terminal, and with a stolen card, that are fraudulent."""
LARGE_FROM, _LARGE_MEAN = 220.0, 80.0
_MULTIPLIER, _LEAST_MULTIPLIER = 5.0, 1.1
_LESS = 0.6
"""After a decline, a criminal tries this share of the amount."""
_CARD_DECLINES, _TERMINAL_DECLINES = 4, 3
"""After so many declines a stolen card is given up, and a skimmer is moved to another terminal."""
_LARGE_LESS, _LEAST_LARGE = 0.97, 0.4


class Criminals:
    """The state of all campaigns among `customers` and `terminals`, including those that began before `start_us`.

    `rate`: the factor by which more campaigns begin each day than in the handbook.
    """

    def __init__(
        self, rng: np.random.Generator, customers: int, terminals: int, start_us: int, rate: float = 1.0
    ) -> None:
        self._stolen_a_day = _STOLEN_A_DAY * rate * customers
        self._compromised_a_day = _COMPROMISED_A_DAY * rate * terminals
        self._large_share, self._large_usual = LARGE_SHARE * rate, LARGE_SHARE * rate
        self._more, self._disguised = 0.0, 0.0
        self.stolen_until_us = np.zeros(customers, dtype=np.int64)
        self.compromised_until_us = np.zeros(terminals, dtype=np.int64)
        self._multiplier = np.full(customers, _MULTIPLIER)
        self._card_declines, self._terminal_declines = dict[int, int](), dict[int, int]()
        self._large = 1.0
        for days, a_day, begin in (
            (STOLEN_DAYS, self._stolen_a_day, self._steal),
            (COMPROMISED_DAYS, self._compromised_a_day, self._compromise),
        ):
            for ends in (rng.random(rng.poisson(days * a_day)) * days * DAY_US).tolist():
                begin(rng, start_us + int(ends))

    def shift(self, rng: np.random.Generator, at_us: int, more: float, disguised: float) -> None:
        """From `at_us` on, have `more` as a share of the usual campaigns in addition, and hide `disguised` of amounts.

        Campaigns that would be under way already if it had always been so begin at once.
        """
        added = max(0.0, more - self._more)
        for days, a_day, begin in (
            (STOLEN_DAYS, self._stolen_a_day, self._steal),
            (COMPROMISED_DAYS, self._compromised_a_day, self._compromise),
        ):
            count = rng.poisson(days * a_day * added) if added else 0
            for left in (rng.random(count) * days * DAY_US).tolist():
                begin(rng, at_us + int(left))
        self._more, self._disguised = more, disguised
        self._large_share = self._large_usual * (1 + more)

    def begin(self, rng: np.random.Generator, at_us: int, days: float) -> None:
        """Begin, at `at_us`, all campaigns of the `days` days after it."""
        days *= 1 + self._more
        for _ in range(rng.poisson(days * self._stolen_a_day)):
            self._steal(rng, at_us + STOLEN_DAYS * DAY_US)
        for _ in range(rng.poisson(days * self._compromised_a_day)):
            self._compromise(rng, at_us + COMPROMISED_DAYS * DAY_US)

    def take(
        self,
        rng: np.random.Generator,
        at_us: np.ndarray,
        customers: np.ndarray,
        terminals: np.ndarray,
        amounts: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The kind of each payment, int8 (n,), 0 if it is not fraudulent, and the resulting amounts, float64 (n,)."""
        n, kind = len(at_us), np.zeros(len(at_us), dtype=np.int8)
        (large, terminal, stolen), more = rng.random((3, n)), rng.exponential(_LARGE_MEAN, size=n)
        kind[(self.compromised_until_us[terminals] > at_us) & (terminal < TERMINAL_SHARE)] = TERMINAL
        kind[(self.stolen_until_us[customers] > at_us) & (stolen < STOLEN_SHARE)] = STOLEN
        kind[large < self._large_share] = LARGE
        usual, disguised = amounts, self._disguised
        amounts = np.where(kind == STOLEN, amounts * self._multiplier[customers], amounts)
        amounts = np.where(kind == LARGE, (LARGE_FROM + more) * self._large, amounts)
        return kind, np.where(kind > 0, usual * disguised + amounts * (1 - disguised), amounts)

    def declined(
        self, rng: np.random.Generator, kind: int, customer: int, terminal: int, amount: float, now_us: int
    ) -> float | None:
        """React to a declined fraudulent payment: the amount of the next attempt, None if there is none."""
        if kind == LARGE:
            self._large = max(_LEAST_LARGE, self._large * _LARGE_LESS)
            return None
        if kind == TERMINAL:
            self._terminal_declines[terminal] = self._terminal_declines.get(terminal, 0) + 1
            if self._terminal_declines[terminal] >= _TERMINAL_DECLINES and self.compromised_until_us[terminal] > now_us:
                self._compromise(rng, int(self.compromised_until_us[terminal]))
                self.compromised_until_us[terminal] = now_us
            return None
        self._multiplier[customer] = max(_LEAST_MULTIPLIER, _LESS * float(self._multiplier[customer]))
        self._card_declines[customer] = self._card_declines.get(customer, 0) + 1
        if self._card_declines[customer] >= _CARD_DECLINES:
            self.stolen_until_us[customer] = min(int(self.stolen_until_us[customer]), now_us)
            return None
        return _LESS * amount

    def _steal(self, rng: np.random.Generator, until_us: int) -> None:
        customer = int(rng.integers(len(self.stolen_until_us)))
        self.stolen_until_us[customer] = until_us
        self._multiplier[customer], self._card_declines[customer] = _MULTIPLIER, 0

    def _compromise(self, rng: np.random.Generator, until_us: int) -> None:
        terminal = int(rng.integers(len(self.compromised_until_us)))
        self.compromised_until_us[terminal], self._terminal_declines[terminal] = until_us, 0
