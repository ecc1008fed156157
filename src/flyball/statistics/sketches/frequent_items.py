"""The most frequent values of a stream, in constant memory; sketches of parts merge.

At most `size` values have a counter. When there are more, the counter of rank `size` + 1 is subtracted from all, and
those at 0 are dropped, so a count is too low by at most the sum of what was subtracted, which is at most
n / (`size` + 1) (Misra and Gries, 1982; Agarwal et al., "Mergeable summaries", PODS 2012).
"""

from collections.abc import Mapping
from heapq import nlargest

from msgspec import Struct

from flyball.core import BadInput
from flyball.statistics.checks import whole_numbers

FrequentValue = str | int | float | bool


class FrequentItems(Struct, frozen=True):
    """Counters of the frequent values of a stream of `count` values.

    `counts`: by value, each too low by at most `too_low`. Every value that occurs more than `too_low` times is there.

    >>> items = FrequentItems(size=2).add({"a": 5, "b": 4, "c": 1})
    >>> items.counts, items.too_low, items.count
    ({'a': 4, 'b': 3}, 1, 10)
    """

    count: int = 0
    counts: dict[FrequentValue, int] = {}
    too_low: int = 0
    size: int = 64

    def add(self, counts: Mapping[FrequentValue, int]) -> "FrequentItems":
        """The sketch with further values, given as how often each occurs: whole numbers, 1 or more."""
        known = dict(zip(counts, whole_numbers("counts", list(counts.values()), 1).tolist(), strict=True))
        return self.merge(FrequentItems(sum(known.values()), known, 0, self.size))

    def merge(self, other: "FrequentItems") -> "FrequentItems":
        """The sketch of both streams. Raises `BadInput` for sketches of different `size`."""
        if self.size != other.size:
            raise BadInput("size of frequent items to merge", str(self.size), other.size)
        counts = dict(self.counts)
        for value, number in other.counts.items():
            counts[value] = counts.get(value, 0) + number
        surplus = 0
        if len(counts) > self.size:
            surplus = nlargest(self.size + 1, counts.values())[-1]
            counts = {value: number - surplus for value, number in counts.items() if number > surplus}
        return FrequentItems(self.count + other.count, counts, self.too_low + other.too_low + surplus, self.size)

    def most(self, number: int) -> list[tuple[FrequentValue, int]]:
        """The `number` values with the highest counts, highest first; equal counts by text."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], str(pair[0])))[:number]
