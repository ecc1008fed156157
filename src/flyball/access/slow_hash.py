"""The slow hash of a secret: scrypt, as in RFC 7914 and the OWASP cheat sheet on storing passwords.

A secret has 140 random bits, which nobody can search through; the hash is slow all the same, so that also a secret from
another source would be safe. One hash takes about 50 ms and 16 MiB (measured), which is why results are kept.
"""

import hashlib

_COST, _BLOCKS, _LANES, _LENGTH = 1 << 14, 8, 1, 32
_MEMORY = 128 * _COST * _BLOCKS * 2


def slow_hash(secret: str, salt: bytes) -> bytes:
    """32 bytes from the secret and its salt."""
    return hashlib.scrypt(secret.encode(), salt=salt, n=_COST, r=_BLOCKS, p=_LANES, maxmem=_MEMORY, dklen=_LENGTH)
