"""How many different values a stream has, in at most 4 kilobytes; sketches of parts merge to that of the whole.

Up to 512 different hashes are kept as they are. Above, each of 4,096 registers keeps the greatest number of leading
zeros of the hashes that fall to it; the standard error is 1.6 %.
Sources: Flajolet et al., "HyperLogLog", AofA 2007; Ertl, "New cardinality estimation algorithms for HyperLogLog
sketches", 2017 (arXiv 1702.01284), whose estimator needs no correction by tables.
"""

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from flyball.core import Doubles
from flyball.statistics.checks import number_array

Hashes = npt.NDArray[np.uint64]

_BITS = 12
_REGISTERS = 1 << _BITS
_RANKS = 64 - _BITS
_EXACT = 512
_SAMPLE = 1_024


class DistinctCount(Struct, frozen=True):
    """A set of 64-bit hashes, thinned out: `hashes`, sorted, while they are few; else `registers`.

    The state is a function of the set: the order of values and of merges does not matter.

    >>> few = DistinctCount().add(np.array([7, 7, 9], np.uint64))
    >>> few.estimate()
    2.0
    """

    hashes: bytes = b""
    registers: bytes = b""

    def add(self, hashes: Hashes) -> "DistinctCount":
        """The sketch with further hashes, shape (n,)."""
        many = len(hashes) > _SAMPLE and len(np.unique(hashes[:_SAMPLE])) > _EXACT
        return self.merge(
            DistinctCount(registers=_registers_of(hashes).tobytes()) if many else _sketch_of(np.unique(hashes))
        )

    def merge(self, other: "DistinctCount") -> "DistinctCount":
        """The sketch of both streams."""
        if not self.registers and not other.registers:
            return _sketch_of(np.union1d(_hashes(self), _hashes(other)))
        return DistinctCount(registers=np.maximum(_registers(self), _registers(other)).tobytes())

    def estimate(self) -> float:
        """The number of different hashes: exact up to 512, else with a standard error of 1.6 %."""
        if not self.registers:
            return float(len(_hashes(self)))
        return _estimate(_registers(self))


def _sketch_of(hashes: Hashes) -> DistinctCount:
    """The sketch of sorted, different hashes."""
    if len(hashes) <= _EXACT:
        return DistinctCount(hashes=hashes.astype("<u8", copy=False).tobytes())
    return DistinctCount(registers=_registers_of(hashes).tobytes())


def _hashes(sketch: DistinctCount) -> Hashes:
    return np.frombuffer(sketch.hashes, "<u8")


def _registers(sketch: DistinctCount) -> npt.NDArray[np.uint8]:
    if sketch.registers:
        return np.frombuffer(sketch.registers, np.uint8)
    return _registers_of(_hashes(sketch))


def _registers_of(hashes: Hashes) -> npt.NDArray[np.uint8]:
    """The first 12 bits choose the register; the rank is the place of the first 1 in the other 52."""
    registers = np.zeros(_REGISTERS, np.uint8)
    shifted = (hashes << np.uint64(_BITS)) | np.uint64(1 << (_BITS - 1))  # a 1 behind, so that the rank is at most 53
    # The exponent of a double is the place of its first 1, once the bits that rounding could carry are cut off.
    exponents = np.frexp((shifted & ~np.uint64(0x7FF)).astype(np.float64))[1]
    np.maximum.at(registers, (hashes >> np.uint64(64 - _BITS)).astype(np.intp), (65 - exponents).astype(np.uint8))
    return registers


def _estimate(registers: npt.NDArray[np.uint8]) -> float:
    """Algorithm 6 of Ertl."""
    counts = np.bincount(registers, minlength=_RANKS + 2).astype(np.float64)
    total = _REGISTERS * _tau(1.0 - counts[_RANKS + 1] / _REGISTERS)
    for rank in range(_RANKS, 0, -1):
        total = 0.5 * (total + counts[rank])
    total += _REGISTERS * _sigma(counts[0] / _REGISTERS)
    return float(_REGISTERS**2 / (2 * np.log(2) * total))


def _sigma(share: float) -> float:
    """share + the sum of share^(2^i) 2^(i-1) over i >= 1; infinite for 1."""
    if share == 1.0:
        return np.inf
    total, before, weight = share, -1.0, 1.0
    while total != before:
        before, share = total, share * share
        total, weight = total + share * weight, weight * 2
    return total


def _tau(share: float) -> float:
    """(1 - share - the sum of (1 - share^(2^-i))^2 2^-i over i >= 1) / 3."""
    if share in (0.0, 1.0):
        return 0.0
    total, before, weight = 1.0 - share, -1.0, 1.0
    while total != before:
        before, share, weight = total, float(np.sqrt(share)), weight / 2
        total -= (1.0 - share) ** 2 * weight
    return total / 3


def hash_numbers(values: Doubles) -> Hashes:
    """64-bit hashes of numbers, shape (n,): equal numbers have equal hashes, 0 and -0 too (splitmix64).

    Infinite numbers and nan have hashes, too. Raises `BadInput` for what are no numbers.
    """
    mixed = (number_array("values", values) + 0.0).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
