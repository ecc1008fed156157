"""Keys and values of the online features in a state store.

`f/<group>.<layout>/<keys>`: the state of a key, see `layout`. `x/<group>.<layout>/<bucket><shard><keys>`: its expiry,
after which it may be deleted. `m/ready`, `m/features`: which groups are complete, and the counts of the consumer.
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any

import msgspec

from flyball.stores import StateStore

READY, COUNTS = b"m/ready", b"m/features"
SHARDS = 16
_LONGEST = 300
NONE = -(1 << 62)

_pack = msgspec.msgpack.Encoder().encode
_word = struct.Struct("<q")
_bucket = struct.Struct(">QB")


class Ready(msgspec.Struct, frozen=True, array_like=True):
    """`groups`: {name: layout hash} of the groups that contain every event before the offsets.

    `forgotten_us`: the time from which keys without a state may be queried.
    """

    groups: dict[str, str] = {}
    forgotten_us: int = NONE


class KeyCounts(msgspec.Struct, array_like=True):
    """The data of the consumer besides the states.

    `known_us`: the latest applied `known_at`. `horizon_us`: the time up to which events are in tiles. `late`: {group:
    events that arrived after their retention}. `expired`: {group: deleted keys}. `buckets`: {group: {bucket: keys}}.
    """

    known_us: int = NONE
    horizon_us: int = NONE
    late: dict[str, int] = {}
    expired: dict[str, int] = {}
    buckets: dict[str, dict[int, int]] = {}


_ready = msgspec.msgpack.Decoder(Ready).decode
_counts = msgspec.msgpack.Decoder(KeyCounts).decode


def ready_of(value: bytes | None) -> Ready:
    return Ready() if value is None else _ready(value)


def counts_of(value: bytes | None) -> KeyCounts:
    return KeyCounts() if value is None else _counts(value)


def packed(value: Any) -> bytes:
    return _pack(value)


def label_of(group: str) -> str:
    """The name of a group in keys; a long name is shortened with a hash."""
    return group if len(group) <= 40 else f"{group[:23]}~{blake2b(group.encode(), digest_size=8).hexdigest()}"


def key_bytes(keys: Sequence[str]) -> bytes:
    """The keys after the prefix of the group: their texts separated by NUL, or a hash if this is long or ambiguous.

    >>> key_bytes(("7", "up"))
    b'7\\x00up'
    """
    raw = "\0".join(keys).encode("utf-8", "surrogatepass")
    if len(raw) <= _LONGEST and raw.count(b"\0") == len(keys) - 1:
        return raw
    return b"\xff" + blake2b(_pack([key.encode("utf-8", "surrogatepass") for key in keys]), digest_size=20).digest()


def keys_bytes(prefix: bytes, keys: Sequence[tuple[str, ...]]) -> list[bytes]:
    """`prefix + key_bytes(key)` of many keys; fast if all are short texts without NUL."""
    parts = [part for key in keys for part in key]
    longest = (
        4 * len(max(parts, key=len, default="")) * max(map(len, keys), default=1)
    )  # a character has at most 4 bytes
    if longest > _LONGEST - 50 or "\0" in "".join(parts):
        return [prefix + key_bytes(key) for key in keys]
    return [prefix + text.encode("utf-8", "surrogatepass") for text in map("\0".join, keys)]


def keys_of_bytes(raw: bytes) -> tuple[str, ...] | None:
    """The decoded keys; None if they were hashed."""
    if raw.startswith(b"\xff"):
        return None
    return tuple(part.decode("utf-8", "surrogatepass") for part in raw.split(b"\0"))


def expiry_key(prefix: bytes, bucket: int, key: bytes) -> bytes:
    """The expiry entry of a key (without prefix) in `bucket`."""
    shard = blake2b(key, digest_size=1).digest()[0] % SHARDS
    return expiry_prefix(prefix, bucket, shard) + key


def expiry_prefix(prefix: bytes, bucket: int, shard: int) -> bytes:
    return b"x" + prefix[1:] + _bucket.pack(bucket + (1 << 63), shard)


def expiry_keys_of(prefix: bytes, entry: bytes) -> bytes:
    """The key (without prefix) of an expiry entry."""
    return entry[len(prefix) + _bucket.size :]


def expiry_bucket_of(prefix: bytes, entry: bytes) -> int:
    """The bucket of an expiry entry."""
    return int(_bucket.unpack_from(entry, len(prefix))[0]) - (1 << 63)


def bytes_per_key(store: StateStore, group: str, most: int = 1_000) -> float | None:
    """The mean size in bytes of the states of the first `most` keys of a group; None if there are none."""
    sizes = [len(value) for _, value in islice(store.scan(f"f/{label_of(group)}.".encode()), most)]
    return sum(sizes) / len(sizes) if sizes else None


def word(state: bytes, index: int) -> int:
    """A word of a state."""
    return int(_word.unpack_from(state, 8 * index)[0])


class Extras(msgspec.Struct, array_like=True):
    """The part after the words of a state: `texts` by rank, `profiles` by offset."""

    texts: list[str] = []
    profiles: dict[int, list[Any]] = {}


_extras = msgspec.msgpack.Decoder(Extras).decode


def with_extras(words: bytes, extras: Extras) -> bytes:
    tail = _pack(extras)
    return b"".join((words, _word.pack(len(tail)), tail, b"\0" * (-len(tail) % 8)))


def extras_of(value: bytes) -> Extras:
    start = 8 * int(_word.unpack_from(value)[0])
    size = int(_word.unpack_from(value, start)[0])
    return _extras(memoryview(value)[start + 8 : start + 8 + size])
