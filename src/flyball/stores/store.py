"""The protocol of the online store, the function that opens one, and the encoding of keys."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

from flyball.core import load_backend, parse_url
from flyball.events import Offsets

_LONGEST_PART = 200


class StateStore(Protocol):
    """Values by key, together with the log offsets that they are a function of. One writer, any number of readers.

    `read` returns the values (None where absent) and the offsets of one consistent state, from any thread. `write`
    replaces values (None deletes) and offsets atomically. `offsets` is empty until the first write. `scan` returns the
    (key, value) pairs under a prefix in key order, the first `limit` of them, from one consistent state. A store may be
    created before a fork and used after it, whatever its size then.
    """

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]: ...

    def write(self, changes: Mapping[bytes, bytes | None], offsets: Offsets) -> None: ...

    def offsets(self) -> Offsets: ...

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]: ...

    def close(self) -> None: ...


STATE_BACKENDS = {
    "memory": "flyball.stores.memory:MemoryStore",
    "lmdb": "flyball.stores.lmdb:LmdbStore",
    "redis": "flyball.stores.redis:RedisStore",
}


def open_state(url: str) -> StateStore:
    """Open the store at `url`: `memory://`, `lmdb:///path/state` or `redis://host:6379/0`."""
    parsed = parse_url(url)
    store: StateStore = load_backend("state store", STATE_BACKENDS, parsed.scheme)(parsed)
    return store


def key_of(prefix: bytes, *parts: str) -> bytes:
    """`prefix` and the parts, separated by NUL; a part that is too long for a key or contains NUL is hashed.

    >>> key_of(b"w/", "7", "up+2009")
    b'w/7\\x00up+2009'
    """
    text = "\0".join(parts)
    if len(text) <= _LONGEST_PART and text.isascii() and text.count("\0") == len(parts) - 1:
        return prefix + text.encode()  # the same as the general case below, without a loop over the parts
    return prefix + b"\0".join([_part(part) for part in parts])


def _part(part: str) -> bytes:
    raw = part.encode()
    if len(raw) <= _LONGEST_PART and b"\0" not in raw:
        return raw
    return b"\xff" + blake2b(raw, digest_size=20).hexdigest().encode()  # text never starts with byte 255
