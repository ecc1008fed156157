"""Feature values read together, and the digest of their bits."""

import struct
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.events import Offsets

ABSENT, WHOLE, DOUBLE, YES_NO, TEXT, LIST = 0, 1, 2, 3, 4, 5

_MASK = (1 << 64) - 1

_encode = msgspec.msgpack.Encoder().encode


class Vectors(msgspec.Struct, frozen=True):
    """The features `names` of some keys, one row a key.

    `bits` (keys, features) int64: whole numbers, bits of doubles, hashes of texts and lists, by their type in `tags`
    (0 missing, 1 whole, 2 double, 3 yes or no, 4 text, 5 list). `objects`: texts and lists by (row, feature).
    """

    names: tuple[str, ...]
    keys: Sequence[tuple[str, ...]]
    bits: npt.NDArray[np.int64]
    tags: npt.NDArray[np.uint8]
    objects: dict[tuple[int, int], Any]

    def rows(self) -> list[list[Any]]:
        """The values, None for missing."""
        return [self.row(index) for index in range(len(self.keys))]

    def row(self, row: int) -> list[Any]:
        """The values of one key, None for missing."""
        return _values(self.tags[row], self.bits[row], lambda feature: self.objects[row, feature])

    def column(self, feature: int) -> list[Any]:
        """The values of one feature, None for missing."""
        bits = np.ascontiguousarray(self.bits[:, feature])
        return _values(self.tags[:, feature], bits, lambda row: self.objects[row, feature])

    def recorded(self, feature: int) -> list[Any]:
        """The values of one feature without `objects`, as records keep them: of texts and lists the hash, as text."""
        bits = np.ascontiguousarray(self.bits[:, feature])
        return _values(self.tags[:, feature], bits, lambda row: f"{int(bits[row]) & _MASK:016x}")

    def select(self, rows: Sequence[int], features: Sequence[int]) -> "Vectors":
        """The same values of some keys and features only, in the order given; without texts and lists."""
        names, keys = tuple(self.names[feature] for feature in features), [self.keys[row] for row in rows]
        chosen = np.ix_(rows, features)
        return Vectors(names, keys, self.bits[chosen], self.tags[chosen], {})

    def matrix(self) -> npt.NDArray[np.float64]:
        """The numbers (keys, features) as doubles; NaN for missing values, texts and lists."""
        is_integer = (self.tags == WHOLE) | (self.tags == YES_NO)
        numbers = np.where(self.tags == DOUBLE, self.bits.view(np.float64), np.nan)
        return np.where(is_integer, self.bits, numbers)


def _values(tags: npt.NDArray[np.uint8], bits: npt.NDArray[np.int64], objects: Callable[[int], Any]) -> list[Any]:
    """One value for each tag: of the bits as it says, or `objects` of its place."""
    wholes, doubles = bits.tolist(), bits.view(np.float64).tolist()
    values: list[Any] = []
    for index, tag in enumerate(tags.tolist()):
        if tag == DOUBLE:
            values.append(doubles[index])
        elif tag == WHOLE:
            values.append(wholes[index])
        elif tag == YES_NO:
            values.append(bool(wholes[index]))
        else:
            values.append(objects(index) if tag else None)
    return values


class Reading(msgspec.Struct, frozen=True):
    """The features of some keys of some groups, all as of one timestamp and one prefix of the log.

    `beyond`: how many values are missing since there were more than `max_events`.
    """

    at_us: int
    offsets: Offsets
    groups: Mapping[str, Vectors]
    beyond: int = 0

    @property
    def digest(self) -> int:
        """64 bits of the names, keys and values of all groups; see `digest_of`."""
        return _digest((name, group.keys, group.bits, group.tags) for name, group in self.groups.items())


def digest_of(groups: Mapping[str, tuple[Sequence[tuple[str, ...]], Sequence[Sequence[Any]]]]) -> int:
    """The digest of values computed elsewhere: {group: (keys, rows of values)}, in the order they were read.

    >>> digest_of({"film": ([("up",)], [[3, 0.5, None]])}) == digest_of({"film": ([("up",)], [[3, 0.5, 0.0]])})
    False
    """
    parts = []
    for name, (keys, rows) in groups.items():
        coded = [[bits_of(value) for value in row] for row in rows]
        shape = (len(rows), len(rows[0]) if rows else 0)
        tags = np.array([[tag for tag, _ in row] for row in coded], dtype=np.uint8).reshape(shape)
        bits = np.array([[bits for _, bits in row] for row in coded], dtype=np.int64).reshape(shape)
        parts.append((name, keys, bits, tags))
    return _digest(iter(parts))


def bits_of(value: Any) -> tuple[int, int]:
    """The type and the 64 bits of a value."""
    if value is None:
        return ABSENT, 0
    if isinstance(value, bool):
        return YES_NO, int(value)
    if isinstance(value, float):
        return DOUBLE, int(struct.unpack("<q", struct.pack("<d", value))[0])
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return WHOLE, value
    return TEXT if isinstance(value, str) else LIST, _hash64(_encode(value))


def _hash64(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little", signed=True)


def _digest(parts: Any) -> int:
    digest = blake2b(digest_size=8)
    for name, keys, bits, tags in parts:
        digest.update(_encode([name, keys]))
        digest.update(np.ascontiguousarray(bits).data)
        digest.update(np.ascontiguousarray(tags).data)
    return int.from_bytes(digest.digest(), "little")
