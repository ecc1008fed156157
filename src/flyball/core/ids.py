"""Identifiers that sort by time: 48 bits of milliseconds, then 80 random bits, in Crockford base 32 (ULID layout)."""

import random

from flyball.core.errors import BadInput

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 26


def new_id(now_us: int, rng: random.Random) -> str:
    """A 26-letter id that sorts by `now_us` (millisecond resolution)."""
    number = (now_us // 1_000) << 80 | rng.getrandbits(80)
    letters = []
    for _ in range(_LENGTH):
        letters.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(letters))


def timestamp_of_id(text: str) -> int:
    """The time, in microseconds (whole milliseconds), at which `new_id` made `text`; raises `BadInput`."""
    if len(text) != _LENGTH or text[0] > "7" or any(letter not in _VALUE for letter in text):
        must = "an answer's, as recommend prints it: 26 capital letters and digits"
        raise BadInput("id", must, text)
    number = 0
    for letter in text[:10]:
        number = number << 5 | _VALUE[letter]
    return number * 1_000
