"""Reads a log: the records beyond a reader's offsets, up to given offsets, or only those that match."""

from collections.abc import Iterator, Mapping, Sequence

from flyball.core import BadInput, Refused
from flyball.events.log import EventLog, Offsets, SearchableLog, Slice

_BATCH = 20_000


def check_offsets(offsets: Offsets, partitions: int) -> None:
    """Raise `BadInput` for offsets that are not those of a log with so many partitions."""
    if len(offsets) != partitions or min(offsets) < 0:
        raise BadInput("offsets", f"{partitions} whole numbers from 0, one a partition", offsets)


def fresh(slices: Sequence[Slice], offsets: Offsets) -> tuple[list[Slice], Offsets]:
    """The part of `slices` beyond a consumer's `offsets`, and its offsets once that is applied.

    Partitions missing in `offsets` count as 0. Raises `BadInput` for a slice that would leave a gap.

    >>> new, offsets = fresh([Slice(0, 2, ["c", "d"])], (3,))
    >>> (new[0].first, new[0].records), offsets
    ((3, ['d']), (4,))
    """
    reached, new = list(offsets), list[Slice]()
    for piece in slices:
        reached += [0] * (piece.partition + 1 - len(reached))
        start = reached[piece.partition]
        if piece.start > start:
            raise BadInput(f"first offset of a slice of partition {piece.partition}", f"at most {start}", piece.start)
        if start < piece.end:
            reached[piece.partition] = piece.end
            new.append(piece if start == piece.start else piece.part(start, piece.end))
    return new, tuple(reached)


def read_where(
    log: EventLog,
    partition: int,
    after: int,
    until: int,
    types: Mapping[str, int] | None = None,
    at_us: tuple[int, int] | None = None,
) -> Iterator[Slice]:
    """Yield the matching records of one partition in [after, until), in order, possibly with others among them.

    `types`: {event type: its earliest `at` that matches}, None for all; `at_us`: `at` in [first, last). A
    `SearchableLog` skips blocks without matches; any other log is read completely. Stops where the log ends.
    """
    if isinstance(log, SearchableLog):
        yield from log.read_where(partition, after, until, types, at_us)
        return
    ends = log.ends()
    until = min(until, ends[partition])
    while after < until:
        pieces = log.read((*ends[:partition], after, *ends[partition + 1 :]), min(_BATCH, until - after))
        pieces = [piece.part(after, until) for piece in pieces if piece.partition == partition]
        if not any(piece.end > after for piece in pieces):
            return
        for piece in pieces:
            if any(_matches(record.type, record.at, types, at_us) for record in piece.records):
                yield piece
            after = max(after, piece.end)


def _matches(name: str, at: int, types: Mapping[str, int] | None, at_us: tuple[int, int] | None) -> bool:
    if types is not None and (name not in types or at < types[name]):
        return False
    return at_us is None or at_us[0] <= at < at_us[1]


def after_slices(offsets: Offsets, slices: Sequence[Slice]) -> Offsets:
    """The offsets once `slices` have been applied."""
    moved = list(offsets)
    for piece in slices:
        moved[piece.partition] = max(moved[piece.partition], piece.end)
    return tuple(moved)


def read_until(log: EventLog, after: Offsets, until: Offsets, limit: int) -> Iterator[list[Slice]]:
    """Yield exactly the records from `after` up to `until`, about `limit` at a time, whatever is appended meanwhile.

    Partitions missing in `after` or `until` count as 0. Raises `Refused` when the log ends before `until`.
    """
    ends = log.ends()
    after, goals = _padded(after, len(ends)), _padded(until, len(ends))
    while any(at < goal for at, goal in zip(after, goals, strict=True)):
        # a finished partition is read from its end, so that no records of it are read without use
        reading = tuple(end if at >= goal else at for at, goal, end in zip(after, goals, ends, strict=True))
        pieces = log.read(reading, limit)
        if not pieces:
            raise Refused(
                f"the log must hold all records up to {until}, got none after {after}: restore the log from a backup"
            )
        parts = (piece.part(piece.start, goals[piece.partition]) for piece in pieces)
        slices = [piece for piece in parts if piece.end > piece.start]
        if slices:
            yield slices
            after = after_slices(after, slices)
        ends = log.ends()


def _padded(offsets: Offsets, partitions: int) -> Offsets:
    return offsets + (0,) * (partitions - len(offsets))
