"""Identifiers that sort by time: 48 bits of milliseconds, then 80 random bits, in Crockford base 32 (ULID layout)."""

import random
from functools import lru_cache

from flyball.core.errors import BadInput

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_BASE_32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
"""Crockford's digits translated to those that `int(text, 32)` reads."""
_LETTERS = frozenset(_ALPHABET)
_LENGTH = 26
_HALF = (1 << 40) - 1
"""Of the random bits: numbers that fit a machine word are shifted faster."""


def new_id(now_us: int, rng: random.Random) -> str:
    """A 26-letter id that sorts by `now_us` (millisecond resolution)."""
    number = rng.getrandbits(80)
    return f"{_letters_of_time(now_us // 1_000)}{_eight_letters(number >> 40)}{_eight_letters(number & _HALF)}"


def _eight_letters(bits: int) -> str:
    """Those of 40 bits."""
    pairs = _PAIRS
    return f"{pairs[bits >> 30]}{pairs[bits >> 20 & 1_023]}{pairs[bits >> 10 & 1_023]}{pairs[bits & 1_023]}"


@lru_cache(16)
def _letters_of_time(milliseconds: int) -> str:
    """The first ten letters, the same for all ids of a millisecond."""
    return "".join([_PAIRS[milliseconds >> shift & 1_023] for shift in range(40, -10, -10)])


def number_of_id(text: str) -> int:
    """The 128-bit number that an id encodes; raises `BadInput`."""
    if len(text) != _LENGTH or text[0] > "7" or not _LETTERS.issuperset(text):
        must = "an answer's, as recommend prints it: 26 capital letters and digits"
        raise BadInput("id", must, text)
    return int(text.translate(_BASE_32), 32)


def timestamp_of_id(text: str) -> int:
    """The time at which `new_id` made an id, in microseconds (whole milliseconds); raises `BadInput`."""
    return (number_of_id(text) >> 80) * 1_000
