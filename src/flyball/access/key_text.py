"""The text of a key: `fb_<id>_<secret>`, with a checksum at its end.

The prefix lets scanners of source code and logs find keys that leaked; the id names a key in lists, logs and the audit
trail without its secret; the checksum tells a typo from a guess, so that neither costs a slow hash.
"""

import hmac
import re
import zlib
from random import Random

import msgspec

KEY_PREFIX = "fb_"

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_ID, _SECRET, _CHECK = 8, 28, 7
"""Letters of 5 bits: an id of 40 bits, a secret of 140, a checksum of 32."""
_FORM = re.compile(rf"fb_([{_LETTERS}]{{{_ID}}})_([{_LETTERS}]{{{_SECRET + _CHECK}}})")


class KeyText(msgspec.Struct, frozen=True):
    """A key as it is sent; `text` is the whole, which is shown once."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        return f"{KEY_PREFIX}{self.id}_{self.secret}{_checksum(self.id, self.secret)}"

    def __repr__(self) -> str:
        return f"KeyText({KEY_PREFIX}{self.id}_***)"


def new_key_text(rng: Random) -> KeyText:
    """A key that nobody can guess where `rng` is `SystemRandom`."""
    return KeyText(_letters(rng.getrandbits(5 * _ID), _ID), _letters(rng.getrandbits(5 * _SECRET), _SECRET))


def parse_key(text: str) -> KeyText | None:
    """The parts of a key; None for a text that is none.

    >>> parse_key("fb_00000000_00000000000000000000000000000000000") is None
    True
    """
    matched = _FORM.fullmatch(text)
    if matched is None:
        return None
    key = KeyText(matched[1], matched[2][:_SECRET])
    return key if hmac.compare_digest(key.text, text) else None


def _checksum(key_id: str, secret: str) -> str:
    return _letters(zlib.crc32(f"{key_id}_{secret}".encode()), _CHECK)


def _letters(number: int, length: int) -> str:
    return "".join(_LETTERS[number >> 5 * position & 31] for position in reversed(range(length)))
