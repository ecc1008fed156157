"""The views as they were at past offsets, rebuilt from the log for the requests of some keys."""

from collections.abc import Callable, Collection, Iterator, Sequence

from flyball.core import Refused
from flyball.events import EventLog, Offsets, Slice, partition, read_until
from flyball.state.consumer import StateConsumer
from flyball.state.view import View
from flyball.stores import MemoryStore

_BATCH = 10_000

ReadBlocks = Callable[[int, int, int, frozenset[str]], Iterator[Slice]]


def state_at(log: EventLog, until: Offsets, views: Sequence[View], keys: Collection[str] | None = None) -> MemoryStore:
    """A memory store equal, for requests of `keys`, to the live one at offsets `until`.

    `keys=None` folds everything. A log that finds blocks by event type is not read whole: what a view reads of a key
    may lie in the key's partition alone. Raises `Refused` when the log does not reach `until`.
    """
    ends = log.ends()
    goals = until + (0,) * (len(ends) - len(until))
    if len(goals) > len(ends) or any(goal > end for goal, end in zip(goals, ends, strict=True)):
        raise Refused(f"offsets {until} must lie within the log, which ends at {ends}")
    chosen = list(views) if keys is None else [view.only(keys) for view in views]
    store = MemoryStore()
    consumer = StateConsumer(chosen, store, partitions=len(ends))
    read: ReadBlocks | None = getattr(log, "read_blocks", None)
    if read is None or keys is None:
        for slices in read_until(log, (), until, _BATCH):
            consumer.apply(slices)
    else:
        _apply_blocks(consumer, read, goals, *_types_of(chosen), {partition(key, len(ends)) for key in keys})
    return store


def _apply_blocks(
    consumer: StateConsumer,
    read: ReadBlocks,
    goals: Offsets,
    everywhere: frozenset[str],
    in_own: frozenset[str],
    own_partitions: set[int],
) -> None:
    after = [0] * len(goals)
    for number, goal in enumerate(goals):
        for piece in read(number, 0, goal, everywhere | in_own if number in own_partitions else everywhere):
            if piece.first > after[number]:
                after[number] = piece.first
                consumer.skip(tuple(after))
            consumer.apply([piece])
            after[number] = piece.first + len(piece.records)
        after[number] = goal
        consumer.skip(tuple(after))


def _types_of(views: Sequence[View]) -> tuple[frozenset[str], frozenset[str]]:
    """(types of which any record may matter, types of which only those in the keys' own partitions do)."""
    everywhere = {name for view in views for name, own in view.types.items() if not own}
    return frozenset(everywhere), frozenset({name for view in views for name in view.types} - everywhere)
