"""The views at past offsets, rebuilt from the log, for the requests of some keys."""

from collections.abc import Collection, Sequence

from flyball.core import Refused
from flyball.events import EventLog, Offsets, partition, read_until, read_where
from flyball.state.consumer import StateConsumer
from flyball.state.view import View
from flyball.stores import MemoryStore

_BATCH = 10_000


def state_at(log: EventLog, until: Offsets, views: Sequence[View], keys: Collection[str] | None = None) -> MemoryStore:
    """A memory store that, for requests of `keys`, equals the live one at offsets `until`.

    `keys=None`: for all keys. Of a `SearchableLog` only what the views need is read, which may be the keys' own
    partitions. Raises `Refused` when the log ends before `until`.
    """
    ends = log.ends()
    goals = until + (0,) * (len(ends) - len(until))
    if len(goals) > len(ends) or any(goal > end for goal, end in zip(goals, ends, strict=True)):
        raise Refused(
            f"offsets {until} must lie within the log, which ends at {ends}: restore the log from a backup of that time"
        )
    chosen = list(views) if keys is None else [view.only(keys) for view in views]
    store = MemoryStore()
    consumer = StateConsumer(chosen, store, partitions=len(ends))
    if keys is None:
        for slices in read_until(log, (), until, _BATCH):
            consumer.apply(slices)
    else:
        _apply_where(consumer, log, goals, *_types_of(chosen), {partition(key, len(ends)) for key in keys})
    return store


def _apply_where(
    consumer: StateConsumer,
    log: EventLog,
    goals: Offsets,
    everywhere: frozenset[str],
    in_own: frozenset[str],
    own_partitions: set[int],
) -> None:
    after = [0] * len(goals)
    for number, goal in enumerate(goals):
        types = everywhere | in_own if number in own_partitions else everywhere
        for piece in read_where(log, number, 0, goal, dict.fromkeys(types, 0)):
            if piece.first > after[number]:
                after[number] = piece.first
                consumer.skip(tuple(after))
            consumer.apply([piece])
            after[number] = piece.end
        after[number] = goal
        consumer.skip(tuple(after))


def _types_of(views: Sequence[View]) -> tuple[frozenset[str], frozenset[str]]:
    """(event types to read from all partitions, event types to read from the keys' own partitions only)."""
    everywhere = {name for view in views for name, own in view.types.items() if not own}
    return frozenset(everywhere), frozenset({name for view in views for name in view.types} - everywhere)
