"""Rebuilds the online features of a group from the log and swaps them in while the consumer continues."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import BadInput, Clock, Refused, ReportProgress
from flyball.events import EventLog, Offsets, Schema, read_until
from flyball.features.online.codec import (
    COUNTS,
    READY,
    Ready,
    counts_of,
    expiry_bucket_of,
    expiry_keys_of,
    keys_of_bytes,
    label_of,
    packed,
    ready_of,
)
from flyball.features.online.consumer import FeatureConsumer, locked
from flyball.features.online.layout import GroupLayout, groups_of
from flyball.stores import MemoryStore, StateStore

_BATCH = 10_000
_NEAR = 2_000


class RebuildReport(msgspec.Struct, frozen=True):
    """The result of a rebuild: keys written, keys removed that are not in the log, and the offsets of the states."""

    group: str
    keys: int
    removed: int
    offsets: Offsets


def rebuild(
    log: EventLog,
    schema: Schema,
    group: Any,
    store: StateStore,
    *,
    low: str | None = None,
    high: str | None = None,
    clock: Clock | None = None,
    lock: Path | None = None,
    scratch: StateStore | None = None,
    progress: ReportProgress | None = None,
) -> RebuildReport:
    """Compute the states of `group` (an entity, `Features` or group) again from the log and write them to `store`.

    `low`, `high`: only keys with `low <= first key < high`. The log is first applied to `scratch` (memory by default).
    The consumer waits only for the last records and the swap, by `lock`, a file that both lock. Readers see all old or
    all new states. Raises `Refused` for a part of a group that is not complete yet.
    """
    same_named = groups_of([group])
    if len(same_named) != 1:
        raise BadInput("group to rebuild", "one with features", group)
    beside = MemoryStore() if scratch is None else scratch
    if beside.offsets():
        raise BadInput("scratch store of a rebuild", "empty", f"one at offsets {beside.offsets()}")
    consumer = FeatureConsumer(
        schema,
        same_named,
        beside,
        partitions=len(log.ends()),
        clock=clock,
        only=lambda name, keys: _inside(keys[0], low, high),
        log=log,
    )
    plan = consumer.plans[0]
    if (low, high) != (None, None):
        _check_complete(plan, store)
    while _behind(consumer, store) > _NEAR:
        _catch_up(log, consumer, store.offsets(), progress)
    with locked(lock):
        _catch_up(log, consumer, store.offsets(), progress)
        return _swap(plan, beside, store, low, high, consumer.pending_prefixes())


def _inside(key: str, low: str | None, high: str | None) -> bool:
    return (low is None or low <= key) and (high is None or key < high)


def _check_complete(plan: GroupLayout, store: StateStore) -> None:
    (value,), offsets = store.read([READY])
    if any(offsets) and ready_of(value).groups.get(plan.group.name) != plan.hash:
        raise Refused(
            f"features of {plan.group.name} are new or changed, so all keys must be rebuilt, got a range: "
            "leave the range out"
        )


def _behind(consumer: FeatureConsumer, store: StateStore) -> int:
    return sum(store.offsets()) - sum(consumer.offsets())


def _catch_up(log: EventLog, consumer: FeatureConsumer, until: Offsets, progress: ReportProgress | None) -> None:
    """Fold exactly the records before the offsets `until`."""
    for slices in read_until(log, consumer.offsets(), until, _BATCH):
        consumer.apply(slices)
        if progress is not None:
            progress(sum(consumer.offsets()), sum(until))


def _swap(
    plan: GroupLayout,
    beside: StateStore,
    store: StateStore,
    low: str | None,
    high: str | None,
    pending: Sequence[bytes],
) -> RebuildReport:
    """Replace the states in one write. `pending`: prefixes of events that wait to be joined, complete in `beside`."""
    (counts_value, ready_value), offsets = store.read([COUNTS, READY])
    counts, ready = counts_of(counts_value), ready_of(ready_value)
    name, all_keys = plan.group.name, (low, high) == (None, None)
    buckets = counts.buckets.setdefault(name, {})
    changes: dict[bytes, bytes | None] = {}
    if all_keys:
        buckets.clear()
        for prefix in (f"f/{label_of(name)}.", f"x/{label_of(name)}."):
            changes |= dict.fromkeys([key for key, _ in store.scan(prefix.encode())])
    old = {key for key, _ in store.scan(plan.prefix) if all_keys or _in_range(plan, key, low, high)}
    built = dict(beside.scan(plan.prefix))
    if not all_keys:
        for entry, _ in store.scan(b"x" + plan.prefix[1:]):
            key = plan.prefix + expiry_keys_of(plan.prefix, entry)
            if key in old or key in built:
                changes[entry] = None
                _count(buckets, expiry_bucket_of(plan.prefix, entry), -1)
    changes |= dict.fromkeys(old)
    changes |= built
    for waiting in pending:
        changes |= dict.fromkeys([key for key, _ in store.scan(waiting)])
        changes |= dict(beside.scan(waiting))
    for entry, _ in beside.scan(b"x" + plan.prefix[1:]):
        changes[entry] = b""
        _count(buckets, expiry_bucket_of(plan.prefix, entry), 1)
    forgotten_us = max(ready.forgotten_us, ready_of(beside.read([READY])[0][0]).forgotten_us)
    changes[READY] = packed(Ready(ready.groups | {name: plan.hash}, forgotten_us))
    changes[COUNTS] = packed(counts)
    store.write(changes, offsets)
    return RebuildReport(name, len(built), len(old - built.keys()), offsets)


def _in_range(plan: GroupLayout, key: bytes, low: str | None, high: str | None) -> bool:
    keys = keys_of_bytes(key[len(plan.prefix) :])
    return keys is not None and _inside(keys[0], low, high)


def _count(buckets: dict[int, int], bucket: int, by: int) -> None:
    buckets[bucket] = buckets.get(bucket, 0) + by
    if buckets[bucket] <= 0:
        del buckets[bucket]
