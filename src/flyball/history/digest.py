"""A digest of a set of rows that depends neither on their order nor on how files divide them.

Each row gets two 64-bit numbers (splitmix64 steps over its columns by name, seeded by the name); the digest is the two
sums modulo 2**64. Source of the mixing step: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014. It detects different data by accident; it is no cryptographic hash and does not detect forged rows.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.events import SOURCE_FLAGS

if TYPE_CHECKING:
    import polars as pl

_LEFT_OUT = ("partition", "offset", "key")
"""Columns that are not hashed: a row's position in the log is not part of its content, and the key repeats a field."""

Numbers = NDArray[np.uint64]
_NULL = 0x6E756C6C00000001


def digest_of(frame: "pl.DataFrame") -> str:
    """32 hex digits for the rows of a history frame."""
    if frame.height == 0:
        return "0" * 32
    lanes = [np.full(frame.height, seed, np.uint64) for seed in (0x243F6A8885A308D3, 0x13198A2E03707344)]
    with np.errstate(over="ignore"):
        for name in sorted(set(frame.columns) - set(_LEFT_OUT)):
            column = frame[name] & ~SOURCE_FLAGS if name == "flags" else frame[name]  # the same data from elsewhere
            numbers, salt = _numbers(column), _hash(name.encode())
            for lane in range(2):
                lanes[lane] = _mix(lanes[lane] ^ _mix(numbers + np.uint64((salt + lane) % 2**64)))
        sums = [int(lane.sum(dtype=np.uint64)) for lane in lanes]
    return f"{sums[0]:016x}{sums[1]:016x}"


def _mix(values: Numbers) -> Numbers:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Numbers = values ^ (values >> np.uint64(31))
    return mixed


def _numbers(column: "pl.Series") -> Numbers:
    """Each value as 64 bits: itself where it fits, else a hash of its text."""
    import polars as pl

    kind = column.dtype
    if kind == pl.Float64:
        return _with_nulls(column, column.fill_null(0.0).to_numpy().view(np.uint64))
    if kind == pl.Boolean or kind.is_integer():
        return _with_nulls(column, column.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64))
    if kind in (pl.String, pl.Binary):
        return _hashed(column)
    packed = [None if value is None else msgspec.msgpack.encode(value) for value in column.to_list()]
    return _hashed(pl.Series(column.name, packed, dtype=pl.Binary))


def _hashed(column: "pl.Series") -> Numbers:
    """The hashes of a column's values, each distinct value hashed once."""
    import polars as pl

    different = column.unique()
    hashes = [
        _NULL if value is None else _hash(value.encode() if isinstance(value, str) else value)
        for value in different.to_list()
    ]
    table = pl.DataFrame([different.alias("value"), pl.Series("hash", hashes, dtype=pl.UInt64)])
    placed = (
        column.alias("value").to_frame().join(table, on="value", how="left", nulls_equal=True, maintain_order="left")
    )
    numbers: Numbers = placed["hash"].to_numpy()
    return numbers


def _hash(value: bytes) -> int:
    return int.from_bytes(blake2b(value, digest_size=8).digest(), "little")


def _with_nulls(column: "pl.Series", numbers: Numbers) -> Numbers:
    if column.null_count() == 0:
        return numbers
    return np.where(column.is_null().to_numpy(), np.uint64(_NULL), numbers)
