"""Identifiers that sort by time: 48 bits of milliseconds, then 80 random bits, in Crockford base 32 (ULID layout)."""

import random

from flyball.core.errors import BadInput

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_BASE_32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
"""Crockford's digits translated to those that `int(text, 32)` reads."""
_LETTERS = frozenset(_ALPHABET)
_LENGTH = 26
_SHIFTS = tuple(range(5 * _LENGTH - 10, -10, -10))


def new_id(now_us: int, rng: random.Random) -> str:
    """A 26-letter id that sorts by `now_us` (millisecond resolution)."""
    number = (now_us // 1_000) << 80 | rng.getrandbits(80)
    return "".join([_PAIRS[number >> shift & 1_023] for shift in _SHIFTS])


def number_of_id(text: str) -> int:
    """The 128-bit number that an id encodes; raises `BadInput`."""
    if len(text) != _LENGTH or text[0] > "7" or not _LETTERS.issuperset(text):
        must = "an answer's, as recommend prints it: 26 capital letters and digits"
        raise BadInput("id", must, text)
    return int(text.translate(_BASE_32), 32)


def timestamp_of_id(text: str) -> int:
    """The time at which `new_id` made an id, in microseconds (whole milliseconds); raises `BadInput`."""
    return (number_of_id(text) >> 80) * 1_000
