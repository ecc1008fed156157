"""Playing a log through the online features, and the comparison of what they hold with the oracle."""

import os
import struct
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.features.online_events import DECLARED, KNOWN, SCHEMA, SECOND, TIMESTAMPS, Built, build

from flyball.core import Refused
from flyball.events import after_slices
from flyball.features.online.consumer import FeatureConsumer
from flyball.features.online.layout import groups_of
from flyball.features.online.reader import FeatureReader
from flyball.features.vectors import digest_of
from flyball.stores import StateStore, open_state
from flyball.testing.feature_oracle import before, value_of

FEW = 30
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", FEW))
"""How many logs; more than the few are other ones on each run."""
FAIL_FAST = os.environ.get("NUMBA_DISABLE_JIT") == "1"  # under planted errors nobody reads the smallest case
ASKED: dict[str, list[Any]] = {
    "user": ["1", "2", "3", "4"],
    "film": ["up", "Up", "ünder", "a\0b", "z" * 400, "\U0001f600", "", "none"],
    "user_film": [("1", "up"), ("2", "Up"), ("3", "a\0b"), ("1", "z" * 400), ("9", "up")],
    "device": ["tv", "phone", "web", "radio"],
}
_GROUPS = {group.name: group for group in groups_of(DECLARED)}


def same(one: Any, other: Any) -> bool:
    """The same value, type and bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def expected(built: Built, offsets: tuple[int, ...], at_us: int) -> dict[str, list[list[Any]]]:
    return {
        name: [
            [
                value_of(
                    one,
                    built.logged,
                    dict(zip(one.keys, (key,) if isinstance(key, str) else key, strict=True)),
                    at_us,
                    before(offsets),
                )
                for one in _GROUPS[name].definitions
            ]
            for key in keys
        ]
        for name, keys in ASKED.items()
    }


def check(reader: FeatureReader, built: Built, at_us: int) -> None:
    reading = reader.read(ASKED, at_us)
    offsets = reading.offsets or (0, 0)
    wanted = expected(built, offsets, at_us)
    for name, vectors in reading.groups.items():
        for key, found, right in zip(ASKED[name], vectors.rows(), wanted[name], strict=True):
            for feature, mine, theirs in zip(vectors.names, found, right, strict=True):
                assert same(mine, theirs), (feature, key, at_us, offsets, mine, theirs)
    keyed = {name: (vectors.keys, wanted[name]) for name, vectors in reading.groups.items()}
    assert reading.digest == digest_of(keyed)


_folders = count()


def opener(backend: str, folder: Path) -> Callable[[], StateStore]:
    if backend == "memory":
        store = open_state("memory://")
        return lambda: store
    place = folder / str(next(_folders))
    return lambda: open_state(f"lmdb://{place}?map_mb=1&sync=0")


class Crash(Exception):
    """The process ends here."""


class CrashingStore:
    """A store whose next write never happens."""

    def __init__(self, store: StateStore) -> None:
        self.store, self.armed = store, False

    def write(self, changes: Any, offsets: Any) -> None:
        if self.armed:
            raise Crash
        self.store.write(changes, offsets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def play_through(data: st.DataObject, open_store: Callable[[], StateStore]) -> None:
    """A log in batches with repeats, restarts, crashes and seals at random moments, compared after each."""
    built = build(data.draw(st.lists(KNOWN, max_size=40)))
    rows = data.draw(st.sampled_from([0, 1, 4, 32]))
    grace = data.draw(st.sampled_from([0, 1, 2 * SECOND, 60 * SECOND]))

    def start() -> tuple[CrashingStore, FeatureConsumer]:
        store = CrashingStore(open_store())
        return store, FeatureConsumer(SCHEMA, DECLARED, store, partitions=2, grace_us=grace, rows=rows)

    store, consumer = start()
    ends = tuple(len(records) for records in built.records)
    while True:
        at = consumer.offsets()
        check_some(data, FeatureReader(DECLARED, store), built, consumer)
        if at == ends:
            return
        until = tuple(data.draw(st.integers(low, min(high, low + 12))) for low, high in zip(at, ends, strict=True))
        again = tuple(data.draw(st.integers(0, low)) for low in at)
        step = data.draw(st.sampled_from(["apply", "apply", "apply", "crash", "restart", "seal"]))
        if step == "crash" and until != at:
            store.armed = True
            with pytest.raises(Crash):
                consumer.apply(built.slices(again, until))
            store, consumer = start()
            assert consumer.offsets() == at
        elif step == "restart":
            store, consumer = start()
        elif step == "seal":
            group = data.draw(st.sampled_from(sorted(ASKED)))
            keys = [(key,) if isinstance(key, str) else key for key in ASKED[group]]
            consumer.seal(group, keys)
        slices = built.slices(again, until)
        consumer.apply(slices)
        assert consumer.offsets() == after_slices(at, slices)


def check_some(data: st.DataObject, reader: FeatureReader, built: Built, consumer: FeatureConsumer) -> None:
    """At edges of windows around events, from the horizon on; before it the reader refuses or is right."""
    horizon = consumer.counts().horizon_us
    events = [logged.event.at for logged in built.logged] or [0]
    for _ in range(3):
        step = data.draw(st.sampled_from([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 15]))
        at_us = data.draw(st.sampled_from(events)) + step * SECOND + data.draw(st.sampled_from([-1, 0, 0, 1]))
        if at_us >= horizon:
            check(reader, built, at_us)
        else:
            refused_or_right(reader, built, at_us)
    check(reader, built, max(horizon, data.draw(TIMESTAMPS)))


def refused_or_right(reader: FeatureReader, built: Built, at_us: int) -> None:
    try:
        reader.read(ASKED, at_us)
    except Refused:
        return
    check(reader, built, at_us)
