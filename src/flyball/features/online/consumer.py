"""Applies the log to the online features: one pass over events, one value for each key, written with the offsets.

A state is a function of the events before the offsets, for any batches and repetitions. It can be queried for every
time from its horizon on, which is the latest `known_at` so far minus `grace_us`. Events before the horizon are stored
as tiles, into which late events are merged; data that no query can use any more is deleted.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from flyball.core import BadInput, Clock, Ints
from flyball.events import EventLog, Joiner, Offsets, Positioned, Record, Schema, Slice
from flyball.features.online.codec import (
    COUNTS,
    NONE,
    READY,
    SHARDS,
    Extras,
    KeyCounts,
    Ready,
    counts_of,
    expiry_key,
    expiry_keys_of,
    expiry_prefix,
    extras_of,
    key_bytes,
    keys_bytes,
    packed,
    ready_of,
    with_extras,
    word,
)
from flyball.features.online.encode import EncodedEvents, EventEncoder
from flyball.features.online.layout import PLACE, RANK, GroupLayout, compile_group, groups_of
from flyball.stores import StateStore

Only = Callable[[str, tuple[str, ...]], bool]

GRACE_US = 5_000_000
ROWS = 32
_NEWEST, _BUCKET = 2, 3
_BUCKETS = 16


class FeatureConsumer:
    """Maintains the features of `declared` (entities, `Features`, groups) in `store`, exactly up to its offsets.

    `apply` folds slices of the log; records before the stored offsets have no effect. `clock`: events after its time
    are not made tiles, so that timestamps in the future do not prevent queries at the present. `grace_us`: the time
    before the latest `known_at` that can still be queried. `rows`: the fewest events of a key that are kept one by one.
    `only(group, keys)`: the keys to update. `lock`: a file that is locked while a batch is applied, for rebuilds.
    `log`: the log of the slices, for joined types, see `Joiner`.
    """

    def __init__(
        self,
        schema: Schema,
        declared: Sequence[Any],
        store: StateStore,
        *,
        partitions: int = 4,
        clock: Clock | None = None,
        grace_us: int = GRACE_US,
        rows: int = ROWS,
        only: Only | None = None,
        lock: Path | None = None,
        log: EventLog | None = None,
    ) -> None:
        self._schema, self._store, self._clock = schema, store, clock
        self._partitions, self._grace, self._rows = partitions, grace_us, rows
        self._only, self._lock = only, lock
        self.plans = [compile_group(group) for group in groups_of(declared)]
        self._lifters = {plan.group.name: EventEncoder(plan) for plan in self.plans}
        read = [stream.event for plan in self.plans for stream in plan.streams]
        self._types = {
            name: kind.cls for name, kind in (*schema.types.items(), *schema.joined.items()) if kind.cls in read
        }
        self._joiner = Joiner(schema, list(self._types), log)

    def offsets(self) -> Offsets:
        """The offsets of the store: where to continue reading the log."""
        stored = self._store.offsets()
        return stored + (0,) * (self._partitions - len(stored))

    def apply(self, slices: Sequence[Slice]) -> int:
        """Apply `slices`; returns the number of new records. Raises `BadInput` for a gap after the stored offsets."""
        with locked(self._lock):
            offsets, by_type, known_us, new, sides = self._sort(slices)
            if not new:
                return 0
            joined, pending = self._joiner.apply(sides, self._store)
            by_type |= {name: [(record, offset) for record, offset, _ in pairs] for name, pairs in joined.items()}
            counts, ready = self._meta()
            counts.known_us = max(counts.known_us, known_us)
            counts.horizon_us = max(counts.horizon_us, self._horizon(counts.known_us))
            events = {
                self._types[name]: (self._schema.decode_many([record for record, _ in some]), [at for _, at in some])
                for name, some in by_type.items()
                if some
            }
            changes: dict[bytes, bytes | None] = pending
            for plan in self.plans:
                if ready.groups.get(plan.group.name) == plan.hash:
                    encoded = self._lifters[plan.group.name].encode(events)
                    if encoded is not None:
                        self._update(plan, encoded, counts, ready, changes)
            ready = self._sweep(counts, ready, new, changes)
            changes[COUNTS], changes[READY] = packed(counts), packed(ready)
            self._store.write(changes, offsets)
            return new

    def pending_prefixes(self) -> list[bytes]:
        """The key prefixes of events that wait to be joined."""
        return self._joiner.prefixes()

    def counts(self) -> KeyCounts:
        """The numbers of events that came too late, and of keys that were deleted."""
        return counts_of(self._store.read([COUNTS])[0][0])

    def unready(self) -> list[str]:
        """The groups that are new or have changed and must be rebuilt from the log."""
        _, ready = self._meta()
        return [plan.group.name for plan in self.plans if ready.groups.get(plan.group.name) != plan.hash]

    def seal(self, group: str, keys: Sequence[tuple[str, ...]]) -> None:
        """Turn the events of these keys before the horizon into tiles now; no value changes."""
        plan = next(plan for plan in self.plans if plan.group.name == group)
        with locked(self._lock):
            counts, ready = self._meta()
            states, offsets = self._store.read([plan.prefix + key_bytes(key) for key in keys])
            some = [key for key, value in zip(keys, states, strict=True) if value is not None]
            empty = np.empty((0, plan.width), dtype=np.int64)
            changes: dict[bytes, bytes | None] = {}
            encoded = EncodedEvents(some, empty, np.zeros(len(some) + 1, dtype=np.int64), [], {})
            self._update(plan, encoded, counts, ready, changes, force=True)
            self._store.write(changes, offsets)

    def _meta(self) -> tuple[KeyCounts, Ready]:
        (counts, ready), offsets = self._store.read([COUNTS, READY])
        if ready is None and not any(offsets):
            return KeyCounts(), Ready({plan.group.name: plan.hash for plan in self.plans})
        return counts_of(counts), ready_of(ready)

    def _horizon(self, known_us: int) -> int:
        now_us = known_us if self._clock is None else min(known_us, self._clock.now_us())
        return now_us - self._grace

    def _sort(
        self, slices: Sequence[Slice]
    ) -> tuple[Offsets, dict[str, list[tuple[Record, int]]], int, int, dict[str, list[Positioned]]]:
        """(offsets after `slices`, new records by type with offsets, latest `known_at`, count of new records, records
        that are sides of joined types)."""
        offsets, new, known_us = list(self.offsets()), 0, NONE
        by_type: dict[str, list[tuple[Record, int]]] = {name: [] for name in self._types}
        sides: dict[str, list[Positioned]] = {name: [] for name in self._joiner.types}
        for piece in slices:
            offsets += [0] * (piece.partition + 1 - len(offsets))
            start = offsets[piece.partition]
            if start < piece.start:
                raise BadInput(
                    f"first offset of a slice of partition {piece.partition}", f"at most {start}", piece.start
                )
            skip = max(0, start - piece.first)
            fresh = piece.records[skip:]
            for offset, record in enumerate(fresh, piece.first + skip):
                some = by_type.get(record.type)
                if some is not None:
                    some.append((record, offset))
                if sides and record.type in sides:
                    sides[record.type].append((record, offset, piece.partition))
            if fresh:
                known_us = max(known_us, max([record.known_at for record in fresh]))
            if piece.end > start:
                offsets[piece.partition] = piece.end
                new += piece.end - start
        return tuple(offsets), by_type, known_us, new, sides

    def _update(
        self,
        plan: GroupLayout,
        encoded: EncodedEvents,
        counts: KeyCounts,
        ready: Ready,
        changes: dict[bytes, bytes | None],
        force: bool = False,
    ) -> None:
        """The new states of the keys in `encoded`."""
        from flyball.features.online.kernels.update import update

        name = plan.group.name
        if self._only is not None:
            encoded = _chosen(encoded, [self._only(name, key) for key in encoded.keys])
        if not encoded.keys:
            return
        if plan.reach_us is not None:
            beyond = int(np.count_nonzero(encoded.rows[:, 1] < counts.horizon_us - plan.reach_us))
            if beyond:
                counts.late[name] = counts.late.get(name, 0) + beyond
        suffixes = keys_bytes(b"", encoded.keys)
        states, _ = self._store.read([plan.prefix + suffix for suffix in suffixes])
        extras: list[Extras] = []
        if plan.has_texts:
            states, extras = _with_texts(plan, encoded, states)
        starts = np.zeros(len(states) + 1, dtype=np.int64)
        np.cumsum([0 if value is None else len(value) // 8 for value in states], out=starts[1:])
        old = np.frombuffer(b"".join([value for value in states if value is not None]), dtype=np.int64)
        ends = np.zeros(len(states) + 1, dtype=np.int64)
        words = update(
            plan.numbers,
            old,
            starts,
            encoded.rows,
            encoded.starts,
            counts.horizon_us,
            ready.forgotten_us,
            self._rows,
            force,
            ends,
        )
        if plan.reach_us is not None:
            self._note_expiry(plan, suffixes, words, ends, counts, changes)
        raw, bounds = words.tobytes(), (8 * ends).tolist()
        for index, suffix in enumerate(suffixes):
            value = raw[bounds[index] : bounds[index + 1]]
            changes[plan.prefix + suffix] = _purged(plan, value, extras[index]) if extras else value

    def _note_expiry(
        self,
        plan: GroupLayout,
        suffixes: list[bytes],
        words: Ints,
        ends: Ints,
        counts: KeyCounts,
        changes: dict[bytes, Any],
    ) -> None:
        """Store the expiry of new states; that of older ones is checked again when it is reached."""
        assert plan.reach_us is not None
        buckets = counts.buckets.setdefault(plan.group.name, {})
        for index in np.nonzero(words[ends[:-1] + _BUCKET] == NONE)[0].tolist():
            start = int(ends[index])
            bucket = due_bucket(plan, int(words[start + _NEWEST]))
            words[start + _BUCKET] = bucket
            changes[expiry_key(plan.prefix, bucket, suffixes[index])] = b""
            buckets[bucket] = buckets.get(bucket, 0) + 1

    def _sweep(self, counts: KeyCounts, ready: Ready, new: int, changes: dict[bytes, bytes | None]) -> Ready:
        """Delete keys that no query can use any more, faster than `new` records can add others."""
        forgot = False
        for plan in self.plans:
            if plan.reach_us is None or ready.groups.get(plan.group.name) != plan.hash:
                continue
            name, forgotten = plan.group.name, 0
            buckets = counts.buckets.get(name, {})
            for bucket in sorted(start for start in buckets if start * bucket_us(plan) <= counts.horizon_us):
                if forgotten <= 2 * new:
                    forgotten += self._forget(plan, bucket, buckets, 2 * new - forgotten, changes)
            if forgotten:
                forgot = True
                counts.expired[name] = counts.expired.get(name, 0) + forgotten
        return Ready(ready.groups, max(ready.forgotten_us, counts.horizon_us)) if forgot else ready

    def _forget(
        self, plan: GroupLayout, bucket: int, buckets: dict[int, int], most: int, changes: dict[bytes, bytes | None]
    ) -> int:
        """Delete the keys of a bucket without later events, shard by shard, at most about `most`; returns how many."""
        forgotten, moved = 0, 0
        for shard in range(SHARDS):
            if forgotten + moved > most:
                break
            entries = [entry for entry, _ in self._store.scan(expiry_prefix(plan.prefix, bucket, shard))]
            suffixes = [expiry_keys_of(plan.prefix, entry) for entry in entries]
            values, _ = self._store.read([plan.prefix + suffix for suffix in suffixes])
            for entry, suffix, stored in zip(entries, suffixes, values, strict=True):
                key = plan.prefix + suffix
                value = changes.get(key, stored)
                changes[entry] = None
                due = bucket if value is None else due_bucket(plan, word(value, _NEWEST))
                if due <= bucket:
                    changes[key] = None
                    forgotten += 1
                else:
                    changes[expiry_key(plan.prefix, due, suffix)] = b""
                    buckets[due] = buckets.get(due, 0) + 1
                    moved += 1
        _less(buckets, bucket, forgotten + moved)
        return forgotten


@contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Wait for the lock of a file and hold it; the operating system releases it when the process ends."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def bucket_us(plan: GroupLayout) -> int:
    """The length of an expiry bucket, microseconds."""
    return max((plan.reach_us or 0) // _BUCKETS, 1_000_000)


def due_bucket(plan: GroupLayout, newest_us: int) -> int:
    """The bucket at whose end a key with this latest event may be deleted."""
    return (newest_us + (plan.reach_us or 0)) // bucket_us(plan) + 1


def _less(counts: dict[int, int], bucket: int, by: int) -> None:
    counts[bucket] = counts.get(bucket, 0) - by
    if counts[bucket] <= 0:
        del counts[bucket]


def _chosen(encoded: EncodedEvents, is_chosen: list[bool]) -> EncodedEvents:
    sizes = np.diff(encoded.starts)
    mask = np.array(is_chosen, dtype=np.bool_)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes[mask])])
    keys = [key for key, chosen in zip(encoded.keys, is_chosen, strict=True) if chosen]
    return EncodedEvents(keys, encoded.rows[np.repeat(mask, sizes)], starts, encoded.texts, encoded.profiles)


def _cells(plan: GroupLayout, words: Ints, kind: int) -> Ints:
    """The positions of a state's words that are ranks of texts, or offsets of profiles."""
    from flyball.features.online.kernels.state import cells

    out = np.empty(len(words), dtype=np.int64)
    return out[: cells(plan.numbers, plan.kinds, words, kind, out)]


