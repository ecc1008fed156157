"""Token buckets in a table of fixed size.

A bucket is a single number, the time at which it will be full again (the generic cell rate algorithm, ITU-T I.371,
which admits exactly what a token bucket does). A name has eight slots that it may be in; where all are taken, it
replaces the one that will be full first, and takes over its time, as counters in "Space-Saving" do (Metwally, Agrawal
and El Abbadi, ICDT 2005). So whoever was replaced, and comes back, finds no more tokens than before; what is replaced
while it is full loses nothing. The slots of a name follow from a digest with a secret key, so that nobody can choose
names for the slots of another.
"""

import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import blake2b

from flyball.core import BadInput
from flyball.limits.rate import LONGEST_BURST_S, Rate

WAYS = 8
SLOT_BYTES = 16
LONGEST_S = LONGEST_BURST_S
"""A bucket that would be full later than this was written before the machine's clock started again."""

_LONGEST_NS = LONGEST_S * 1_000_000_000
_PLACE = struct.Struct("=Qq")

LockRow = Callable[[int], AbstractContextManager[object]]


class BucketTable:
    """`slots`: 64-bit whole numbers, two for each slot: the print of a name, and the time at which its bucket is full.

    `lock_row`: excludes the other processes from the slots of a row. `key`: secret, up to 64 bytes.
    """

    def __init__(self, slots: memoryview, key: bytes, lock_row: LockRow) -> None:
        self._rows, odd = divmod(len(slots), 2 * WAYS)
        if odd or not self._rows:
            raise BadInput("slots", f"a multiple of {2 * WAYS}", len(slots))
        self._slots, self._key, self._lock_row = slots, key, lock_row

    def take(self, name: bytes, cost: int, rate: Rate, now_ns: int) -> int:
        """Take `cost` tokens from the bucket of `name`: 0 if it has them, or in how many ns it will, and none is taken.

        For a `cost` above the burst, which no bucket ever has, that time is of no use.
        """
        row, print_ = self._place_of(name)
        first = row * 2 * WAYS
        with self._lock_row(row):
            known = self._slots[first : first + 2 * WAYS].tolist()
            prints, times = known[::2], known[1::2]
            if max(times) - now_ns > _LONGEST_NS:
                times = [time if time - now_ns <= _LONGEST_NS else 0 for time in times]
            way = prints.index(print_) if print_ in prints else times.index(min(times))
            full_ns = max(times[way], now_ns) + cost * rate.interval_ns
            wait_ns: int = full_ns - now_ns - rate.burst * rate.interval_ns
            if wait_ns > 0:
                return wait_ns
            at = first + 2 * way
            self._slots[at], self._slots[at + 1] = print_, full_ns
        return 0

    def raise_to(self, name: bytes, full_ns: int, now_ns: int) -> None:
        """Let the bucket of `name`, where it is known, be full no earlier than at `full_ns`."""
        row, print_ = self._place_of(name)
        first = row * 2 * WAYS
        full_ns = min(full_ns, now_ns + _LONGEST_NS)
        with self._lock_row(row):
            prints = self._slots[first : first + 2 * WAYS].tolist()[::2]
            if print_ in prints:
                at = first + 2 * prints.index(print_) + 1
                self._slots[at] = max(self._slots[at], full_ns)

    def _place_of(self, name: bytes) -> tuple[int, int]:
        """(row, print) of a name."""
        number, print_ = _PLACE.unpack(blake2b(name, key=self._key, digest_size=16).digest())
        return number % self._rows, print_
