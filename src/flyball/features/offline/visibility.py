"""Visibility of events as a comparison of integers: an event is visible to rows with at least its stamp."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from flyball.core import BadInput, Ints
from flyball.events import Offsets


class Visible(msgspec.Struct, frozen=True):
    """`seen_from`: the stamp from which each event is visible; None if every event before the end of a row is."""

    seen_from: Ints | None


class Visibility(msgspec.Struct, frozen=True):
    """Query rows with one rule of visibility. `rows`: their indices in the frame (None: all). `stamps`: of the rows.

    With `chain` the rule is by offsets, which are ascending, and a stamp is a rank in them; without it by `known_at`.
    """

    rows: Ints | None
    stamps: Ints
    apply_delay_us: int = 0
    chain: Ints | None = None

    def of(self, events: pl.DataFrame) -> Visible:
        """The stamp from which each event is visible to these rows."""
        if self.chain is not None:
            ranks = _ranks(events["partition"].to_numpy(), events["offset"].to_numpy(), self.chain)
            if "other_offset" in events.columns:  # a joined event is visible if both its sides are
                others = _ranks(events["other_partition"].to_numpy(), events["other_offset"].to_numpy(), self.chain)
                ranks = np.maximum(ranks, others)
            return Visible(ranks)
        known_at, at = events["known_at"], events["at"]
        if self.apply_delay_us <= 0 and not (known_at > at).any():
            return Visible(None)  # all events before the end of a row were known by then
        return Visible((known_at + self.apply_delay_us).to_numpy())


def visibilities_of(rows: pl.DataFrame, apply_delay_us: int) -> Iterator[Visibility]:
    """The rows grouped by their rule of visibility: `known_at`, or their own `offsets`."""
    if apply_delay_us < 0:
        raise BadInput("apply_delay_us", "0 or more", apply_delay_us)
    at = rows["at"].to_numpy()
    if "offsets" not in rows.columns or rows["offsets"].null_count() == rows.height:
        yield Visibility(None, at, apply_delay_us)
        return
    stamped = rows["offsets"].is_not_null().to_numpy()
    if not stamped.all():
        others = np.nonzero(~stamped)[0]
        yield Visibility(others, at[others], apply_delay_us)
    stamped_rows = np.nonzero(stamped)[0]
    vectors = [tuple(offsets) for offsets in rows["offsets"].gather(stamped_rows).to_list()]
    for chain in chains(vectors):
        rank = {offsets: index for index, offsets in enumerate(chain)}
        chosen = np.array([row for row, offsets in zip(stamped_rows, vectors, strict=True) if offsets in rank])
        stamps = np.array([rank[offsets] for offsets in vectors if offsets in rank], dtype=np.int64)
        yield Visibility(chosen, stamps, chain=_table(chain))


def chains(vectors: Sequence[Offsets]) -> list[list[Offsets]]:
    """The distinct vectors in few lists, in which no vector is behind the previous one in any partition.

    >>> chains([(2, 1), (1, 1), (1, 5), (1, 1)])
    [[(1, 1), (2, 1)], [(1, 5)]]
    """
    chains: list[list[Offsets]] = []
    for vector in sorted(set(vectors), key=lambda offsets: (sum(offsets), offsets)):
        for chain in chains:
            if _covers(vector, chain[-1]):
                chain.append(vector)
                break
        else:
            chains.append([vector])
    return chains


def _covers(later: Offsets, earlier: Offsets) -> bool:
    padded = later + (0,) * (len(earlier) - len(later))
    return all(later_offset >= earlier_offset for later_offset, earlier_offset in zip(padded, earlier, strict=False))


def _table(chain: Sequence[Offsets]) -> Ints:
    width = max(len(offsets) for offsets in chain)
    return np.array([offsets + (0,) * (width - len(offsets)) for offsets in chain], dtype=np.int64)


def _ranks(partitions: npt.NDArray[np.int64], offsets: Ints, chain: Ints) -> Ints:
    """The first rank whose vector is beyond the offset of each event; the number of ranks if there is none."""
    ranks = np.full(len(offsets), len(chain), dtype=np.int64)
    for partition in range(chain.shape[1]):
        here = partitions == partition
        ranks[here] = np.searchsorted(chain[:, partition], offsets[here], side="right")
    return ranks