def _with_texts(
    plan: GroupLayout, encoded: EncodedEvents, stored: Sequence[bytes | None]
) -> tuple[list[bytes | None], list[Extras]]:
    """The states and rows with ranks in the old and new texts of each key together, and these texts and profiles."""
    ranked = [
        (stream, 2 + column)
        for stream in range(plan.kinds.shape[0])
        for column in range(plan.kinds.shape[1])
        if plan.kinds[stream, column] == RANK
    ]
    states: list[bytes | None] = []
    extras: list[Extras] = []
    rows = encoded.rows
    profiled = np.isin(rows[:, 0], [i for i, stream_layout in enumerate(plan.streams) if stream_layout.profile])
    speaking = profiled.copy()  # rows with a text or a profile; most have neither
    for stream, column in ranked:
        speaking |= (rows[:, 0] == stream) & (rows[:, column] >= 0)
    for index, value in enumerate(stored):
        first, last = int(encoded.starts[index]), int(encoded.starts[index + 1])
        before = Extras() if value is None else extras_of(value)
        if not speaking[first:last].any():
            states.append(value if value is None else value[: 8 * int.from_bytes(value[:8], "little")])
            extras.append(before)
            continue
        key_rows = rows[first:last]
        fresh: set[str] = set()
        for stream, column in ranked:
            ranks = key_rows[key_rows[:, 0] == stream, column]
            fresh.update([encoded.texts[rank] for rank in ranks.tolist() if rank >= 0])
        texts = sorted(fresh.union(before.texts))
        rank_of = {text: rank for rank, text in enumerate(texts)}
        for stream, column in ranked:
            for row in range(first, last):
                if rows[row, 0] == stream and rows[row, column] >= 0:
                    rows[row, column] = rank_of[encoded.texts[rows[row, column]]]
        if value is not None:
            words = np.frombuffer(value, dtype=np.int64, count=int.from_bytes(value[:8], "little"))
            if texts != before.texts:
                words = words.copy()
                cells = _cells(plan, words, RANK)
                words[cells] = np.array([rank_of[text] for text in before.texts], dtype=np.int64)[words[cells]]
            value = words.tobytes()
        offsets = key_rows[profiled[first:last], 2].tolist()
        profiles = before.profiles | {offset: encoded.profiles[encoded.keys[index], offset] for offset in offsets}
        states.append(value)
        extras.append(Extras(texts, profiles))
    return states, extras


def _purged(plan: GroupLayout, value: bytes, extras: Extras) -> bytes:
    """The state followed by the texts and profiles that it still refers to."""
    words = np.frombuffer(value, dtype=np.int64).copy()
    cells = _cells(plan, words, RANK)
    used = np.unique(words[cells])
    if len(used) < len(extras.texts):
        words[cells] = np.searchsorted(used, words[cells])
        extras.texts = [extras.texts[rank] for rank in used.tolist()]
    offsets = set(words[_cells(plan, words, PLACE)].tolist())
    extras.profiles = {offset: extras.profiles[offset] for offset in sorted(offsets)}
    return with_extras(words.tobytes(), extras)
