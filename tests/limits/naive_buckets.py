"""The oracle: token buckets by their definition, in exact fractions, one for each name, none forgotten."""

from collections.abc import Sequence
from contextlib import nullcontext
from fractions import Fraction

from flyball.limits import BucketTable, Rate
from flyball.limits.bucket_table import WAYS


class NaiveBuckets:
    def __init__(self) -> None:
        self._tokens: dict[str, tuple[Fraction, int]] = {}

    def take(self, name: str, cost: int, rate: Rate, now_ns: int) -> bool:
        tokens, since_ns = self._tokens.get(name, (Fraction(rate.burst), now_ns))
        tokens = min(Fraction(rate.burst), tokens + Fraction(now_ns - since_ns, rate.interval_ns))
        admitted = tokens >= cost
        self._tokens[name] = (tokens - cost if admitted else tokens, now_ns)
        return admitted


def most_in_a_window(admitted: Sequence[tuple[int, int]], rate: Rate) -> Fraction:
    """Of all windows that begin and end with an admission: the most that one has above burst + rate * time.

    `admitted`: (time in ns, cost) in order of time.
    """
    worst = Fraction(-rate.burst)
    for begin, (start_ns, _) in enumerate(admitted):
        total = 0
        for end_ns, cost in admitted[begin:]:
            total += cost
            worst = max(worst, total - rate.burst - Fraction(end_ns - start_ns, rate.interval_ns))
    return worst


def table(rows: int = 1) -> BucketTable:
    """A table of one process."""
    return BucketTable(memoryview(bytearray(rows * WAYS * 16)).cast("q"), b"secret", lambda row: nullcontext())
