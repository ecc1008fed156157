"""The state as it was for one user, from the part of the log that can tell of them."""

from collections.abc import Callable, Iterator

from flyball.events import Offsets, Schema, Slice, partition
from flyball.features import Entity
from flyball.runtime import Runtime
from flyball.state import Signals, StateConsumer, state_at
from flyball.stores import StateStore, open_state

ReadBlocks = Callable[[int, int, int, frozenset[str]], Iterator[Slice]]


def state_for(runtime: Runtime, until: Offsets, users: list[str]) -> StateStore:
    """A store that holds of `users`, and of all other entities, what the live one held at offsets `until`.

    A user's own events lie in one partition, and what makes items known is of few types: a log that finds blocks by
    type (`read_blocks`) is not read whole. Raises `Refused` when the log does not reach `until`.
    """
    log, task = runtime.log, runtime.app.task
    read: ReadBlocks | None = getattr(log, "read_blocks", None)
    ends = log.ends()
    wanted = until + (0,) * (len(ends) - len(until))
    if read is None or len(wanted) > len(ends) or any(goal > end for goal, end in zip(wanted, ends, strict=True)):
        return state_at(log, until, users, runtime.schema, runtime.signals, task.entities)
    store = open_state("memory://")
    consumer = StateConsumer(
        runtime.schema, runtime.signals, task.entities, store, partitions=len(ends), only_users=users
    )
    everywhere, own = kinds_of(runtime.schema, runtime.signals, task.entities)
    homes = {partition(user, len(ends)) for user in users}
    after = [0] * len(ends)
    for part, goal in enumerate(wanted):
        for piece in read(part, 0, goal, everywhere | own if part in homes else everywhere):
            if piece.first > after[part]:  # nothing of what is asked lies in between
                after[part] = piece.first
                store.write({}, tuple(after))
            consumer.apply([piece])
            after[part] = piece.first + len(piece.records)
        after[part] = goal
        store.write({}, tuple(after))
    return store


def kinds_of(schema: Schema, signals: Signals, entities: tuple[Entity, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """(types of which any record may tell of the users or of other entities, types of which only the users' own)."""
    user = signals.user
    names = {declared.cls: name for name, declared in schema.types.items()}
    everywhere: set[str] = set()
    own: set[str] = set()
    for entity in {one.name: one for one in (*entities, signals.user, signals.item)}.values():
        if entity.profile is not None:
            (own if entity is user else everywhere).add(names[entity.profile])
        for event in entity.known_by:
            declared = schema.types[names[event]]
            mine = entity is user and declared.refs[0] == (declared.key_field, user.name)
            (own if mine else everywhere).add(declared.name)
    (own if signals.keyed_by_user else everywhere).update(signals.plans)
    return frozenset(everywhere), frozenset(own - everywhere)
