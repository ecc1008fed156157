"""The protocol of the online store, the function that opens one, and the encoding of keys."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class Claimable(Protocol):
    """A store that processes of several machines may write to, of which one at a time must.

    `claim(token)`: from now on this handle writes with the token of its lease, and handles with a lower one are
    refused, those that claim nothing included: in the transaction of each write, also when it began before. Raises
    `LeaseLost` where a higher one wrote. `partition`: the lease is that of one partition of the log, see `SharedStore`.
    """

    def claim(self, token: int, partition: int | None = None) -> None: ...


StoreChange = tuple[Mapping[bytes, bytes | None], Offsets]
"""The arguments of `StateStore.write`."""


@runtime_checkable
class SharedStore(Protocol):
    """A store that several processes write to at the same time, each what follows from its partitions of the log.

    `update`: `work` reads this store and returns what to write, None for nothing. It is written only where nobody wrote
    since `work` was called; otherwise `work` is called again. `partitions`: those whose records it applies; the tokens
    with which they were claimed must still be the highest. None: all, with the token of the whole store. Raises
    `StoreUnavailable` where others were faster too many times in a row.
    """

    def update(self, work: Callable[[], StoreChange | None], partitions: Collection[int] | None = None) -> None: ...


@runtime_checkable
class Replaceable(Protocol):
    """A store on a disk, which keeps bytes of what was deleted until it is replaced as a whole.

    `beside`: the URL of an empty store that can take its place. `replace(url)`: lets it, for all processes that have
    this store open, and deletes what was here.
    """

    def beside(self) -> str: ...

    def replace(self, url: str) -> None: ...


def state_beside(store: StateStore) -> str:
    """The URL of an empty store for what is to take the place of all that is in `store`."""
    return store.beside() if isinstance(store, Replaceable) else "memory://"


def claim(store: StateStore, token: int, partition: int | None = None) -> None:
    """Claim a store for the holder of a lease; stores of one machine need none, as a lock keeps others out."""
    if isinstance(store, Claimable):
        store.claim(token, partition)


def update_store(
    store: StateStore, work: Callable[[], StoreChange | None], partitions: Collection[int] | None = None
) -> None:
    """Write what `work` returns; see `SharedStore`, whose other stores have one writer."""
    if isinstance(store, SharedStore):
        store.update(work, partitions)
    elif (change := work()) is not None:
        store.write(*change)


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
