"""Recently liked items, of all users and of each group: counts by day, halved every half-life.

The score of an item is the sum over days of `units * 2 ** (day / half_life_days)`, as a mantissa and a power of two. It
does not depend on the present time, so it changes only with the counts of the item. The weight of a day has 32 binary
digits and the sum is rounded once (`math.fsum`), so that items with equal sums tie for any days.
Source: forward decay, Cormode et al., ICDE 2009.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.state import ViewStore
from flyball.stores import StateStore, key_of
from flyball.tasks.recommend.state.signals import Signals

LISTED = 200
"""The most items of a popular list."""


class PopularList(msgspec.Struct, frozen=True):
    """Items, best first, and their scores relative to the first one."""

    items: list[str]
    scores: list[float]


class DayCounts(msgspec.Struct, array_like=True):
    """The units of one item in one group by day; the group of all users is ""."""

    group: str
    item: str
    units: dict[int, int]


class _Listed(msgspec.Struct, array_like=True):
    items: list[str]
    mantissas: list[float]
    powers: list[int]


Deltas = dict[tuple[str, str], dict[int, int]]
"""(group, item) → day → change in units."""

_encode = msgspec.msgpack.Encoder().encode
_decode_counts = msgspec.msgpack.Decoder(DayCounts).decode
_decode_listed = msgspec.msgpack.Decoder(_Listed).decode


def counts_key(group: str, item: str) -> bytes:
    return key_of(b"c/", group, item)


def popular_key(group: str) -> bytes:
    return key_of(b"g/popular/", group) if group else b"g/popular"


def day_weight(day: int, half_life_days: int) -> float:
    """`2 ** (day / half_life_days)` with 32 binary digits, so that its product with a million units is exact."""
    return round(math.pow(2.0, 31 + day / half_life_days)) / math.ldexp(1.0, 31)


def read_popular(store: StateStore, signals: Signals, group: str | None = None) -> PopularList:
    """The popular list of a user group, or of all users; empty if nothing was liked."""
    return popular_in(ViewStore(store, signals.spec), group)


def popular_in(view: StateStore, group: str | None = None) -> PopularList:
    """The list in the keys of one view, `view`."""
    value = view.read([popular_key(group or "")])[0][0]
    if value is None:
        return PopularList([], [])
    listed = _decode_listed(value)
    first, power = listed.mantissas[0], listed.powers[0]
    shares = [
        math.ldexp(mantissa, at - power) / first for mantissa, at in zip(listed.mantissas, listed.powers, strict=True)
    ]
    return PopularList(listed.items, shares)


class Popularity:
    """Maintains the lists; `apply` returns the changes to write. Counts are in the store, scores in memory."""

    def __init__(self, half_life_days: int) -> None:
        self._half_life = half_life_days
        self._shares = [day_weight(day, half_life_days) for day in range(half_life_days)]
        self._groups: dict[str, _Scores] | None = None

    def forget(self) -> None:
        """Drop the scores in memory, which are then read again from the store."""
        self._groups = None

    def apply(self, deltas: Deltas, store: StateStore) -> dict[bytes, bytes | None]:
        """Add `deltas` to the counts; returns the changed counts and lists."""
        if not any(any(days.values()) for days in deltas.values()):
            return {}
        groups = self._load(store)
        counts, changes = self._counts_after(deltas, store)
        touched: dict[str, list[int]] = {}
        for (group, item), units in counts.items():
            scores = groups.setdefault(group, _Scores())
            touched.setdefault(group, []).append(scores.put(item, *self._score(units)))
        for group, rows in touched.items():
            if groups[group].relist(rows):
                changes[popular_key(group)] = groups[group].encoded()
        return changes

    def merged(self, deltas: Deltas, store: StateStore) -> dict[bytes, bytes | None]:
        """`apply` from the store alone, for a writer beside others: what they wrote is not in memory.

        A list holds the best items. While no score in a full list falls, no item enters it but those that `deltas`
        name; otherwise the counts of all items are read.
        """
        counts, changes = self._counts_after(deltas, store)
        by_group: dict[str, dict[str, dict[int, int]]] = {}
        for (group, item), units in counts.items():
            by_group.setdefault(group, {})[item] = units
        lists, _ = store.read([popular_key(group) for group in by_group])
        for (group, items), value in zip(by_group.items(), lists, strict=True):
            scores = _Scores() if value is None else _Scores.of(_decode_listed(value))
            was_full = len(scores.items) == LISTED
            before = {item: scores.order_of(item) for item in items}
            rows = [scores.put(item, *self._score(units)) for item, units in items.items()]
            if was_full and any(scores.fell(item, order) for item, order in before.items()):
                scores = self._all_scores(group, items, store)
                rows = list(range(len(scores.items)))
            if scores.relist(rows):
                changes[popular_key(group)] = scores.encoded()
        return changes

    def _counts_after(
        self, deltas: Deltas, store: StateStore
    ) -> tuple[dict[tuple[str, str], dict[int, int]], dict[bytes, bytes | None]]:
        """({(group, item): units by day}, changes of the stored counts), of the pairs that `deltas` change."""
        changed = {pair: days for pair, days in deltas.items() if any(days.values())}
        keys = [counts_key(*pair) for pair in changed]
        values = store.read(keys)[0] if keys else []
        counts: dict[tuple[str, str], dict[int, int]] = {}
        changes: dict[bytes, bytes | None] = {}
        for (pair, days), key, value in zip(changed.items(), keys, values, strict=True):
            units = {} if value is None else _decode_counts(value).units
            for day, by in days.items():
                units[day] = units.get(day, 0) + by
            counts[pair] = {day: units[day] for day in sorted(units) if units[day]}
            changes[key] = _encode(DayCounts(*pair, counts[pair])) if counts[pair] else None
        return counts, changes

    def _all_scores(self, group: str, changed: Mapping[str, dict[int, int]], store: StateStore) -> "_Scores":
        """Those of all items of a group, of which these have `changed`."""
        scores = _Scores()
        for _, value in store.scan(b"c/"):
            counts = _decode_counts(value)
            if counts.group == group and counts.item not in changed:
                scores.put(counts.item, *self._score(counts.units))
        for item, units in changed.items():
            scores.put(item, *self._score(units))
        return scores

    def _score(self, units: Mapping[int, int]) -> tuple[float, int]:
        if not units:
            return 0.0, 0
        newest = max(units) // self._half_life
        return math.fsum(self._day_score(day, count, newest) for day, count in units.items()), newest

    def _day_score(self, day: int, units: int, newest: int) -> float:
        power, day_in_half_life = divmod(day, self._half_life)
        return math.ldexp(units * self._shares[day_in_half_life], max(power - newest, -900))

    def _load(self, store: StateStore) -> "dict[str, _Scores]":
        if self._groups is None:
            groups: dict[str, _Scores] = {}
            for _, value in store.scan(b"c/"):
                counts = _decode_counts(value)
                groups.setdefault(counts.group, _Scores()).put(counts.item, *self._score(counts.units))
            for scores in groups.values():
                scores.relist(range(len(scores.items)))
            self._groups = groups
        return self._groups


class _Scores:
    """The items of one group with their scores, and the list of the best."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self._rows: dict[str, int] = {}
        self._mantissas: NDArray[np.float64] = np.zeros(64)
        self._powers: NDArray[np.int64] = np.zeros(64, np.int64)
        self._listed: list[int] = []

    @classmethod
    def of(cls, listed: _Listed) -> "_Scores":
        """Those of the items of a list."""
        scores = cls()
        scores._listed = [
            scores.put(*entry) for entry in zip(listed.items, listed.mantissas, listed.powers, strict=True)
        ]
        return scores

    def order_of(self, item: str) -> tuple[int, float, str] | None:
        """What sorts an item among the others, best first; None for one without a score."""
        row = self._rows.get(item)
        return None if row is None else self._order(row)

    def fell(self, item: str, before: tuple[int, float, str] | None) -> bool:
        """Whether an item that had a score is further back now than it was."""
        return before is not None and self._order(self._rows[item]) > before

    def put(self, item: str, mantissa: float, power: int) -> int:
        row = self._rows.get(item)
        if row is None:
            row = self._rows[item] = len(self.items)
            self.items.append(item)
            if row == len(self._mantissas):
                self._mantissas = np.concatenate([self._mantissas, np.zeros(row)])
                self._powers = np.concatenate([self._powers, np.zeros(row, np.int64)])
        self._mantissas[row], self._powers[row] = mantissa, power
        return row

    def relist(self, touched: Iterable[int]) -> bool:
        """Update the list after changes of the rows `touched`; False if it cannot have changed."""
        if len(self._listed) == LISTED:
            listed, last = set(self._listed), self._order(self._listed[-1])
            if all(row not in listed and self._order(row) > last for row in touched):
                return False
        mantissas, powers = self._mantissas[: len(self.items)], self._powers[: len(self.items)]
        liked = np.flatnonzero(mantissas > 0)
        if len(liked) > LISTED:
            # a comparison of (mantissa, power) in floating point is exact as long as nothing underflows
            scores = np.ldexp(mantissas[liked], np.maximum(powers[liked] - powers[liked].max(), -900))
            least = np.partition(scores, len(scores) - LISTED)[len(scores) - LISTED]
            liked = liked[scores >= least]
        self._listed = sorted(liked.tolist(), key=self._order)[:LISTED]
        return True

    def _order(self, row: int) -> tuple[int, float, str]:
        """Sorts best first: exponent, then fraction, then item."""
        fraction, exponent = math.frexp(self._mantissas[row])
        return (-(exponent + int(self._powers[row])) if fraction else 1 << 62, -fraction, self.items[row])

    def encoded(self) -> bytes | None:
        if not self._listed:
            return None
        rows = self._listed
        return _encode(
            _Listed(
                [self.items[row] for row in rows],
                [float(self._mantissas[row]) for row in rows],
                [int(self._powers[row]) for row in rows],
            )
        )
