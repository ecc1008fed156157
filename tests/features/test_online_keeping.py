"""What the online state keeps and forgets, what it refuses, and rebuilding it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.features.online_events import DECLARED, SCHEMA, SECOND, Play, record_of

from flyball.core import BadInput, ManualClock, NotFound, Refused
from flyball.events import DeclaredLog, EventLog, Record, Slice, open_log
from flyball.features import Entity, count, distinct, sum
from flyball.features.declaration.windows import exact, tiled
from flyball.features.online.consumer import FeatureConsumer
from flyball.features.online.reader import FeatureReader
from flyball.features.online.rebuild import rebuild
from flyball.stores import StateStore, open_state
from flyball.stores.memory import MemoryStore

START = 1_000_000 * SECOND
short = Entity(
    "user", plays=count(Play, tiled("60s", "10s")), films=distinct(Play, lambda p: p.film, exact("20s", max_events=5))
)


def play(user: int, at_us: int, known_at: int | None = None, number: int = 0, film: str = "up") -> Record:
    event = Play(user=user, film=film, units=1, price=0.5, at=at_us)
    return record_of(event, at_us if known_at is None else known_at, number)


def feed(consumer: FeatureConsumer, records: Sequence[Record], batch: int = 500) -> None:
    start = consumer.offsets()[0]
    for low in range(0, len(records), batch):
        consumer.apply([Slice(0, start + low, list(records[low : low + batch]))])


def states(store: StateStore) -> int:
    return len(list(store.scan(b"f/")))


def test_one_key_with_endless_events_stays_small() -> None:
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=1)
    feed(consumer, [play(1, START + index * SECOND // 50, film=str(index)) for index in range(20_000)])
    ((_, value),) = store.scan(b"f/")
    assert len(value) < 60_000  # 250 events of the last 5 s, and as many that came since they were last made tiles


def test_history_that_arrives_all_at_once_becomes_tiles_too() -> None:
    """Every event of an import is known at the same time, so the horizon does not move between its batches."""
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=1)
    feed(consumer, [play(1, START + index * SECOND // 50, START + 500 * SECOND) for index in range(20_000)])
    ((_, value),) = store.scan(b"f/")
    assert len(value) < 4_000  # less than 32 events, and the tiles of a minute
    reader = FeatureReader([short], store)
    assert reader.read({"user": ["1"]}, START + 500 * SECOND).groups["user"].rows() == [[0, 0]]


def test_a_log_may_have_more_partitions_than_the_consumer_was_opened_with() -> None:
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=1)
    assert consumer.apply([Slice(2, 0, [play(1, START)]), Slice(0, 0, [play(1, START, number=1)])]) == 2
    assert consumer.offsets() == (1, 0, 1)
    assert FeatureReader([short], store).read({"user": ["1"]}, START + 1).groups["user"].rows() == [[2, 1]]


def test_what_is_forgotten_takes_no_place_of_what_is_kept() -> None:
    """Three values have left the window of at most five when four more are sealed: the four stay."""
    store = MemoryStore()
    declared = Entity("user", plays=count(Play, exact("20s", max_events=5)))
    consumer = FeatureConsumer(SCHEMA, [declared], store, partitions=1, grace_us=0, rows=0)
    feed(consumer, [play(1, START + place) for place in range(3)])
    feed(consumer, [play(2, START + SECOND)])
    consumer.seal("user", [("1",)])
    later = START + 60 * SECOND
    feed(consumer, [play(1, later + place) for place in range(4)])
    feed(consumer, [play(2, later + SECOND)])
    consumer.seal("user", [("1",)])
    assert FeatureReader([declared], store).read({"user": ["1"]}, later + SECOND).groups["user"].rows() == [[4]]


def test_records_that_came_before_and_keys_without_events_are_reported_as_none() -> None:
    store, records = MemoryStore(), [play(1, START), play(1, START + 1)]
    consumer = FeatureConsumer(SCHEMA, DECLARED, store, partitions=1)
    assert consumer.apply([Slice(0, 0, records)]) == 2
    assert consumer.apply([Slice(0, 0, records)]) == 0
    asked = {"user": ["1", "2"], "user_film": [("2", "up")], "device": ["radio"]}
    assert FeatureReader(DECLARED, store).read(asked, START + 2).beyond == 0


def test_an_expired_key_reads_as_one_without_events_and_not_before() -> None:
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=1)
    feed(consumer, [play(1, START)])
    for step in range(1, 200):
        feed(consumer, [play(2, START + step * 2 * SECOND)])
    reader = FeatureReader([short], store)
    assert states(store) == 1
    assert reader.read({"user": ["1"]}, START + 400 * SECOND).groups["user"].rows() == [[0, 0]]
    with pytest.raises(Refused, match="older events are tiles"):
        reader.read({"user": ["1"]}, START + SECOND)


@pytest.mark.parametrize("window", [exact("20s", max_events=5), tiled("18s", "2s")])
@pytest.mark.parametrize("shift", [0, 1, SECOND // 2, SECOND - 1, SECOND, 1_250_000, 5 * SECOND // 4 * 7 - 1])
def test_no_key_is_forgotten_that_a_time_can_still_see(window: Any, shift: int) -> None:
    store, at = MemoryStore(), START + shift
    declared = Entity("user", plays=count(Play, window))
    consumer = FeatureConsumer(SCHEMA, [declared], store, partitions=1, grace_us=0)
    reader = FeatureReader([declared], store)
    feed(consumer, [play(1, at)])
    last = at + 20 * SECOND if window.kind == "exact" else (at // (2 * SECOND) + 10) * 2 * SECOND - 1
    for q in (at + SECOND, last - 1, last):
        feed(consumer, [play(2, q)])
        assert consumer.counts().horizon_us == q
        assert reader.read({"user": ["1"]}, q).groups["user"].rows() == [[1]]
    assert reader.read({"user": ["1"]}, last + 1).groups["user"].rows() == [[0]]
    feed(consumer, [play(2, last + 5 * SECOND + step) for step in range(4)], batch=1)
    assert states(store) == 1
    assert reader.read({"user": ["1"]}, last + 6 * SECOND).groups["user"].rows() == [[0]]


def test_memory_is_bounded_on_an_endless_stream_of_new_keys() -> None:
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=1)
    sizes = []
    for minute in range(40):
        at = START + minute * 60 * SECOND
        feed(consumer, [play(minute * 600 + index, at + index * SECOND // 10) for index in range(600)], batch=5)
        sizes.append((states(store), len(list(store.scan(b"x/"))), len(list(store.scan(b"")))))
    assert max(sizes[5:]) <= (1_500, 1_500, 3_002)  # of 24,000 keys, those of the last two minutes are there
    counts = consumer.counts()
    assert counts.expired["user"] + states(store) == 24_000
    assert max(len(held) for held in counts.buckets.values()) < 40


def test_events_beyond_retention_are_counted() -> None:
    consumer = FeatureConsumer(SCHEMA, [short], MemoryStore(), partitions=1)
    feed(consumer, [play(1, START), play(1, START - 50 * SECOND, START), play(1, START - 600 * SECOND, START)])
    assert consumer.counts().late == {"user": 1}


def test_an_event_that_the_horizon_can_still_see_is_not_late() -> None:
    declared = Entity("user", plays=count(Play, exact("20s", max_events=5)))
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [declared], store, partitions=1, grace_us=0)
    feed(consumer, [play(1, START)])
    feed(consumer, [play(1, START - 20 * SECOND, START)])
    assert consumer.counts().late == {}
    assert FeatureReader([declared], store).read({"user": ["1"]}, START).groups["user"].rows() == [[1]]
    feed(consumer, [play(1, START - 20 * SECOND - 1, START)])
    assert consumer.counts().late == {"user": 1}
    assert FeatureReader([declared], store).read({"user": ["1"]}, START).groups["user"].rows() == [[1]]


def test_a_stamp_from_the_future_does_not_forbid_the_present() -> None:
    store, clock = MemoryStore(), ManualClock(START)
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=1, clock=clock, rows=0)
    feed(consumer, [play(1, START), play(1, START + 10**15)])
    reader = FeatureReader([short], store)
    assert reader.read({"user": ["1"]}, START + 1).groups["user"].rows() == [[1, 1]]
    assert reader.read({"user": ["1"]}, START + 10**15 + 1).groups["user"].rows() == [[1, 1]]


def test_values_beyond_max_events_are_missing_and_counted() -> None:
    store = MemoryStore()
    feed(FeatureConsumer(SCHEMA, [short], store, partitions=1), [play(1, START + n, film=str(n)) for n in range(6)])
    reading = FeatureReader([short], store).read({"user": ["1", "2"]}, START + SECOND)
    assert reading.groups["user"].rows() == [[6, None], [0, 0]]
    assert reading.beyond == 1


@pytest.mark.parametrize("rows", [0, 32])
def test_events_at_the_edges_of_an_exact_window_fill_it_or_not(rows: int) -> None:
    width, q = 20 * SECOND, START + 100 * SECOND
    three = Entity("user", n=count(Play, exact("20s", max_events=3)), films=distinct(Play, lambda p: p.film, "60s"))
    store, clock = MemoryStore(), ManualClock(q - width - 1)
    consumer = FeatureConsumer(SCHEMA, [three], store, partitions=1, clock=clock, grace_us=0, rows=rows)
    feed(consumer, [play(1, at) for at in (q - width - 1, q - width, q - 1, q - 1, q)], batch=1)
    reader = FeatureReader([three], store)
    found = [reader.read({"user": ["1"]}, q + step).groups["user"].row(0)[0] for step in (-1, 0, 1, 2)]
    assert found == [2, 3, 3, 3]  # [q - W - 1, q - W]; [q - W, two at q - 1]; the two and q; the same
    feed(consumer, [play(1, q, number=1)])
    assert reader.read({"user": ["1"]}, q).groups["user"].row(0)[0] == 3
    assert reader.read({"user": ["1"]}, q + 1).groups["user"].row(0)[0] is None


def test_a_gap_is_refused_and_changes_nothing() -> None:
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=1)
    with pytest.raises(BadInput, match="first offset"):
        consumer.apply([Slice(0, 3, [play(1, START)])])
    assert list(store.scan(b"")) == []


def test_unknown_groups_and_keys_of_the_wrong_size_are_refused() -> None:
    reader = FeatureReader(DECLARED, MemoryStore())
    with pytest.raises(NotFound, match="user_film"):
        reader.read({"users": ["1"]}, START)
    with pytest.raises(BadInput, match="2 texts"):
        reader.read({"user_film": ["1"]}, START)


def test_sums_of_the_largest_numbers_do_not_overflow() -> None:
    most, times = 2**53, 3_000
    huge = Entity("user", total=sum(Play, lambda p: p.units, "lifetime"))
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [huge], store, partitions=1, grace_us=0)
    events = [Play(user=1, film="up", units=-most, price=None, at=START + n) for n in range(times)]
    feed(consumer, [record_of(event, event.at, 0) for event in events])
    found = FeatureReader([huge], store).read({"user": ["1"]}, START + SECOND).groups["user"].rows()
    assert found == [[float(-most * times)]]


# rebuilding


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    found = DeclaredLog(open_log(f"sqlite://{tmp_path}/events.db?partitions=2"), SCHEMA)
    found.append([play(n % 9, START + n * SECOND // 4, number=n, film=str(n % 5)) for n in range(400)])
    return found


def follow(log: EventLog, consumer: FeatureConsumer, limit: int = 10_000) -> None:
    while slices := log.read(consumer.offsets(), limit):
        consumer.apply(slices)


def rows_of(declared: Any, store: StateStore) -> list[list[Any]]:
    reading = FeatureReader([declared], store).read({"user": [str(n) for n in range(12)]}, START + 120 * SECOND)
    return reading.groups["user"].rows()


def damage(store: StateStore, users: Sequence[str]) -> None:
    changes: dict[bytes, bytes | None] = {}
    for key, _ in store.scan(b"f/user."):
        if key.rsplit(b"/", 1)[1].decode() in users:
            changes[key] = None
    store.write(changes, store.offsets())


@pytest.mark.parametrize("backend", ["memory", "lmdb"])
def test_a_range_of_keys_is_rebuilt_and_the_others_left(backend: str, log: EventLog, tmp_path: Path) -> None:
    store = open_state("memory://" if backend == "memory" else f"lmdb://{tmp_path}/state?sync=0")
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=2)
    follow(log, consumer)
    right = rows_of(short, store)
    damage(store, ["3", "4", "7"])
    assert rows_of(short, store) != right
    done = rebuild(log, SCHEMA, short, store, low="3", high="5", lock=tmp_path / "lock")
    assert (done.keys, done.removed, done.offsets) == (2, 0, consumer.offsets())
    assert [n for n, (a, b) in enumerate(zip(rows_of(short, store), right, strict=True)) if a != b] == [7]
    rebuild(log, SCHEMA, short, store)
    assert rows_of(short, store) == right
    assert math.fsum(consumer.counts().buckets["user"].values()) == states(store) == len(list(store.scan(b"x/")))


def test_a_changed_definition_is_refused_until_rebuilt_and_then_followed(log: EventLog) -> None:
    store = MemoryStore()
    follow(log, FeatureConsumer(SCHEMA, [short], store, partitions=2), limit=100)
    changed = Entity("user", plays=count(Play, tiled("90s", "10s")))
    consumer = FeatureConsumer(SCHEMA, [changed], store, partitions=2)
    assert consumer.unready() == ["user"]
    with pytest.raises(Refused, match="flyball features rebuild"):
        rows_of(changed, store)
    with pytest.raises(Refused, match="all keys must be rebuilt"):
        rebuild(log, SCHEMA, changed, store, low="3")
    log.append([play(1, START + 110 * SECOND, number=10**6)])
    follow(log, consumer)
    rebuild(log, SCHEMA, changed, store)
    fresh = MemoryStore()
    follow(log, FeatureConsumer(SCHEMA, [changed], fresh, partitions=2))
    assert consumer.unready() == []
    assert rows_of(changed, store) == rows_of(changed, fresh)
    log.append([play(1, START + 111 * SECOND, number=10**6 + 1)])
    follow(log, consumer)
    assert rows_of(changed, store)[1][0] == rows_of(changed, fresh)[1][0] + 1


def test_a_rebuild_meets_the_consumer_where_it_stands(log: EventLog) -> None:
    store = MemoryStore()
    consumer = FeatureConsumer(SCHEMA, [short], store, partitions=2)
    consumer.apply([Slice(piece.partition, 0, piece.records[:60]) for piece in log.read((0, 0), 10_000)])
    at = consumer.offsets()
    damage(store, [str(n) for n in range(9)])
    assert rebuild(log, SCHEMA, short, store).offsets == at == consumer.offsets()
    follow(log, consumer)
    whole = MemoryStore()
    follow(log, FeatureConsumer(SCHEMA, [short], whole, partitions=2))
    assert rows_of(short, store) == rows_of(short, whole)
