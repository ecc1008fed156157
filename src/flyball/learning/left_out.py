"""Training without the events of accounts that are held, or with fewer of them."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

from flyball.events import Event, Schema
from flyball.history import LeftOut
from flyball.learning.past import ReadEvents
from flyball.tasks import references

if TYPE_CHECKING:
    import polars


def reading_without(read: ReadEvents, schema: Schema, left_out: LeftOut) -> ReadEvents:
    """`read` without the events that are left out.

    Of an account with a share, the events of that share of its targets stay, the same ones whenever it is read; a
    model counts them in full, so the account has that share of its influence on any model.
    """
    if not left_out.shares:
        return read

    def kept(name: str) -> "polars.DataFrame":
        declared = schema.joined.get(name) or schema.types[name]
        return _kept(read(name), declared.cls, left_out)

    return kept


def _kept(frame: "polars.DataFrame", event: type[Event], left_out: LeftOut) -> "polars.DataFrame":
    import polars as pl

    fields = references(event)
    own = next((field for field, entity in fields.items() if entity == left_out.entity), None)
    if own is None or frame.is_empty():
        return frame
    others = [field for field, entity in fields.items() if entity != left_out.entity]
    account = pl.col(own).cast(pl.String)
    suspect = account.is_in(list(left_out.shares)).fill_null(value=False)
    if not frame.select(suspect.any()).item():
        return frame
    named = frame.with_row_index("_row").filter(suspect).select("_row", account.alias("_account"), *others)
    dropped = [
        row for row, name, *others_named in named.iter_rows() if not _counts(name, others_named, left_out.shares)
    ]
    return frame.with_row_index("_row").filter(~pl.col("_row").is_in(dropped)).drop("_row")


def _counts(account: str, others: list[object], shares: Mapping[str, float]) -> bool:
    """Whether an event of the account with these others counts; decided by a hash, so it is the same in every run."""
    if shares[account] == 0:
        return False
    text = "\0".join([account, *(str(other) for other in others)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) < shares[account] * 2**64
