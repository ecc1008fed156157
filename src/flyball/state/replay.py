"""The store as it was at past offsets, rebuilt from the log for some users."""

from collections.abc import Collection, Sequence

from flyball.core import Refused
from flyball.events import EventLog, Offsets, Schema, read_until
from flyball.features import Entity
from flyball.state.consumer import StateConsumer
from flyball.state.signals import Signals
from flyball.stores import MemoryStore

_BATCH = 10_000


def state_at(
    log: EventLog,
    until: Offsets,
    users: Collection[str] | None,
    schema: Schema,
    signals: Signals,
    entities: Sequence[Entity],
) -> MemoryStore:
    """A memory store equal, for `users`, to the live one at offsets `until`; profiles of items are in it too.

    `users=None` folds everyone, as the popular lists need. Raises `Refused` when the log does not reach `until`.
    """
    ends = log.ends()
    wanted = until + (0,) * (len(ends) - len(until))
    if len(wanted) > len(ends) or any(goal > end for goal, end in zip(wanted, ends, strict=True)):
        raise Refused(f"offsets {until} must lie within the log, which ends at {ends}")
    store = MemoryStore()
    consumer = StateConsumer(schema, signals, entities, store, partitions=len(ends), only_users=users)
    for slices in read_until(log, (), until, _BATCH):
        consumer.apply(slices)
    return store
