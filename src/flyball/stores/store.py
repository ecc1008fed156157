"""The contract of the online store, where it is opened, and how its keys are made."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

from flyball.core import load_backend, parse_url
from flyball.events import Offsets

_LONGEST_PART = 200


class StateStore(Protocol):
    """Values by key together with the log offsets they are a function of. One writer, any number of readers.

    `read` gives the values (None where absent) and the offsets of one and the same moment, from any thread.
    `write` replaces values (None deletes) and the offsets at once: after a crash either all of it is there or none.
    `offsets` is empty until the first write. `scan` gives the (key, value) pairs under a prefix, the first `limit` of
    them, in key order, of one moment. A store may be made before a fork and used after it, whatever its size then.
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
    """`prefix` and the parts, NUL between them; a part too long for a store's key, or holding NUL, is hashed.

    >>> key_of(b"w/", "7", "up+2009")
    b'w/7\\x00up+2009'
    """
    text = "\0".join(parts)
    if len(text) <= _LONGEST_PART and text.isascii() and text.count("\0") == len(parts) - 1:
        return prefix + text.encode()  # what the general case gives, without looking at each part
    return prefix + b"\0".join([_part(part) for part in parts])


def _part(part: str) -> bytes:
    raw = part.encode()
    if len(raw) <= _LONGEST_PART and b"\0" not in raw:
        return raw
    return b"\xff" + blake2b(raw, digest_size=20).hexdigest().encode()  # text never starts with byte 255
